"""The whole store as JSON lines, to keep or to move to another database.

The first line says which schema it is, the last one how many rows there were: a file that was cut short is
noticed.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.schema import HEAD, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.store import Store

#: Rows in hand at once.
_AT_ONCE: Final = 1000
_HEADER: Final = "servicenow_dq_store"
#: Claims are of this moment and this database: nobody holds one in another.
_TABLES: Final = tuple(table for table in schema.metadata.sorted_tables if table is not schema.claim)


def export_store(store: Store, file: IO[str]) -> dict[str, int]:
    """Write all rows as of one moment; return their number by table.

    Others may go on working meanwhile.
    """
    written: dict[str, int] = {}
    file.write(_line({_HEADER: HEAD}))
    with store.snapshot() as connection:
        for table in _TABLES:
            everything = sa.select(table).order_by(*table.primary_key)
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(everything)
            written[table.name] = 0
            for row in rows.mappings():
                file.write(_line({"table": table.name, "row": _plain(dict(row))}))
                written[table.name] += 1
    file.write(_line({"rows": written}))
    return written


def import_store(store: Store, file: IO[str]) -> dict[str, int]:
    """Read what :func:`export_store` wrote into an empty store, all or nothing; return what came in.

    :raises StoreError: If the store is not empty, or the file is no export, of another schema, or cut short.
    """
    store.upgrade()
    try:
        with store.begin() as connection:
            _require_empty(connection)
            read = _read(connection, file)
            _number_on(connection)
    except sa.exc.IntegrityError as error:
        raise StoreError(f"The export contradicts itself, nothing was imported: {error.orig}") from error
    return read


def _read(connection: Connection, file: IO[str]) -> dict[str, int]:
    lines = _parsed(file)
    header = next(lines, {})
    if _HEADER not in header:
        raise StoreError("This is no export of a store, nothing was imported")
    if header[_HEADER] != HEAD:
        raise StoreError(
            f"The export has schema {header[_HEADER]!r} and this version of the package works with {HEAD!r}. "
            "Import it with the version that wrote it, then upgrade; nothing was imported"
        )
    tables = {table.name: table for table in _TABLES}
    read = dict.fromkeys(tables, 0)
    batch: list[dict[str, Any]] = []
    filled = ""
    for line in lines:
        if "rows" in line:
            _insert(connection, tables.get(filled), batch)
            if line["rows"] != read:
                raise StoreError("The export has lost rows, nothing was imported")
            return read
        name = line.get("table", "")
        if name not in tables:
            raise StoreError(f"The export has a table {name!r} that does not exist, nothing was imported")
        if name != filled or len(batch) >= _AT_ONCE:
            _insert(connection, tables.get(filled), batch)
            filled, batch = name, []
        batch.append(_typed(tables[name], line["row"]))
        read[name] += 1
    raise StoreError("The export was cut short, nothing was imported")


def _insert(connection: Connection, table: sa.Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        connection.execute(table.insert(), rows)


def _parsed(file: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise StoreError(f"Line {number} of the export cannot be read, nothing was imported")
        yield parsed


def _require_empty(connection: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise StoreError(f"The store is not empty ({table.name} has rows), so nothing was imported")


def _number_on(connection: Connection) -> None:
    """Let PostgreSQL number new rows behind those that came with their ids."""
    if connection.dialect.name != "postgresql":
        return
    for table in (schema.ticket, schema.outbox):
        newest = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(sequence, newest + 1, sa.false())))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _typed(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(row.keys() - set(table.columns.keys()))
    if unknown:
        raise StoreError(f"{table.name} has no column {unknown[0]!r}, nothing was imported")
    return {
        column.name: datetime.fromisoformat(row[column.name])
        if isinstance(column.type, UtcDateTime) and row.get(column.name) is not None
        else row.get(column.name)
        for column in table.columns
    }


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content) + "\n"
