"""The token endpoint ``/oauth_token.do``: grants, and tokens that are handed out again while they live."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer
from airflow_provider_servicenow_dq.sandbox.assertions import Assertions
from airflow_provider_servicenow_dq.sandbox.data import OAUTH_CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: What a broadly scoped client may do: all that its user may.
ALL_SCOPES = frozenset({"useraccount"})
_REFRESHABLE = {"password", "refresh_token"}


class _GrantError(Exception):
    """Nothing is granted.

    :param error: The code that RFC 6749 has for it.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Token:
    user_name: str
    scope: frozenset[str]
    access: str = field(repr=False)
    expires_at: float
    refresh: str = field(default="", repr=False)
    refresh_until: float = 0.0


class TokenEndpoint:
    """Issues tokens to the instance's OAuth clients.

    :param with_password: Tells who logs in with a user name and a password.
    :param jwt_key: As of :class:`~airflow_provider_servicenow_dq.sandbox.auth.Authentication`.
    """

    def __init__(
        self, instance: Instance, with_password: Callable[[str, str], Account | None], jwt_key: str | None
    ) -> None:
        self._instance = instance
        self._with_password = with_password
        self._clients = {client_id: (secret, user) for client_id, secret, user in OAUTH_CLIENTS}
        self._assertions = Assertions(instance, jwt_key)
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str, str, frozenset[str]], _Token] = {}

    def revoke(self) -> None:
        """Forget every token and every assertion that was used."""
        with self._lock:
            self._tokens.clear()
        self._assertions.forget()

    def owner_of(self, access: str) -> tuple[Account | None, frozenset[str]]:
        """Return who holds an access token, None if it is unknown or its time is over, and its scopes."""
        with self._lock:
            tokens = list(self._tokens.values())
        for token in tokens:
            if _same(token.access, access) and token.expires_at > time.time():
                return self._instance.account(token.user_name), token.scope
        return None, frozenset()

    def answer(self, request: Request) -> Answer:
        """Answer the token endpoint; every failure is the same 401 unless ``oauth_errors`` is ``rfc``.

        Parameters count in a form body only (``glide.oauth.allow.parameters.in.post.body.only``).
        """
        content_type = request.headers.get("content-type", "").lower()
        if request.method != "POST" or "application/x-www-form-urlencoded" not in content_type:
            return self._refused("invalid_request")
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if self._instance.switches.oauth_query_parameters:
            form = {**request.query, **form}
        try:
            user_name = self._granted_user(form)
        except _GrantError as refusal:
            return self._refused(refusal.error)
        if self._instance.account(user_name) is None:
            return self._refused("invalid_grant")
        request.user = user_name
        return self._issue(form, user_name)

    def _granted_user(self, form: Mapping[str, str]) -> str:
        """Return the user that a grant stands for.

        :raises _GrantError: It grants nothing.
        """
        grant = form.get("grant_type", "")
        client_id = form.get("client_id", "")
        secret, client_user = self._clients.get(client_id, (None, ""))
        is_public = grant == JWT_BEARER and self._instance.switches.jwt_public_client
        if secret is None or not (is_public or _same(secret, form.get("client_secret", ""))):
            raise _GrantError("invalid_client")
        user_name: str | None
        switches = self._instance.switches
        match grant:
            case "client_credentials":
                if not switches.client_credentials_enabled:
                    raise _GrantError("unsupported_grant_type")
                user_name = client_user if switches.oauth_application_user else None
            case "password":
                account = self._with_password(form.get("username", ""), form.get("password", ""))
                user_name = account.user_name if account else None
            case "refresh_token":
                user_name = self._refreshed_user(client_id, form.get("refresh_token", ""))
            case _ if grant == JWT_BEARER:
                user_name = self._assertions.user_of(form.get("assertion", ""), client_id)
            case _:
                raise _GrantError("unsupported_grant_type")
        if user_name is None:
            raise _GrantError("invalid_grant")
        return user_name

    def _refreshed_user(self, client_id: str, wanted: str) -> str | None:
        now = time.time()
        with self._lock:
            for (owner, *_), token in self._tokens.items():
                if owner == client_id and token.refresh_until > now and _same(token.refresh, wanted):
                    return token.user_name
        return None

    def _issue(self, form: Mapping[str, str], user_name: str) -> Answer:
        """While a token lives, it is handed out again with what is left of its time."""
        switches, now = self._instance.switches, time.time()
        grant = "password" if form["grant_type"] in _REFRESHABLE else form["grant_type"]
        scope = frozenset(form.get("scope", "").split())
        if switches.oauth_scope == "broad":
            scope = ALL_SCOPES
        key = (form["client_id"], user_name, grant, scope)
        with self._lock:
            token = self._tokens.get(key)
            if token is None or token.expires_at <= now:
                refresh, until = (token.refresh, token.refresh_until) if token else ("", 0.0)
                if grant in _REFRESHABLE and until <= now:
                    refresh, until = secrets.token_urlsafe(48), now + switches.refresh_life_s
                ends = now + switches.token_life_s
                token = _Token(user_name, scope, secrets.token_urlsafe(48), ends, refresh, until)
                self._tokens[key] = token
        content = {"access_token": token.access, "scope": " ".join(sorted(scope)), "token_type": "Bearer"}
        if token.refresh:
            content["refresh_token"] = token.refresh
        return json_answer(200, {**content, "expires_in": int(token.expires_at - now)})

    def _refused(self, error: str) -> Answer:
        if self._instance.switches.oauth_errors == "rfc":
            return json_answer(401, {"error_description": error.replace("_", " "), "error": error})
        return json_answer(401, {"error_description": "access_denied", "error": "server_error"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
