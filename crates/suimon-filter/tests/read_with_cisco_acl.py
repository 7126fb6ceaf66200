"""Reads access lists with the PyPI package cisco-acl and prints what each line says, as JSON.

Standard input: a JSON list of {"platform": "ios" | "nxos", "text": an access list}.
Standard output: for each text a list of [sequence, action, protocol, source, source ports, destination, destination ports,
options]; ports as a list of numbers, an empty list meaning every port.
"""

import json
import logging
import sys

from cisco_acl import Acl

# The package drops a line that it does not understand and only logs it: a dropped line must be seen.
dropped = []


class Collect(logging.Handler):
    def emit(self, record):
        dropped.append(record.getMessage())


logging.getLogger().addHandler(Collect())
out = []
for request in json.load(sys.stdin):
    rows = []
    for item in Acl(request["text"], platform=request["platform"]).items:
        if type(item).__name__ != "Ace":
            continue
        rows.append(
            [
                item.sequence,
                item.action,
                item.protocol.number,
                str(item.srcaddr.ipnet),
                list(item.srcport.ports),
                str(item.dstaddr.ipnet),
                list(item.dstport.ports),
                item.option.line,
            ]
        )
    out.append(rows)
if dropped:
    sys.exit("not understood: " + "; ".join(dropped[:5]))
json.dump(out, sys.stdout)
