"""Which column of a table keeps our correlation ids, where somebody said or found it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_table: Final = schema.key_column


class KeyColumn(NamedTuple):
    """A column, and whether the table is known to have it."""

    name: str
    is_proven: bool


def get(connection: Connection, host: str, table: str) -> KeyColumn | None:
    """Return what is known about a table of an instance."""
    row = connection.execute(
        sa.select(_table).where(_table.c.host == host, _table.c.table_name == table)
    ).one_or_none()
    return None if row is None else KeyColumn(row.column_name, row.proven)


def learn(connection: Connection, host: str, table: str, column: KeyColumn) -> None:
    """Remember a table's column."""
    row = {"host": host, "table_name": table, "column_name": column.name, "proven": column.is_proven}
    upsert(connection, _table, [row], keys=("host", "table_name"), update=("column_name", "proven"))
