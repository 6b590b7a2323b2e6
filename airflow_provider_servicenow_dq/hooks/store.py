"""From ``[servicenow_dq] store`` to the store: a URL, or the id of an Airflow connection that has it."""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection

log = logging.getLogger(__name__)

_SETTING: Final = f"[{settings.SECTION}] store"

_CONNECTION_ID: Final = re.compile(r"[\w.-]+")

#: Of a connection's extra, what PostgreSQL's own client library reads; the rest is for Airflow's hooks.
#: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_LIBPQ_OPTIONS: Final = frozenset(
    {
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "gssencmode", "channel_binding"),
        *("require_auth", "passfile", "service", "hostaddr", "target_session_attrs", "options"),
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "application_name"),
    }
)


def open_store(
    *, needs_shared_store: bool = False, find_connection: Callable[[str], Connection] | None = None
) -> Store:
    """Return the store that ``[servicenow_dq] store`` names, one per process.

    :param needs_shared_store: Whether the caller makes no sense with a store of its machine's own.
    :param find_connection: Looks up a connection where Airflow may not be asked directly.
    :raises ServiceNowConfigError: If it cannot be found, or is not shared where it must be.
    :raises StoreError: If it cannot be opened.
    """
    url = store_url(find_connection or BaseHook.get_connection)
    if needs_shared_store and _is_of_one_machine(url):
        raise ServiceNowConfigError(
            f"This needs a store that all workers share. [core] executor runs tasks on other machines, and "
            f"{_SETTING} is a SQLite file; name a PostgreSQL database there"
        )
    return _opened(url)


def is_shared(find_connection: Callable[[str], Connection] | None = None) -> bool:
    """Whether all tasks work with one store, wherever they run.

    :param find_connection: As for :func:`open_store`.
    """
    return not _is_of_one_machine(store_url(find_connection or BaseHook.get_connection))


def store_url(find_connection: Callable[[str], Connection] = BaseHook.get_connection) -> sa.URL:
    """Return the address of the store.

    :param find_connection: Looks up a connection.
    :raises ServiceNowConfigError: If the setting is neither a URL nor the id of a connection to a database
        that can be a store.
    """
    setting = settings.store()
    if _CONNECTION_ID.fullmatch(setting):
        return _url_of(_connection(setting, find_connection))
    try:
        return sa.make_url(setting)
    except (sa.exc.ArgumentError, ValueError):
        # Not even a part of it is shown: what stands where the port should be may be the password.
        raise ServiceNowConfigError(
            f"{_SETTING} is neither the id of an Airflow connection nor a SQLAlchemy URL (special characters "
            f"in a URL need %XX)"
        ) from None


@cache
def _opened(url: sa.URL) -> Store:
    if _is_of_one_machine(url):
        log.warning(
            "[core] executor runs tasks on other machines, and %s is a SQLite file, which serves one. No "
            "ticket is doubled, but each machine remembers only its own work; PostgreSQL serves all.",
            _SETTING,
        )
    return Store(url)


def _is_of_one_machine(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite" and settings.has_remote_executor()


def _connection(conn_id: str, find_connection: Callable[[str], Connection]) -> Connection:
    try:
        return find_connection(conn_id)
    except AirflowNotFoundException:
        raise ServiceNowConfigError(
            f"{_SETTING} names the connection {conn_id!r}, and there is none (a SQLAlchemy URL would have ://)"
        ) from None


def _url_of(connection: Connection) -> sa.URL:
    match connection.conn_type:
        case "postgres" | "postgresql":
            return _postgres_url(connection)
        case "sqlite":
            # A connection that was written as a URI has the path where other databases have a name.
            return sa.URL.create("sqlite", database=connection.host or connection.schema)
        case other:
            raise ServiceNowConfigError(
                f"{_SETTING} names the connection {connection.conn_id!r} of type {other!r}; a store is of "
                f"type postgres or sqlite"
            )


def _postgres_url(connection: Connection) -> sa.URL:
    extra = connection.extra_dejson
    options = {name: str(extra[name]) for name in _LIBPQ_OPTIONS & extra.keys() if extra[name] is not None}
    return sa.URL.create(
        # As Airflow's own hooks do it: the driver is psycopg2 unless the connection names another one.
        extra.get("sqlalchemy_scheme") or "postgresql+psycopg2",
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query=options,
    )
