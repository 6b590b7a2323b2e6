"""Checks that passed, since their anomalies were seen last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.check_pass
_seen: Final = schema.occurrence
_seen_at: Final = sa.func.max(sa.func.coalesce(_seen.c.detected_at, _seen.c.recorded_at))


class Passing(NamedTuple):
    """One pass: the key of the anomaly that it stands against, which pass it is, and when it was."""

    key: str
    occurrence: str
    passed_at: datetime


class Streak(NamedTuple):
    """Passes without a failure between them.

    :param since: When the anomaly was seen last before them.
    :param times: How many.
    :param first_at: When the first was.
    :param last_at: When the last was.
    """

    since: datetime
    times: int
    first_at: datetime
    last_at: datetime


def remember(connection: Connection, passings: Iterable[Passing]) -> None:
    """Keep every pass once."""
    # In one order for all: two transactions that lock the same rows in different orders wait for each other.
    rows = [passing._asdict() for passing in sorted(passings)]
    upsert(connection, _table, rows, keys=("key", "occurrence"))


def streaks(connection: Connection, keys: Iterable[str]) -> dict[str, Streak]:
    """Return the passes of anomalies since they were seen last, and forget those before."""
    found: dict[str, Streak] = {}
    for batch in batches(sorted(keys)):
        _lock(connection, batch)
        seen = (
            sa.select(_seen.c.key, _seen_at.label("since"))
            .where(_seen.c.key.in_(batch))
            .group_by(_seen.c.key)
            .subquery()
        )
        passed_at = _table.c.passed_at
        rows = connection.execute(
            sa.select(
                seen.c.key, seen.c.since, sa.func.count(), sa.func.min(passed_at), sa.func.max(passed_at)
            )
            .join(_table, _table.c.key == seen.c.key)
            .where(passed_at > seen.c.since)
            .group_by(seen.c.key, seen.c.since)
        )
        found.update((key, Streak(*streak)) for key, *streak in rows)
        last = sa.select(_seen_at).where(_seen.c.key == _table.c.key).scalar_subquery()
        connection.execute(_table.delete().where(_table.c.key.in_(batch), _table.c.passed_at <= last))
    return found


def goes_on(connection: Connection, key: str, streak: Streak) -> bool:
    """Whether the anomaly was not seen again meanwhile; until the end of the transaction it will not be."""
    _lock(connection, [key])
    since: datetime = connection.execute(sa.select(_seen_at).where(_seen.c.key == key)).scalar_one()
    return since == streak.since


def _lock(connection: Connection, keys: Iterable[str]) -> None:
    """Let nobody see these anomalies again until the end of the transaction."""
    key = schema.anomaly.c.key
    connection.execute(sa.select(key).where(key.in_(list(keys))).order_by(key).with_for_update())
