"""Looking after a store: whether it is sound, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import letters, outbox, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection

#: Damaged places that are named.
_MOST_FINDINGS: Final = 10


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    :param rows: Number of rows of each table.
    :param entries: Number of outbox entries in each state.
    :param oldest_waiting: When the oldest entry was recorded that is still to be delivered.
    :param left_claims: Claims whose lease ran out and that nobody gave back: their holder died or is stuck.
    :param wrong: What is wrong, in words; nothing in a sound store.
    """

    rows: dict[str, int]
    entries: dict[str, int]
    oldest_waiting: datetime | None
    left_claims: int
    wrong: list[str] = field(default_factory=list)


def examine(connection: Connection, *, now: datetime) -> Health:
    """Look at everything, and change nothing."""
    rows = {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in schema.metadata.sorted_tables
    }
    oldest = connection.execute(
        sa.select(sa.func.min(schema.outbox.c.recorded_at)).where(
            schema.outbox.c.state.in_((outbox.PENDING, outbox.SENDING))
        )
    ).scalar_one()
    left = connection.execute(
        sa.select(sa.func.count())
        .select_from(schema.claim)
        .where(schema.claim.c.token != "", schema.claim.c.leased_until <= now)
    ).scalar_one()
    return Health(rows, letters.count_by_state(connection), oldest, left, list(_damage(connection)))


def _damage(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        # PostgreSQL keeps its foreign keys itself, and answers for its pages with errors.
        for pragma in ("integrity_check", "foreign_key_check"):
            found = connection.exec_driver_sql(f"PRAGMA {pragma}").fetchmany(_MOST_FINDINGS)
            yield from (f"{pragma}: {', '.join(map(str, row))}" for row in found if tuple(row) != ("ok",))
    yield from _broken_promises(connection)


def _broken_promises(connection: Connection) -> Iterator[str]:
    """Yield what no version of this package writes."""
    entries = sa.select(sa.func.count()).select_from(schema.outbox)
    unsent = connection.execute(
        entries.where(
            schema.outbox.c.state == outbox.SENDING,
            sa.or_(schema.outbox.c.write.is_(None), schema.outbox.c.tried_at.is_(None)),
        )
    ).scalar_one()
    if unsent:
        yield f"{unsent} outbox entries are being sent, and it is not written down what"
    odd = connection.execute(entries.where(schema.outbox.c.state.not_in(letters.STATES))).scalar_one()
    if odd:
        yield f"{odd} outbox entries are in a state that does not exist"
