"""A command line that behaves as we know IOS: modes, paging, errors, `revert timer`. For tests; one process a login.

State lies in a folder: running.txt, and pending (a roll-back that waits, with what was before). Options in the file
`options`: `no-archive`, `drop-line` (takes a line of a list and loses it), `die-in-list`, `logs` (a log line after `end`).
"""
import os, sys, time

DIR = sys.argv[1]


def path(name):
    return os.path.join(DIR, name)


def load(name):
    try:
        with open(path(name)) as f:
            return f.read()
    except FileNotFoundError:
        return ""


def store(name, text):
    with open(path(name) + ".new", "w") as f:
        f.write(text)
    os.replace(path(name) + ".new", path(name))


OPTIONS = load("options").split()
paging = True


def settle():
    pending = load("pending")
    if pending:
        until, before = pending.split("\n", 1)
        if time.time() > float(until):
            store("running.txt", before)
            os.remove(path("pending"))


def blocks():
    tree, head = {}, None
    for line in load("running.txt").split("\n"):
        if line.strip() in ("", "!", "end"):
            continue
        if line.startswith(" "):
            tree[head].append(line[1:])
        else:
            head = line
            tree[head] = []
    return tree


def save(tree):
    store("running.txt", "".join(f"{h}\n" + "".join(f" {l}\n" for l in b) + "!\n" for h, b in tree.items()))


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


INVALID = "                 ^\n% Invalid input detected at '^' marker.\n\n"


def show(lines):
    for i, line in enumerate(lines):
        if paging and i == 20:
            say(" --More-- ")
            sys.stdin.readline()
        say(line + "\n")


def configure(line, mode, head):
    tree, words = blocks(), line.split()
    if line in ("end", "exit"):
        return ("exec", None) if line == "end" or mode == "config" else ("config", None)
    if line.startswith("ip access-list extended ") or line.startswith("ipv6 access-list "):
        tree.setdefault(line, [])
        save(tree)
        return ("config-ext-nacl" if words[0] == "ip" else "config-ipv6-acl"), line
    if line.startswith("interface "):
        tree.setdefault(line, [])
        save(tree)
        return "config-if", line
    if line.startswith("no ip access-list extended ") or line.startswith("no ipv6 access-list "):
        tree.pop(line[3:], None)
        save(tree)
        return "config", None
    if mode == "config-if" and ("access-group" in line or "traffic-filter" in line):
        kind = words[1:3] if words[0] == "no" else words[0:2]
        way = words[-1]
        tree[head] = [l for l in tree[head] if not (l.split()[:2] == kind and l.split()[-1] == way)]
        if words[0] != "no":
            tree[head].append(line)
        save(tree)
        return mode, head
    if "acl" in mode and (words[0].isdigit() or words[0] == "sequence"):
        if "die-in-list" in OPTIONS:
            os.remove(path("options"))
            os._exit(1)
        if not ("drop-line" in OPTIONS and "deny" in words):
            tree[head].append(line)
            save(tree)
        return mode, head
    say(INVALID)
    return mode, head


def execute(line):
    global paging
    if line == "terminal length 0":
        paging = False
    elif line == "terminal width 512":
        pass
    elif line == "show running-config":
        text = load("running.txt").rstrip("\n").split("\n")
        show(["Building configuration...", "", f"Current configuration : {len(text)} bytes", "!"] + text + ["end", ""])
    elif line.startswith("show ip access-lists ") or line.startswith("show ipv6 access-list "):
        ipv6 = "ipv6" in line
        name = line.split()[-1]
        head = f"ipv6 access-list {name}" if ipv6 else f"ip access-list extended {name}"
        found = blocks().get(head, [])
        show([f"Extended IP access list {name}"] + ["    " + l + (" (21 matches)" if "deny" in l else "") for l in found])
    elif line.startswith("configure terminal"):
        if "revert timer" in line:
            if "no-archive" in OPTIONS:
                say("%Error: archive is not configured, revert timer is not available\n")
                return "exec"
            store("pending", f"{time.time() + 60 * int(line.split()[-1])}\n{load('running.txt')}")
            say("Rollback Confirmed Change: Backing up current running config to flash:archive-1\n\n")
        say("Enter configuration commands, one per line.  End with CNTL/Z.\n")
        return "config"
    elif line == "configure confirm":
        if load("pending"):
            os.remove(path("pending"))
        else:
            say("%No Rollback Confirmed Change pending\n")
    elif line:
        say(INVALID)
    return "exec"


mode, head = "exec", None
say("\n*** Authorised access only # ***\n\n")
while True:
    settle()
    say("edge-router-of-tokyo#" if mode == "exec" else f"edge-router-of-tok({mode})#")
    line = sys.stdin.readline()
    if not line:
        break
    line = line.strip()
    if mode == "exec":
        mode = execute(line)
    else:
        mode, head = configure(line, mode, head)
        if mode == "exec" and "logs" in OPTIONS:
            say("*Nov 22 06:00:00.123: %SYS-5-CONFIG_I: Configured from console by suimon on vty0\n")
