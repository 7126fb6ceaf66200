"""A NETCONF server for tests, by RFC 6241 and RFC 6242: one process a session, as sshd starts a subsystem.

State lies in a folder: running.txt, candidate.txt (configuration in braces, or IOS XR's text), lock, pending (a confirmed commit that
waits, with what was before). Options in the file `options`: `base-1.0`, `no-candidate`, `reject-edit`, `half` (loses a
term), `mute` (never answers an edit), `flood`, `bad-chunk`, `die-after-commit`.
"""
import os, re, sys, time
import xml.etree.ElementTree as ET

DIR = sys.argv[1]
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
OP = "{%s}operation" % BASE
inp, out = sys.stdin.buffer, sys.stdout.buffer


def path(name):
    return os.path.join(DIR, name)


def load(name, default=""):
    try:
        with open(path(name)) as f:
            return f.read()
    except FileNotFoundError:
        return default


def store(name, text):
    with open(path(name) + ".new", "w") as f:
        f.write(text)
    os.replace(path(name) + ".new", path(name))


OPTIONS = load("options").split()


# Configuration in braces <-> nested dicts (a leaf is None).
def parse(text):
    text = re.sub(r"/\*.*?\*/|#[^\n]*", "", text, flags=re.S)
    stack, words = [{}], []
    for token in re.findall(r"[{};]|[^\s{};]+", text):
        if token == "{":
            stack.append(stack[-1].setdefault(" ".join(words), {}))
            words = []
        elif token == "}":
            assert not words, "missing semicolon"
            stack.pop()
        elif token == ";":
            stack[-1][" ".join(words)] = None
            words = []
        else:
            words.append(token)
    assert len(stack) == 1 and not words, "unbalanced"
    return stack[0]


def show(tree, depth=0):
    pad = "    " * depth
    return "".join(
        f"{pad}{k};\n" if v is None else f"{pad}{k} {{\n{show(v, depth + 1)}{pad}}}\n" for k, v in tree.items()
    )


SINGLE = ("input", "output")


def merge(into, new):
    for k, v in new.items():
        word = k.split(" ")[0]
        if v is None and word in SINGLE:
            # One filter a direction: the new one replaces the old without a question.
            for other in [o for o in into if o.split(" ")[0] == word]:
                del into[other]
        if v is None:
            into[k] = None
        else:
            merge(into.setdefault(k, {}), v)


def local(e):
    return e.tag.split("}")[-1]


def delete(tree, element):
    """Walks Junos XML beside the tree; what has operation="delete" must be there."""
    word, name = local(element), None
    for child in element:
        if local(child) == "name":
            name = child.text
    key = word if name is None else (name if word == "interface" else f"{word} {name}")
    if word == "inet" or word == "inet6":
        key = f"family {word}"
    if element.get(OP) == "delete":
        found = [k for k in tree if k == key or (name is None and k.split(" ")[0] == word)]
        assert found, f"data-missing: {key}"
        for k in found:
            del tree[k]
        return
    if word == "family":
        inner = tree
    else:
        assert key in tree, f"data-missing: {key}"
        inner = tree[key]
    for child in element:
        if local(child) != "name":
            delete(inner, child)
    if word != "family" and not inner:
        del tree[key]


def alive(pid):
    # The server of a session that was cut is gone or about to be collected.
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def settle():
    """What a device does by itself: goes back when the session of an unconfirmed commit is gone or the time is over."""
    pending = load("pending")
    if pending:
        pid, until, before = pending.split("\n", 2)
        if not alive(int(pid)) or time.time() > float(until):
            store("running.txt", before)
            store("candidate.txt", before)
            os.remove(path("pending"))
    lock = load("lock")
    if lock and not alive(int(lock)):
        os.remove(path("lock"))
        store("candidate.txt", load("running.txt"))


chunked = False


def send(text):
    data = text.encode()
    if not chunked:
        out.write(data + b"]]>]]>")
    elif "bad-chunk" in OPTIONS:
        out.write(b"\n#0\n" + data)
    else:
        # Odd pieces, so that a reader that counts on whole messages fails.
        for i in range(0, len(data), 1000):
            piece = data[i : i + 1000]
            out.write(b"\n#%d\n" % len(piece) + piece)
        out.write(b"\n##\n")
    out.flush()


