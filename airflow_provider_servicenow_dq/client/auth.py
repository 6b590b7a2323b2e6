"""How a request is signed, who shares a token, and when it is renewed."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from requests.auth import AuthBase
from requests.utils import get_auth_from_url

from airflow_provider_servicenow_dq.client.oauth import Token, fetch_token
from airflow_provider_servicenow_dq.exceptions import ServiceNowError

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from airflow_provider_servicenow_dq.client.config import InstanceConfig


class InstanceAuth(AuthBase):
    """Signs requests. The plain kinds only set a header.

    :param name: Header to set.
    :param value: Its value.
    """

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers[self._name] = self._value
        return request

    def renew(self, request: requests.PreparedRequest) -> bool:  # noqa: ARG002  # a fixed header cannot be renewed
        """Return whether it makes sense to sign the refused request anew."""
        return False


class CertificateAuth(InstanceAuth):
    """Signs nothing: the client certificate of the connection says who asks."""

    def __init__(self) -> None:
        super().__init__("", "")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave a request as it is."""
        return request


class _Cell:
    """The current token of one account, and the lock under which it is fetched."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._asked = 0
        self._failure: ServiceNowError | None = None

    def token(self, fetch: Callable[[], Token]) -> str:
        """Return the current token, or fetch one.

        Who waited while another thread was refused gets that refusal: to ask again in each thread would take
        one timeout after another, and lock the account of a wrong password.
        """
        asked = self._asked
        with self._lock:
            if self._token is not None and time.monotonic() < self._token.renew_at:
                return self._token.value
            if self._failure is not None and self._asked != asked:
                raise _copied(self._failure)
            self._token = self._failure = None
            try:
                self._token = fetch()
            except ServiceNowError as error:
                self._failure = _copied(error)
                raise
            finally:
                self._asked += 1
            return self._token.value

    def forget(self, value: str) -> None:
        """Forget a token that was refused, unless somebody else renewed it meanwhile."""
        with self._lock:
            if self._token and self._token.value == value:
                self._token = None


def _copied(error: ServiceNowError) -> ServiceNowError:
    """Return the same error without where it was raised: each thread raises its own."""
    return type(error)(*error.args)


class _Cells:
    """The accounts of this process. A forked child starts afresh: it may inherit a lock that is held."""

    def __init__(self) -> None:
        self.forget_all()
        os.register_at_fork(after_in_child=self.forget_all)

    def forget_all(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[tuple[str | None, ...], _Cell] = {}

    def of(self, config: InstanceConfig) -> _Cell:
        # The secrets are part of it: a connection with a wrong one must not borrow another's token.
        secrets = repr((config.client_secret, config.password, config.jwt_private_key, config.jwt_kid))
        digest = hashlib.sha256(secrets.encode("utf-8", "surrogatepass")).hexdigest()
        who = (config.auth_type, config.client_id, config.login, config.scope)
        key = (config.base_url, *who, config.client_cert, config.client_private_key, digest)
        with self._lock:
            return self._cells.setdefault(key, _Cell())


_CELLS = _Cells()


class TokenAuth(InstanceAuth):
    """Signs requests with an OAuth token that all users of one account in this process share.

    :param config: The instance and the account.
    :param on_secret: Told each token.
    """

    def __init__(self, config: InstanceConfig, on_secret: Callable[[str], None]) -> None:
        self._config = config
        self._on_secret = on_secret
        self._told: str | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, with a new token if the current one is about to end.

        :raises ServiceNowError: If no token is given. The request was not sent then.
        """
        token = _CELLS.of(self._config).token(partial(fetch_token, self._config, self._on_secret))
        if token != self._told:
            self._on_secret(token)
            self._told = token
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    def renew(self, request: requests.PreparedRequest) -> bool:
        """Forget the token that was refused."""
        _CELLS.of(self._config).forget(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return True


def auth_for(config: InstanceConfig, on_secret: Callable[[str], None]) -> InstanceAuth:
    """Return what signs the requests to an instance.

    :param on_secret: Told each secret that is derived from those of the connection.
    """
    if config.proxy:
        _tell_login_of_proxy(config.proxy, on_secret)
    if config.auth_type.startswith("oauth_"):
        return TokenAuth(config, on_secret)
    if config.auth_type == "api_key":
        return InstanceAuth("x-sn-apikey", config.api_key or "")
    if config.auth_type == "bearer":
        return InstanceAuth("Authorization", f"Bearer {config.api_key}")
    if config.is_known_by_certificate:
        return CertificateAuth()
    pair = _pair(config.login or "", config.password or "")
    on_secret(pair)
    return InstanceAuth("Authorization", f"Basic {pair}")


def _pair(login: str, password: str) -> str:
    return base64.b64encode(f"{login}:{password}".encode()).decode()


def _tell_login_of_proxy(proxy: str, on_secret: Callable[[str], None]) -> None:
    """Tell the password of a proxy: only its URL as a whole is known to be one."""
    login, password = get_auth_from_url(proxy)
    if password:
        on_secret(password)
        on_secret(_pair(login, password))
