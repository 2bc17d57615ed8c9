"""Clients that nobody wants, in a process of their own: `python3 attackers.py JSON` attacks until its standard input is
closed, then prints what became of its connections as JSON. Loopback alone; from many addresses of it, so that a bound per
address does not end the attack at once. Standard library alone."""

import itertools
import json
import resource
import selectors
import ssl
import struct
import sys
import threading
import time
import zlib

from raw_http2 import (CONTINUATION, DATA, FRAME_MAX, HEADERS, Http2, call_headers, connect_from, frame, literal,
                       tls_context)


def client_hello():
    """The first bytes of a handshake."""
    out = ssl.MemoryBIO()
    talk = tls_context(["h2"]).wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        talk.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def sources():
    """127.1.1.1, 127.1.1.2, …: without end."""
    return (f"127.1.{1 + i // 250 % 250}.{1 + i % 250}" for i in itertools.count())


# ---- what one of a crowd does: bytes at once, then a byte now and then
class Silent:
    """Connects and says nothing."""
    tls = False
    first = b""
    drip = b""
    reads_slowly = False


class Hello(Silent):
    """Begins a TLS handshake that it never ends."""

    def __init__(self):
        self.first = client_hello()


class HalfHello(Silent):
    """Sends half of a handshake's first message."""

    def __init__(self):
        self.first = client_hello()[:60]


class SlowHeader(Silent):
    """Ends the handshake and sends a request a byte a second."""
    tls = True
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    drip = b"x"


class SlowBody(SlowHeader):
    first = b"POST /api/v1/session:open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"


class SlowReader(SlowHeader):
    """Asks for the page many times and reads a byte of it a second."""
    first = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    drip = b""
    reads_slowly = True


BEHAVIOURS = {b.__name__: b for b in (Silent, Hello, HalfHello, SlowHeader, SlowBody, SlowReader)}


class Crowd:
    """`count` connections at any time: one that was closed comes again, at most `rate` new ones a second."""

    def __init__(self, address, behaviour, count, rate=2000, addresses=64):
        self.address, self.count, self.rate = address, count, rate
        self.behaviour = BEHAVIOURS[behaviour]()
        self.context = tls_context() if self.behaviour.tls else None
        self.sources = [next(s) for s in [sources()] for _ in range(addresses)]
        self.polled = selectors.DefaultSelector()
        self.open = {}  # socket → what is to be sent
        self.told = {"opened": 0, "closed": 0, "most_open": 0, "answered": 0}

    def run(self, ended):
        began, dripped = time.monotonic(), time.monotonic()
        while not ended.is_set():
            now = time.monotonic()
            allowed = self.count + self.rate * (now - began)
            while len(self.open) < self.count and self.told["opened"] < allowed:
                if not self.one_more():
                    break
            for key, _ in self.polled.select(0.05):
                self.serve(key.fileobj)
            if now - dripped >= 1:
                dripped = now
                for s in [s for s, ready in self.open.items() if ready is None]:
                    self.drip(s)
        return self.told

    def one_more(self):
        try:
            s = connect_from(self.sources[self.told["opened"] % len(self.sources)], self.address, False)
        except OSError:
            return False
        if self.context:
            s = self.context.wrap_socket(s, do_handshake_on_connect=False, server_hostname="localhost")
        self.told["opened"] += 1
        self.open[s] = self.behaviour.first
        self.told["most_open"] = max(self.told["most_open"], len(self.open))
        self.polled.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
        return True

    def serve(self, s):
        try:
            if self.open[s] is not None:  # connecting, or in the handshake
                if self.context:
                    s.do_handshake()
                first, self.open[s] = self.open[s], None
                self.polled.modify(s, selectors.EVENT_READ)
                if self.behaviour.reads_slowly:
                    self.polled.unregister(s)
                self.send(s, first)
            elif s.recv(4096):
                self.told["answered"] += 1
            else:
                self.gone(s)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            if self.open.get(s) is not None:  # else it would be told without end that it may write
                self.polled.modify(s, selectors.EVENT_READ)
        except OSError:
            self.gone(s)

    def send(self, s, data):
        try:
            if data:
                s.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            self.gone(s)

    def drip(self, s):
        self.send(s, self.behaviour.drip)
        if not self.behaviour.reads_slowly or s not in self.open:
            return
        try:
            if not s.recv(1):
                self.gone(s)
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            self.gone(s)

    def gone(self, s):
        if self.open.pop(s, "none") == "none":
            return
        try:
            self.polled.unregister(s)
        except (KeyError, ValueError):
            pass
        s.close()
        self.told["closed"] += 1


