"""Who is asking: Basic authentication, and OAuth tokens from ``/oauth_token.do``."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer
from airflow_provider_servicenow_dq.sandbox.data import OAUTH_CLIENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account


@dataclass(frozen=True, slots=True)
class _Token:
    user_name: str
    access: str
    refresh: str
    expires_at: float


class Authentication:
    """Checks credentials against the instance's people and OAuth clients."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._clients = {client_id: (secret, user) for client_id, secret, user in OAUTH_CLIENTS}
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str, str], _Token] = {}

    def revoke_tokens(self) -> None:
        """Forget every token."""
        with self._lock:
            self._tokens.clear()

    def authenticate(self, headers: Mapping[str, str]) -> Account | None:
        """Return who sends a request, or None if the credentials are missing or wrong."""
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            user_name, _, password = _decoded(credentials).partition(":")
            return self._with_password(user_name, password)
        if scheme.lower() == "bearer":
            return self._with_token(credentials.strip())
        return None

    def token_answer(self, request: Request) -> Answer:
        """Answer the token endpoint; every failure is the same 401, as on the platform.

        Parameters count in a form body only (``glide.oauth.allow.parameters.in.post.body.only``).
        """
        content_type = request.headers.get("content-type", "").lower()
        if request.method != "POST" or "application/x-www-form-urlencoded" not in content_type:
            return _refused()
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        client = self._clients.get(form.get("client_id", ""))
        if client is None or not _same(client[0], form.get("client_secret", "")):
            return _refused()
        user_name = self._granted_user(form, client[1])
        if user_name is None or self._instance.account(user_name) is None:
            return _refused()
        request.user = user_name
        return self._issue(form["client_id"], user_name, form["grant_type"])

    def _granted_user(self, form: Mapping[str, str], client_user: str) -> str | None:
        """Return the user that a grant stands for, or None if it grants nothing."""
        match form.get("grant_type"):
            case "client_credentials":
                return client_user if self._instance.switches.client_credentials_enabled else None
            case "password":
                account = self._with_password(form.get("username", ""), form.get("password", ""))
                return account.user_name if account else None
            case "refresh_token":
                wanted = form.get("refresh_token", "")
                with self._lock:
                    tokens = list(self._tokens.values())
                return next((t.user_name for t in tokens if t.refresh and _same(t.refresh, wanted)), None)
        return None

    def _issue(self, client_id: str, user_name: str, grant: str) -> Answer:
        """While a token lives, it is handed out again with what is left of its time."""
        now, life = time.time(), self._instance.switches.token_life_s
        key = (client_id, user_name, "client_credentials" if grant == "client_credentials" else "password")
        with self._lock:
            token = self._tokens.get(key)
            if token is None or token.expires_at <= now:
                refresh = token.refresh if token else secrets.token_urlsafe(48)
                if grant == "client_credentials":
                    refresh = ""
                token = self._tokens[key] = _Token(user_name, secrets.token_urlsafe(48), refresh, now + life)
        content = {"access_token": token.access, "refresh_token": token.refresh, "scope": "useraccount"}
        if not token.refresh:
            del content["refresh_token"]
        return json_answer(
            200, {**content, "token_type": "Bearer", "expires_in": int(token.expires_at - now)}
        )

    def _with_password(self, user_name: str, password: str) -> Account | None:
        user = self._instance.users.get(user_name)
        if user is None or not user.password or not _same(user.password, password):
            return None
        return self._instance.account(user_name)

    def _with_token(self, access: str) -> Account | None:
        with self._lock:
            tokens = list(self._tokens.values())
        for token in tokens:
            if _same(token.access, access) and token.expires_at > time.time():
                return self._instance.account(token.user_name)
        return None


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refused() -> Answer:
    return json_answer(401, {"error_description": "access_denied", "error": "server_error"})
