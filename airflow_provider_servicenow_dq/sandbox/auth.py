"""Who is asking: Basic authentication, API keys, client certificates and OAuth tokens."""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.answers import Answer, error_answer, not_authenticated
from airflow_provider_servicenow_dq.sandbox.data import API_KEYS
from airflow_provider_servicenow_dq.sandbox.rules import Account
from airflow_provider_servicenow_dq.sandbox.scopes import AuthScope
from airflow_provider_servicenow_dq.sandbox.tokens import ALL_SCOPES, TokenEndpoint

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance

_SYSTEM = Account("", "system", frozenset({"admin"}))
#: Header or parameter of an API key.
API_KEY = "x-sn-apikey"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody who is let in, or the answer to who is not.

    :param scope: Scopes of an OAuth token; whoever comes otherwise has all.
    """

    account: Account | None = None
    refusal: Answer | None = None
    scope: frozenset[str] = ALL_SCOPES


class Authentication:
    """Checks credentials against the instance's people, keys and tokens.

    :param jwt_key: Public key or certificate (PEM) that assertions are checked with, None for the one built
        in.
    """

    def __init__(self, instance: Instance, jwt_key: str | None = None) -> None:
        self._instance = instance
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self.tokens = TokenEndpoint(instance, self.with_password, jwt_key)

    def forget(self) -> None:
        """Forget tokens, used assertions and failed attempts."""
        with self._lock:
            self._failures.clear()
        self.tokens.revoke()

    def sign_in(self, request: Request) -> SignIn:
        """Tell who sends a request; wrong credentials of every kind get the same answer."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        account, scope = None, ALL_SCOPES
        match scheme.lower():
            case "basic":
                return self._with_basic(credentials)
            case "bearer":
                account, scope = self.tokens.owner_of(credentials.strip())
            case "":
                account = self._with_api_key(request) or self._with_certificate(request)
        if account is None:
            return SignIn(refusal=not_authenticated())
        return SignIn(account, self._beyond_scope(request, scope), scope)

    def with_password(self, user_name: str, password: str) -> Account | None:
        """Return who logs in with a password, or None; too many failures lock the user out."""
        user = self._instance.users.get(user_name)
        if user is None or not user.password:
            return None
        if hmac.compare_digest(user.password.encode(), password.encode()):
            with self._lock:
                self._failures.pop(user_name, None)
            return self._instance.account(user_name)
        self._count_failure(user_name)
        return None

    def _with_basic(self, credentials: str) -> SignIn:
        """Apply the instance's policies: Basic may be off, or want a second factor."""
        user_name, _, password = _decoded(credentials).partition(":")
        switches = self._instance.switches
        account = self.with_password(user_name, password) if switches.basic_auth else None
        if account is not None and not switches.mfa:
            return SignIn(account)
        refusal = not_authenticated()
        if account is not None:
            refusal.headers.append(("X-MFA_TOKEN", "invalid"))
        return SignIn(refusal=refusal)

    def _with_api_key(self, request: Request) -> Account | None:
        """Take a key from the header or the query, if the API's access policy takes keys."""
        key = request.headers.get(API_KEY) or request.query.get(API_KEY, "")
        if not key or request.api in self._instance.switches.no_api_key:
            return None
        for known, user_name in API_KEYS:
            if hmac.compare_digest(known.encode(), key.encode("utf-8", "replace")):
                return self._instance.account(user_name)
        return None

    def _with_certificate(self, request: Request) -> Account | None:
        """Map the subject of a client certificate to a user."""
        return self._instance.account(request.certificate_name) if request.certificate_name else None

    def _beyond_scope(self, request: Request, scope: frozenset[str]) -> Answer | None:
        """Return the 403 of a securely scoped OAuth client that has no scope for this API."""
        switches = self._instance.switches
        if switches.oauth_scope == "broad" or scope & ALL_SCOPES or switches.oauth_unscoped_allowed:
            return None
        for grant in map(AuthScope.parse, switches.auth_scope):
            if grant.name in scope and grant.covers(request.api, request.method):
                return None
        return error_answer(403, "User Not Authorized", "Access to unscoped api is not allowed")

    def _count_failure(self, user_name: str) -> None:
        with self._lock:
            failures = self._failures[user_name] = self._failures.get(user_name, 0) + 1
        if 0 < self._instance.switches.lock_after <= failures:
            account = self._instance.account(user_name)
            if account is not None:
                self._instance.update(_SYSTEM, "sys_user", account.sys_id, {"locked_out": "true"})


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
