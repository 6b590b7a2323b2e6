"""A real little forward proxy, for plain requests and for tunnels."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import urlsplit

from hanging_up import Server

_OWN_HEADERS = {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "transfer-encoding"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: ForwardProxy

    def is_let_through(self) -> bool:
        self.proxy.asked.append(f"{self.command} {self.path}")
        if self.headers.get("Proxy-Authorization") == self.proxy.expected:
            return True
        self.send_response(407, "Proxy Authentication Required")
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.is_let_through():
            return
        parts = urlsplit(self.path)
        link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        link.request(self.command, path, body or None, headers)
        answer = link.getresponse()
        content = answer.read()
        link.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN_HEADERS | {"content-length", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = forward  # noqa: N815  # http.server looks for these names

    def do_CONNECT(self) -> None:
        if not self.is_let_through():
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((self.proxy.hosts.get(host, host), int(port)), timeout=10) as there:
            self.send_response(200, "Connection established")
            self.end_headers()
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join(5)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while part := source.recv(1 << 16):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


class ForwardProxy:
    """The proxy; ``asked`` are the request lines that it saw.

    :param login: User and password that it wants, with a colon between.
    :param hosts: Where names lead that only this proxy knows.
    """

    def __init__(self, login: str = "", hosts: dict[str, str] | None = None) -> None:
        self.asked: list[str] = []
        self.hosts = hosts or {}
        self.expected = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        serve = {"poll_interval": 0.01}
        threading.Thread(target=self._server.serve_forever, kwargs=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
