"""ExaBGP's own encoder and decoder: one JSON object a line in, one JSON object a line out.

In: {"v6": bool, "words": [["destination", "192.0.2.1/32"], ...], "then": ["discard"], "nlri": hex}
Out: {"encoded": hex of the words, "again": hex of `nlri` decoded and encoded, "communities": hex}
"""

import json
import sys

from exabgp.bgp.message import OUT
from exabgp.bgp.message.notification import Notify
from exabgp.bgp.message.update.nlri.flow import Flow
from exabgp.configuration.flow import parser
from exabgp.protocol.family import AFI, SAFI


def tokens(text):
    rest = text.split()
    return lambda: rest.pop(0) if rest else ""


for line in sys.stdin:
    ask = json.loads(line)
    afi = AFI.ipv6 if ask["v6"] else AFI.ipv4
    flow = Flow(afi, SAFI.flow_ip, OUT.ANNOUNCE)
    for name, text in ask["words"]:
        if name == "protocol" and ask["v6"]:
            name = "next-header"
        for rule in getattr(parser, name.replace("-", "_"))(tokens(text)):
            flow.add(rule)
    then = ask["then"]
    made = getattr(parser, then[0].replace("-", "_"))(tokens(" ".join(then[1:])))
    if isinstance(made, tuple):
        made = made[1]
    # The attribute's flags, type and length are not what is compared.
    communities = b"".join(c.pack() for c in made.communities)
    try:
        again, rest = Flow.unpack_nlri(afi, SAFI.flow_ip, bytes.fromhex(ask["nlri"]), OUT.ANNOUNCE, None)
    except Notify:
        again = None
    print(
        json.dumps(
            {
                "encoded": flow.pack_nlri().hex(),
                "again": again.pack_nlri().hex() if again is not None else "",
                "communities": communities.hex(),
            }
        )
    )
