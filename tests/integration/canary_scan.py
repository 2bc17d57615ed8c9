"""Canaries: secrets that a test knows, the forms in which each may have been written somewhere, and the places to look."""

import base64
import os
import threading
import urllib.parse


def forms(secret):
    """A secret of bytes as it is, and as hex, base64 (wherever in a longer text it begins), or in an address."""
    out = {secret, secret.hex().encode(), secret.hex().upper().encode(), urllib.parse.quote(secret, safe="").encode()}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # What its neighbours do not change: whole groups of three bytes.
            skip = (3 - before) % 3
            inner = secret[skip:]
            inner = inner[:len(inner) // 3 * 3]
            out.add(encode(inner))
    return {form for form in out if len(form) >= 12}


def of_text(text):
    return forms(text.encode())


def of_pem(pem):
    """Of a private key in PEM: its lines, and its number."""
    lines = [line for line in pem.splitlines() if line and "-----" not in line]
    der = base64.b64decode("".join(lines))
    number = der[der.index(b"\x04\x20") + 2:][:32]
    # The first line alone may be a header that all keys have.
    return forms(number) | {line.encode() for line in lines[:2] if len(line) > 40}


def of_sealing_key(text):
    encoded = text.split()[-1]
    raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    return forms(raw) | {encoded.encode()}


class Canary:
    """A secret by its name. homes: ends of paths of files that are there to hold it, which their owner alone may read."""

    def __init__(self, name, needles, homes=()):
        self.name, self.needles, self.homes = name, needles, tuple(homes)

    def stands_in(self, content):
        return any(needle in content for needle in self.needles)


class Processes:
    """What /proc tells of command lines and environments, from begin() to end(); short-lived processes too, mostly."""

    def __init__(self, of_environments):
        self.of_environments = of_environments  # whether the environment of this program is looked at
        self.seen = {}  # (what, program) → content
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look_again_and_again, daemon=True)
        self.known = set()

    def begin(self):
        self.thread.start()

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.seen

    def look_again_and_again(self):
        while not self.ended.wait(0.01):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if int(pid) == os.getpid():
                    continue
                try:
                    self.look(pid)
                except OSError:
                    continue

    def look(self, pid):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            line = f.read()
        if (pid, line) in self.known:
            return
        self.known.add((pid, line))
        program = line.split(b"\0")[0].decode(errors="replace")
        self.add("command line", program, line.replace(b"\0", b" "))
        if self.of_environments(program):
            with open(f"/proc/{pid}/environ", "rb") as f:
                self.add("environment", program, f.read())

    def add(self, what, program, content):
        key = (what, program)
        self.seen[key] = self.seen.get(key, b"") + content + b"\n"


def files_below(folder):
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def found_in_files(canaries, folder):
    """(canary's name, path) of each that stands in a file that is not its home, or in a home that others may read."""
    out = []
    for path in files_below(folder):
        with open(path, "rb") as f:
            content = f.read()
        if not content.strip(b"\0"):
            continue  # what the store keeps for a full disk
        for canary in canaries:
            at_home = any(path.endswith(home) for home in canary.homes)
            if (not at_home or os.stat(path).st_mode & 0o077) and canary.stands_in(content):
                out.append((canary.name, path))
    return out


def found_in(canaries, contents):
    """(canary's name, where) over {where: bytes}."""
    return [(canary.name, where) for where, content in contents.items() for canary in canaries if canary.stands_in(content)]
