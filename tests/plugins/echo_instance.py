"""An instance, or what stands before it, that says back all that it was told, secrets as well."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from hanging_up import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def echo_instance(status: int, *, token: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Answer each request with its headers and its body in the instance's words.

    Gives the address, and what was said.

    :param status: Of all answers.
    :param token: What the token endpoint gives, if it is not to answer like the others.
    """

    said: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("utf-8", "replace")
            words = f"{self.requestline} {dict(self.headers)} {asked}"
            said.append(words)
            content: dict[str, Any] = {"error": {"message": words, "detail": words}, "status": "failure"}
            code = status
            if token is not None and self.path.startswith("/oauth_token.do"):
                code, content = 200, {"access_token": token, "token_type": "Bearer", "expires_in": 1800}
            elif self.path.startswith("/oauth_token.do"):
                content = {"error": "access_denied", "error_description": words}
            body = json.dumps(content).encode()
            self.send_response(code, words.encode("ascii", "replace").decode())
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (names that the library calls)

        def log_message(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", said
        finally:
            server.shutdown()
            thread.join()
