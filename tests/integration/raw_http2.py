"""HTTP/2 by hand, for clients that do what a library of it would not. Standard library alone."""

import select
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_HEADERS = 4
FRAME_MAX = 16384


def tls_context(protocols=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def connect_from(source, address, blocking):
    host, port = address.rsplit(":", 1)
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    s.bind((source, 0))
    s.setblocking(blocking)
    if blocking:
        s.settimeout(3)
        s.connect((host, int(port)))
    else:
        s.connect_ex((host, int(port)))
    return s


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header field that no table keeps; lengths below 127 in one byte, others in more."""
    def text(s):
        s = s.encode()
        if len(s) < 127:
            return bytes([len(s)]) + s
        n, out = len(s) - 127, [127]
        while n >= 128:
            out.append(n % 128 + 128)
            n //= 128
        return bytes([*out, n]) + s
    return b"\x00" + text(name) + text(value)


def call_headers(path, token, gzip):
    fields = [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
              ("content-type", "application/grpc"), ("te", "trailers")]
    if token:
        fields.append(("authorization", "Bearer " + token))
    if gzip:
        fields.append(("grpc-encoding", "gzip"))
    return b"".join(literal(*field) for field in fields)


class Http2:
    """A connection that keeps to the other side's windows, as it must to be listened to."""

    def __init__(self, source, address, certificate):
        context = tls_context(["h2"])
        if certificate:
            context.load_cert_chain(*certificate)
        self.socket = context.wrap_socket(connect_from(source, address, True), server_hostname="localhost")
        self.window, self.initial, self.streams, self.got = 65535, 65535, {}, b""
        self.over = False
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def close(self):
        self.socket.close()

    def begin(self, stream, headers):
        self.streams[stream] = self.initial
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, headers))

    def take(self, wait_s):
        """Reads what came; False when the connection or the stream is over."""
        if not self.socket.pending() and not select.select([self.socket], [], [], wait_s)[0]:
            return True
        got = self.socket.recv(65536)
        if not got:
            self.over = True
            return False
        self.got += got
        while len(self.got) >= 9:
            length = int.from_bytes(self.got[:3], "big")
            if len(self.got) < 9 + length:
                break
            kind, flags = self.got[3], self.got[4]
            stream = int.from_bytes(self.got[5:9], "big") & 0x7FFFFFFF
            payload, self.got = self.got[9:9 + length], self.got[9 + length:]
            self.frame_came(kind, flags, stream, payload)
        return not self.over

    def frame_came(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                if key == 4:
                    for s in self.streams:
                        self.streams[s] += value - self.initial
                    self.initial = value
            self.socket.sendall(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.socket.sendall(frame(PING, 1, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += more
            elif stream in self.streams:
                self.streams[stream] += more
        elif kind == GOAWAY:
            self.over = True
        elif kind == RST or (kind == HEADERS and flags & 1):
            self.streams.pop(stream, None)  # answered or refused: it may be the end of this call alone
