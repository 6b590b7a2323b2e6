"""A server of tokens, which the stub server plays."""

from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs

from stub_server import Reply, of, refusal


class TokenServer:
    """Gives tokens named by their number and takes only those that it has not revoked."""

    def __init__(self, life=1799):
        self.life = life
        self.given = 0
        self.revoked = set()
        self.forms = []
        self.lock = threading.Lock()

    def __call__(self, asked):
        if asked.path != "/oauth_token.do":
            token = asked.headers.get("authorization", "").removeprefix("Bearer ")
            return refusal(401, "User Not Authenticated") if token in self.revoked else of([])
        with self.lock:
            self.given += 1
            self.forms.append({key: value for key, (value,) in parse_qs(asked.body.decode()).items()})
            token = {
                "access_token": f"token-{self.given:04}-x",
                "refresh_token": f"refresh-{self.given:04}",
                "token_type": "Bearer",
                "expires_in": self.life,
            }
            return Reply(200, json.dumps(token).encode())
