"""Texts without secrets: those of the connections of a request, and all that Airflow's masker was told of."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook
from airflow.sdk.log import redact  # type: ignore[attr-defined]  # both versions have it there, unlisted

from airflow_provider_servicenow_dq.client.hiding import hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Connection

#: Fields of a connection's extra that are secret, or hold one.
_SECRET_EXTRAS: Final = ("client_secret", "api_key", "jwt_private_key", "proxy", "webhook_secret")
#: A URL holds its password between the first colon and the last at sign before the host.
_USER_IN_URL: Final = re.compile(r"//[^/@]*?:(?P<password>.+)@")
_LOGIN_IN_URL: Final = re.compile(r"//[^\s/@:]*:[^\s@]+@")


class Secrets:
    """Secrets of the connections that were read for a request."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def find(self, conn_id: str) -> Connection:
        """Return a connection, and know its secrets from now on."""
        connection = BaseHook.get_connection(conn_id)
        self._known.update(_secrets_of(connection))
        return connection

    def hidden_in(self, text: str) -> str:
        """Return a text in which none of them stands, nor what was derived from them (tokens)."""
        return str(redact(hidden(text, self._known)))

    def hidden_in_log(self, text: str) -> str:
        """Return a text of which nothing is known, such as another library's error, without any secret."""
        return _LOGIN_IN_URL.sub("//***@", self.hidden_in(text))


def _secrets_of(connection: Connection) -> Iterator[str]:
    extra: Any = connection.extra_dejson
    named = [extra.get(name) for name in _SECRET_EXTRAS] if isinstance(extra, dict) else []
    login = f"{connection.login}:{connection.password}"
    basic = base64.b64encode(login.encode("utf-8", "replace")).decode()
    inside = [found["password"] for text in named if (found := _USER_IN_URL.search(str(text)))]
    for secret in (connection.password, basic, *named, *inside):
        if isinstance(secret, str):
            yield secret