# ---- what one of a few does, over HTTP/2
def bomb(size):
    """`size` zeros as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(size >> 20)) + packer.flush()


class Giant:
    """Messages of `size` bytes, one after the other: sent as long as the other side lets it."""

    def __init__(self, address, size, gzip=False, token=None, certificate=None, path=None, count=4):
        self.address, self.size, self.token, self.certificate, self.count = address, size, token, certificate, count
        self.path = path or "/overwinter.v1.JobService/GetJob"
        self.body = bomb(size) if gzip else None
        self.gzip = gzip
        self.told = {"calls": 0, "bytes": 0, "connections": 0, "failed": 0}
        self.lock = threading.Lock()

    def run(self, ended):
        threads = [threading.Thread(target=self.again_and_again, args=(source, ended))
                   for source, _ in zip(sources(), range(self.count))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self.told

    def add(self, **more):
        with self.lock:
            for key, value in more.items():
                self.told[key] += value

    def again_and_again(self, source, ended):
        while not ended.is_set():
            talk = None
            try:
                talk = Http2(source, self.address, self.certificate)
                self.add(connections=1)
                for stream in range(1, 2001, 2):
                    if ended.is_set() or not self.call(talk, stream, ended):
                        break
            except (OSError, ValueError):
                self.add(failed=1)
                ended.wait(0.05)
            finally:
                if talk:
                    talk.close()

    def chunks(self):
        length = len(self.body) if self.gzip else self.size
        yield bytes([int(self.gzip)]) + struct.pack(">I", length)
        for at in range(0, length, FRAME_MAX):
            size = min(FRAME_MAX, length - at)
            yield self.body[at:at + size] if self.gzip else bytes(size)

    def call(self, talk, stream, ended):
        talk.begin(stream, call_headers(self.path, self.token, self.gzip))
        self.add(calls=1)
        stalled = time.monotonic()
        for chunk in self.chunks():
            while stream in talk.streams and min(talk.window, talk.streams[stream]) < len(chunk):
                if ended.is_set() or not talk.take(0.2) or time.monotonic() - stalled > 5:
                    return False  # 5 s without a window: it waits for nothing
            if stream not in talk.streams:
                return True
            talk.socket.sendall(frame(DATA, 0, stream, chunk))
            talk.window -= len(chunk)
            talk.streams[stream] -= len(chunk)
            self.add(bytes=len(chunk))
            stalled = time.monotonic()
            if not talk.take(0):
                return False
        return True


class EndlessHeaders:
    """A header block that CONTINUATION frames prolong without end, fields or one field alone."""

    def __init__(self, address, count=4, certificate=None):
        self.address, self.count, self.certificate = address, count, certificate
        self.told = {"connections": 0, "bytes": 0, "ended_by_the_other_side": 0}

    run = Giant.run
    add = Giant.add
    lock = threading.Lock()

    def again_and_again(self, source, ended):
        piece = b"".join(literal(f"x-{i}", "y" * 100) for i in range(140))[:FRAME_MAX]
        while not ended.is_set():
            talk = None
            try:
                talk = Http2(source, self.address, self.certificate)
                self.add(connections=1)
                talk.socket.sendall(frame(HEADERS, 0, 1, call_headers("/overwinter.v1.JobService/GetJob", None, False)))
                while not ended.is_set() and talk.take(0):
                    talk.socket.sendall(frame(CONTINUATION, 0, 1, piece))
                    self.add(bytes=len(piece))
                self.add(ended_by_the_other_side=int(not ended.is_set()))
            except (OSError, ValueError):
                self.add(ended_by_the_other_side=1)
                ended.wait(0.02)
            finally:
                if talk:
                    talk.close()


class EndlessHttp1Headers(EndlessHeaders):
    """Header lines over HTTP/1.1 that never end: of 100 bytes, or one line alone."""

    def again_and_again(self, source, ended):
        line = b"X-Endless: " + b"y" * 100 + b"\r\n"
        for whole in itertools.cycle((line * 100, b"y" * 10_000)):
            if ended.is_set():
                return
            try:
                with tls_context().wrap_socket(connect_from(source, self.address, True),
                                               server_hostname="localhost") as s:
                    self.add(connections=1)
                    s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"" if b"\n" in whole else b"X-One: "))
                    while not ended.is_set():
                        s.sendall(whole)
                        self.add(bytes=len(whole))
            except (OSError, ValueError):
                self.add(ended_by_the_other_side=1)
                ended.wait(0.02)


KINDS = {c.__name__: c for c in (Crowd, Giant, EndlessHeaders, EndlessHttp1Headers)}


def attack(kind, **arguments):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ended = threading.Event()

    def until_told():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=until_told, daemon=True).start()
    attacker = KINDS[kind](**arguments)
    print("begun", flush=True)
    print(json.dumps(attacker.run(ended)), flush=True)


if __name__ == "__main__":
    attack(**json.loads(sys.argv[1]))
