"""What we have learned about an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as we know it.

    ``honours_sys_id``: whether it keeps the sys_id that we give to a new record (None: not known yet).
    ``conn_id``: the Airflow connection by which somebody last worked with it.
    """

    host: str
    honours_sys_id: bool | None = None
    conn_id: str | None = None


def get(connection: Connection, host: str) -> Instance:
    """Return what is known about an instance."""
    row = connection.execute(sa.select(schema.instance).where(schema.instance.c.host == host)).one_or_none()
    return Instance(host) if row is None else Instance(row.host, row.honours_sys_id, row.conn_id)


def learn(connection: Connection, host: str, **facts: bool | str) -> None:
    """Remember facts about an instance: ``honours_sys_id`` or ``conn_id``."""
    upsert(connection, schema.instance, [{"host": host, **facts}], keys=("host",), update=tuple(facts))


def user_names(connection: Connection, host: str) -> dict[str, str]:
    """Return under which user name each account has worked on an instance."""
    rows = connection.execute(sa.select(schema.account).where(schema.account.c.host == host))
    return {row.account: row.user_name for row in rows}


def learn_user_name(connection: Connection, host: str, account: str, user_name: str) -> None:
    """Remember under which user name an account works on an instance."""
    row = {"host": host, "account": account, "user_name": user_name}
    upsert(connection, schema.account, [row], keys=("host", "account"), update=("user_name",))
