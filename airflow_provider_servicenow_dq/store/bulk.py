"""Many rows at once: the one statement in which SQLite and PostgreSQL differ, and lists in parts."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection

T = TypeVar("T")

#: How many values one statement names: well below what either database takes.
BATCH: Final = 500


def insert_into(connection: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say what to do about a row that is there already."""
    return _insert(connection.dialect.name, table)


def _insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def upsert(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert rows; where the keys exist already, overwrite the ``update`` columns, if there are any."""
    if rows:
        connection.execute(_upserting(connection.dialect.name, table, tuple(keys), tuple(update)), rows)


@cache  # putting one together takes longer than executing it
def _upserting(dialect: str, table: sa.Table, keys: tuple[str, ...], update: tuple[str, ...]) -> sa.Insert:
    statement = _insert(dialect, table)
    if not update:
        return statement.on_conflict_do_nothing(index_elements=list(keys))
    new = {name: statement.excluded[name] for name in update}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=new)


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