def exactly(n):
    data = b""
    while len(data) < n:
        more = inp.read(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive():
    if not chunked:
        data = b""
        while not data.endswith(b"]]>]]>"):
            data += exactly(1)
        return data[:-6]
    data = b""
    while True:
        assert exactly(2) == b"\n#", "framing"
        head = b""
        while not head.endswith(b"\n"):
            head += exactly(1)
        if head == b"#\n":
            return data
        data += exactly(int(head))


def error(tag, text, kind="application"):
    return (
        f"<rpc-error><error-type>{kind}</error-type><error-tag>{tag}</error-tag><error-severity>error</error-severity>"
        f'<error-message xml:lang="en">{text}</error-message></rpc-error>'
    )


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def blocks(text):
    """IOS XR's text: heads with their indented lines."""
    tree, head = {}, None
    for line in text.split("\n"):
        if line.strip() in ("", "!"):
            continue
        if line.startswith(" "):
            tree[head].append(line.strip())
        else:
            head = line.strip()
            tree.setdefault(head, [])
    return tree


def edit_cli(text):
    tree, head = blocks(load("candidate.txt")), None
    for line in text.split("\n"):
        words = line.split()
        if not words:
            continue
        if not line.startswith(" ") and words[0] == "no":
            head = " ".join(words[1:])
            assert head in tree, f"data-missing: {head}"
            del tree[head]
        elif not line.startswith(" "):
            head = " ".join(words)
            assert words[0] in ("interface", "ipv4", "ipv6"), f"Invalid input: {line}"
            tree.setdefault(head, [])
        elif words[0] == "no":
            tree[head].remove(" ".join(words[1:]))
        else:
            if words[1] == "access-group":
                # One list a family and direction: the new one replaces the old without a question.
                tree[head] = [l for l in tree[head] if (l.split() + [""] * 4)[:2] != words[:2] or l.split()[3] != words[3]]
            tree[head].append(" ".join(words))
    store("candidate.txt", "".join(f"{h}\n" + "".join(f" {l}\n" for l in b) + "!\n" for h, b in tree.items()))
    return "<ok/>"


def edit(op):
    if "mute" in OPTIONS:
        time.sleep(20)
    if "reject-edit" in OPTIONS:
        return error("invalid-value", "syntax error, expecting &lt;term&gt;")
    for part in op:
        if local(part) == "config" and local(part[0]) == "cli":
            return edit_cli(part[0].text)
    tree = parse(load("candidate.txt"))
    for part in op:
        if local(part) == "config-text":
            text = "".join(part.itertext())
            if "half" in OPTIONS:
                text = re.sub(r"term T10 \{.*?discard;\s*\}\s*\}", "", text, flags=re.S)
            merge(tree, parse(text))
        elif local(part) == "config":
            for configuration in part:
                for top in configuration:
                    delete(tree, top)
    store("candidate.txt", show(tree))
    return "<ok/>"


def commit(op):
    new, before = load("candidate.txt"), load("running.txt")
    names = [local(e) for e in op]
    if "confirmed" in names:
        timeout = next(e.text for e in op if local(e) == "confirm-timeout")
        store("pending", f"{os.getpid()}\n{time.time() + float(timeout)}\n{before}")
    elif load("pending"):
        os.remove(path("pending"))
    store("running.txt", new)
    return "<ok/>"


def answer(op):
    name = local(op)
    if name == "get-configuration":
        if "flood" in OPTIONS:
            send_raw = b"<!-- flood -->" * 10000
            while True:
                out.write(send_raw)
        wanted = [local(e) for c in op for e in c]
        tree = {k: v for k, v in parse(load("running.txt")).items() if k in wanted}
        return f'<configuration-text xmlns="http://xml.juniper.net/xnm/1.1/xnm">\n## Last commit: now\n{escape(show(tree))}</configuration-text>'
    if name == "get-config":
        return f'<data><cli xmlns="http://cisco.com/ns/yang/Cisco-IOS-XR-cli-cfg">!! IOS XR Configuration 7.1.1\n{escape(load("running.txt"))}end\n</cli></data>'
    if name == "get-firewall-filter-information":
        filter_name = "".join(op.itertext()).strip()
        if f"filter {filter_name} " not in load("running.txt"):
            return error("operation-failed", "filter not found")
        return (
            f"<firewall-information><filter-information><filter-name>{filter_name}</filter-name><counter><counter-name>T10</counter-name>"
            "<packet-count>42</packet-count><byte-count>4200</byte-count></counter></filter-information></firewall-information>"
        )
    if name == "lock":
        if load("lock") or load("candidate.txt") != load("running.txt"):
            return error("lock-denied", "configuration database modified or locked", "protocol")
        store("lock", str(os.getpid()))
        return "<ok/>"
    if name == "unlock":
        os.remove(path("lock"))
        return "<ok/>"
    if name == "edit-config":
        return edit(op)
    if name == "validate":
        if "{" in load("candidate.txt"):
            parse(load("candidate.txt"))
        return "<rpc-error><error-type>application</error-type><error-tag>operation-failed</error-tag><error-severity>warning</error-severity><error-message>a warning</error-message></rpc-error><ok/>"
    if name == "commit":
        said = commit(op)
        if "die-after-commit" in OPTIONS:
            os.remove(path("options"))
            os._exit(1)
        return said
    if name == "cancel-commit":
        _, _, before = load("pending").split("\n", 2)
        os.remove(path("pending"))
        store("running.txt", before)
        return "<ok/>"
    if name == "discard-changes":
        store("candidate.txt", load("running.txt"))
        return "<ok/>"
    return error("operation-not-supported", name, "protocol")


def main():
    global chunked
    settle()
    versions = ["1.0"] if "base-1.0" in OPTIONS else ["1.0", "1.1"]
    caps = [f"urn:ietf:params:netconf:base:{v}" for v in versions]
    cap = "urn:ietf:params:netconf:capability:"
    if "no-candidate" not in OPTIONS:
        caps += [cap + "candidate:1.0", cap + f"confirmed-commit:{versions[-1]}", cap + "validate:1.0"]
    listed = "".join(f"<capability>{c}</capability>" for c in caps)
    send(f'<?xml version="1.0" encoding="UTF-8"?>\n<hello xmlns="{BASE}"><capabilities>{listed}</capabilities><session-id>{os.getpid()}</session-id></hello>')
    theirs = [e.text for e in ET.fromstring(receive()).iter() if local(e) == "capability"]
    chunked = caps[-1] != "" and "urn:ietf:params:netconf:base:1.1" in theirs and "1.1" in versions
    while True:
        rpc = ET.fromstring(receive())
        assert rpc.tag == "{%s}rpc" % BASE
        settle()
        try:
            body = answer(rpc[0])
        except AssertionError as e:
            body = error("data-missing" if "missing" in str(e) else "operation-failed", escape(str(e)))
        send(f'<rpc-reply message-id="{rpc.get("message-id")}" xmlns="{BASE}">{body}</rpc-reply>')


try:
    main()
except (EOFError, BrokenPipeError):
    pass
