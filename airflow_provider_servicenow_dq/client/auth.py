"""How a request is signed, who shares a token, and when it is renewed."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from airflow_provider_servicenow_dq.client.oauth import Token, fetch_token

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


class _Cell:
    """The current token of one account, and the lock under which it is fetched."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.token: Token | None = None


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
        key = (config.base_url, config.auth_type, config.client_id, config.login, digest)
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
        cell = _CELLS.of(self._config)
        with cell.lock:
            if cell.token is None or time.monotonic() >= cell.token.renew_at:
                cell.token = fetch_token(self._config, self._on_secret)
            token = cell.token.value
        if token != self._told:
            self._on_secret(token)
            self._told = token
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    def renew(self, request: requests.PreparedRequest) -> bool:
        """Forget the token that was refused, unless somebody else renewed it meanwhile."""
        cell = _CELLS.of(self._config)
        with cell.lock:
            if cell.token and request.headers.get("Authorization") == f"Bearer {cell.token.value}":
                cell.token = None
        return True


def auth_for(config: InstanceConfig, on_secret: Callable[[str], None]) -> InstanceAuth:
    """Return what signs the requests to an instance.

    :param on_secret: Told each secret that is derived from those of the connection.
    """
    if config.auth_type.startswith("oauth_"):
        return TokenAuth(config, on_secret)
    if config.auth_type == "api_key":
        return InstanceAuth("x-sn-apikey", config.api_key or "")
    if config.auth_type == "bearer":
        return InstanceAuth("Authorization", f"Bearer {config.api_key}")
    pair = base64.b64encode(f"{config.login}:{config.password}".encode()).decode()
    on_secret(pair)
    return InstanceAuth("Authorization", f"Basic {pair}")
