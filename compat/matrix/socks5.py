"""A SOCKS5 proxy on loopback, as much of one as a client's test of its own needs: CONNECT without a login."""

import contextlib
import socket
import socketserver
import struct
import threading


def _exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise ConnectionError("the client left")
        data += more
    return data


def _address(s, kind):
    if kind == 1:
        return socket.inet_ntoa(_exactly(s, 4))
    if kind == 3:
        return _exactly(s, _exactly(s, 1)[0]).decode()
    return socket.inet_ntop(socket.AF_INET6, _exactly(s, 16))


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        client = self.request
        with contextlib.suppress(OSError):
            _exactly(client, _exactly(client, 2)[1])
            client.sendall(b"\x05\x00")
            _, command, _, kind = _exactly(client, 4)
            host = _address(client, kind)
            port = struct.unpack(">H", _exactly(client, 2))[0]
            if command != 1:
                client.sendall(b"\x05\x07\x00\x01" + bytes(6))
                return
            with socket.create_connection((host, port), timeout=60) as broker:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                back = threading.Thread(target=_pump, args=(broker, client), daemon=True)
                back.start()
                _pump(client, broker)
                back.join()


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = "127.0.0.1:{}".format(self.server_address[1])

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
