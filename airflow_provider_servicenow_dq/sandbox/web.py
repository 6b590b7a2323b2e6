"""HTTP/1.1 on a socket: reads requests, sends answers, drops connections when a fault says so."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import answers, control_api, pages
from airflow_provider_servicenow_dq.sandbox.content import too_large
from airflow_provider_servicenow_dq.sandbox.exchange import Request
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError
from airflow_provider_servicenow_dq.sandbox.service import TOKEN_PATH
from airflow_provider_servicenow_dq.sandbox.tls import common_name

if TYPE_CHECKING:
    import ssl

    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox
    from airflow_provider_servicenow_dq.sandbox.tls import Tls

#: Tomcat's own limit for request line and headers together.
_MAX_HEADER_BYTES = 8192
#: More than any instance accepts as JSON, and enough for attachments; what is larger is not even read.
_MAX_READ_BYTES = 64_000_000

_HANDSHAKE_S = 10
#: Seconds for which a client that was answered early may go on sending.
_LINGER_S = 0.5
_DRAINED = 65_536
_TOO_LONG = {HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE}
_UNREADABLE = RefusedError(400, "Exception while reading request", "Unreadable request body")


class HttpServer:
    """A listening port that can be closed and opened again.

    The port is taken at once, so that the address is known, and kept while the server is closed.

    :param tls: Certificates to serve https with, None for http.
    """

    def __init__(self, host: str, port: int, tls: Tls | None = None) -> None:
        self._host = host
        self._context = tls.context() if tls else None
        self._server: _Server | None = _Server((host, port), self._context)
        self._port = self._server.server_port

    @property
    def url(self) -> str:
        """Address, without a slash at the end."""
        return f"{'https' if self._context else 'http'}://{self._host}:{self._port}"

    def open(self, sandbox: Sandbox) -> None:
        """Listen, and answer for a sandbox."""
        if self._server is None:
            self._server = _Server((self._host, self._port), self._context)
        self._server.sandbox = sandbox

    def serve(self) -> None:
        """Answer until :meth:`close`."""
        if self._server is not None:
            self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Stop listening and cut open connections."""
        if self._server is not None:
            self._server.shutdown()
            _cut(self._server.socket)
            self._server.server_close()
            self._server.cut_connections()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    sandbox: Sandbox

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self._context = context
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def remember(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def cut_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                _cut(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer on a connection, in its own thread: a handshake that hangs holds up nobody else."""
        if self._context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_HANDSHAKE_S)
        with self._context.wrap_socket(request, server_side=True) as connection:
            connection.settimeout(None)
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this server is for; anything else is a bug and is printed."""
        if not isinstance(_current_error(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ServiceNow"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._certificate_name = common_name(self.connection)
        self.server.remember(self.connection)

    def finish(self) -> None:
        self.server.forget(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        size = len(self.requestline) + sum(len(name) + len(value) + 4 for name, value in headers.items())
        try:
            body = self._read_body(headers)
        except RefusedError as refusal:
            self.close_connection = True
            self._send(answers.error_answer(refusal.status, refusal.message, refusal.detail))
            return
        if size > _MAX_HEADER_BYTES:
            self._send(answers.html_answer(400, answers.HEADER_TOO_LARGE_PAGE))
            self.close_connection = True
            return
        method = headers.get("x-http-method-override", self.command).upper()
        answer = self._answer(
            Request(method, self.path, headers, body, certificate_name=self._certificate_name)
        )
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # names that http.server calls

    def _answer(self, request: Request) -> Answer | None:
        sandbox = self.server.sandbox
        if request.path.startswith("/api/") or request.path == TOKEN_PATH:
            return sandbox.service.answer(request)
        if request.path.startswith("/sandbox/"):
            return control_api.answer(sandbox, request)
        return sandbox.service.unavailable() or pages.answer(sandbox.instance, request)

    def _read_body(self, headers: dict[str, str]) -> bytes:
        """Return the body.

        :raises RefusedError: It is too large or cannot be read; the connection is of no more use then.
        """
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise _UNREADABLE
        if int(length) > _MAX_READ_BYTES:
            # Who still sends would not hear an answer.
            for start in range(0, int(length), _DRAINED):
                self.rfile.read(min(_DRAINED, int(length) - start))
            raise too_large(int(length))
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise _UNREADABLE
        return body

    def _read_chunks(self) -> bytes:
        body = b""
        while len(body) <= _MAX_READ_BYTES:
            try:
                size = int(self.rfile.readline(100).partition(b";")[0], 16)
            except ValueError:
                raise _UNREADABLE from None
            chunk = self.rfile.read(size)
            self.rfile.readline(100)
            if size == 0:
                return body
            body += chunk
        raise too_large(len(body))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # http.server's own words
        """Answer what is no request; a line that is too long gets the page of a header that is."""
        self.close_connection = True
        status = 400 if code in _TOO_LONG else code
        page = answers.HEADER_TOO_LARGE_PAGE if code in _TOO_LONG else answers.error_page(status)
        self._send(answers.html_answer(status, page))
        self._drain()

    def _drain(self) -> None:
        """Read what still comes: a connection that is closed over unread data is reset, its answer lost."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S)
            while self.rfile.read(_DRAINED):
                pass

    def _send(self, answer: Answer) -> None:
        """Send head and body in one piece: two would wait for each other on a delayed acknowledgement."""
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Server: {self.server_version}",
            f"Date: {self.date_time_string(self.server.sandbox.instance.now().timestamp())}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        if answer.status != HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {answer.content_type}", f"Content-Length: {len(answer.body)}"]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.connection.sendall(head if self.command == "HEAD" else head + answer.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the log of requests is the control endpoint's."""


def _cut(connection: socket.socket) -> None:
    """End a connection for its client at once, even if a forked process still holds a copy of the socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _current_error() -> BaseException | None:
    return sys.exc_info()[1]
