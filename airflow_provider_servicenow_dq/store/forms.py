"""What forms offer, as instances last told: a cache, which nothing but a form leans on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import upsert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

_table: Final = schema.form
_KEYS: Final = ("host", "table_name", "name")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form of one table offered when it was read.

    :param content: Plain JSON, of whoever wrote it.
    """

    host: str
    content: dict[str, Any]
    read_at: datetime


def get(connection: Connection, host: str, table: str, name: str) -> Form | None:
    """Return what is remembered of a form of an instance."""
    of_host = sa.select(_table).where(_table.c.host == host)
    return _form(connection.execute(_named(of_host, table, name)).one_or_none())


def newest(connection: Connection, conn_id: str, table: str, name: str) -> Form | None:
    """Return what is remembered of a form of the instance to which a connection leads.

    Where it has led to several, it is the one that was read last.
    """
    led_to = sa.select(schema.instance.c.host).where(schema.instance.c.conn_id == conn_id)
    of_hosts = sa.select(_table).where(_table.c.host.in_(led_to))
    wanted = _named(of_hosts, table, name).order_by(_table.c.read_at.desc()).limit(1)
    return _form(connection.execute(wanted).one_or_none())


def remember(
    connection: Connection, host: str, table: str, name: str, content: Mapping[str, Any], *, read_at: datetime
) -> None:
    """Keep what a form offers now, instead of what it offered before."""
    row = {
        "host": host,
        "table_name": table,
        "name": name,
        "content": dict(content),
        "read_at": read_at,
    }
    upsert(connection, _table, [row], keys=_KEYS, update=("content", "read_at"))


def _named(query: sa.Select[Any], table: str, name: str) -> sa.Select[Any]:
    return query.where(_table.c.table_name == table, _table.c.name == name)


def _form(row: Row[Any] | None) -> Form | None:
    return None if row is None else Form(row.host, row.content, row.read_at)
