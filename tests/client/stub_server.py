"""A server that answers what a test tells it to, also what no honest server would."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from hanging_up import Server

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Reply:
    """What to answer.

    :param drop: Close the connection instead.
    :param cut: Promise more bytes than are sent.
    :param trickle_s: Seconds between two bytes of the body.
    :param wait: Answer only once this is set.
    """

    status: int = 200
    body: bytes = b'{"result": []}'
    headers: dict[str, str] = field(default_factory=dict)
    kind: str | None = "application/json;charset=UTF-8"
    drop: bool = False
    cut: bool = False
    trickle_s: float = 0
    wait: threading.Event | None = None


@dataclass
class Asked:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


def of(result: Any, status: int = 200, **headers: str) -> Reply:
    """Return the reply with that result."""
    body = json.dumps({"result": result}).encode()
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def refusal(status: int, message: str, detail: str | None = None) -> Reply:
    """Return a refusal as ServiceNow words it."""
    error = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return Reply(status, json.dumps(error).encode())


def page(html: str, status: int = 200) -> Reply:
    """Return a page."""
    return Reply(status, html.encode(), kind="text/html")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stub: Stub

    def answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
            self.client_address,
        )
        reply = self.stub.reply_to(asked)
        if reply.wait:
            reply.wait.wait(20)
        if reply.drop:
            self.close_connection = True
        else:
            self.send(reply)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server looks for these names

    def send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in ({"Content-Type": reply.kind} if reply.kind else {}).items():
            self.send_header(name, value)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + 100 * reply.cut))
        self.end_headers()
        self.close_connection = reply.cut
        if reply.trickle_s:
            self.trickle(reply)
        else:
            self.wfile.write(reply.body)

    def trickle(self, reply: Reply) -> None:
        try:
            for index in range(len(reply.body)):
                self.wfile.write(reply.body[index : index + 1])
                threading.Event().wait(reply.trickle_s)
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Stub:
    """The server. ``script`` is a function of what was asked, or a list of replies, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: Callable[[Asked], Reply] | list[Reply] = [Reply()]
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"stub": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        serve = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        serve.start()

    def reply_to(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            if isinstance(self.script, list):
                return self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return self.script(asked)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


#: What the configurations of these tests hold, and nothing may show.
SECRETS = {
    "password": "pass-Wort-4711",
    "client_secret": "client-Geheimnis-4712",
    "api_key": "key-4713-abcdef",
}
