"""Requests that were answered: a client that has lost the answer asks again and gets the same one.

What an instance tells (the webhook) is kept here, too: it is heard once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import insert_into, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.request


class Answered(NamedTuple):
    """A request, and the cases that it was answered with.

    :param content: Hash of what was asked.
    """

    content: str
    case_ids: list[str]


def answered(connection: Connection, key: str, *, since: datetime) -> Answered | None:
    """Return what a request was answered with.

    :param since: Older ones are forgotten.
    """
    row = connection.execute(
        sa.select(_table.c.content, _table.c.case_ids).where(
            _table.c.key == key, _table.c.recorded_at >= since
        )
    ).one_or_none()
    return None if row is None else Answered(row.content, row.case_ids)


def remember(
    connection: Connection, key: str, content: str, case_ids: Sequence[str], *, now: datetime
) -> None:
    """Keep what a request was answered with, in the transaction that does it."""
    row = {"key": key, "content": content, "case_ids": list(case_ids), "recorded_at": now}
    upsert(connection, _table, [row], keys=("key",), update=("content", "case_ids", "recorded_at"))


def claim(connection: Connection, key: str, *, now: datetime) -> bool:
    """Keep a request that has no answer to be repeated; return whether it is the first of its key."""
    row = {"key": key, "content": key, "case_ids": [], "recorded_at": now}
    return bool(
        connection.execute(insert_into(connection, _table).values(row).on_conflict_do_nothing()).rowcount
    )


def unclaim(connection: Connection, key: str) -> None:
    """Forget a request that came to nothing, so that it may come again."""
    connection.execute(_table.delete().where(_table.c.key == key))


def forget(connection: Connection, *, before: datetime) -> int:
    """Forget requests that nobody repeats any more; return how many went."""
    return connection.execute(_table.delete().where(_table.c.recorded_at < before)).rowcount
