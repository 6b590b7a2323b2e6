"""Which changes each run of a task took, so that the next one begins where the last successful one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection

#: A run has taken them, and may die before anybody gets them.
TAKEN: Final = "taken"
#: They were returned; whether the task succeeded is Airflow's to tell.
RETURNED: Final = "returned"
#: The task succeeded.
SUCCEEDED: Final = "succeeded"

_table: Final = schema.taken


class Consumer(NamedTuple):
    """Who takes changes of a table's tickets.

    :param name: The task, the same in all its runs.
    """

    instance: str
    table: str
    name: str


class Stretch(NamedTuple):
    """What a run took: changes behind one number, up to another.

    :param run: Empty outside of a DAG.
    """

    run: str
    after: int
    to: int
    state: str


def of_run(connection: Connection, consumer: Consumer, run: str) -> Stretch | None:
    """Return what a run has taken; None if it has not come so far."""
    rows = list(_read(connection, consumer, _table.c.run == run))
    return rows[0] if rows else None


def unsettled(connection: Connection, consumer: Consumer) -> list[Stretch]:
    """Return what runs took of which it is not known whether they succeeded, the furthest first.

    Only those that reach further than what is known to have succeeded.
    """
    behind = _table.c.to_number > succeeded_to(connection, consumer)
    return list(_read(connection, consumer, behind, _table.c.state != SUCCEEDED))


def succeeded_to(connection: Connection, consumer: Consumer) -> int:
    """Return up to which number a successful run came; 0 if there was none."""
    number: int | None = connection.execute(
        sa.select(sa.func.max(_table.c.to_number)).where(*_of(consumer), _table.c.state == SUCCEEDED)
    ).scalar_one()
    return number or 0


def put(connection: Connection, consumer: Consumer, stretch: Stretch, *, now: datetime) -> None:
    """Write down what a run takes."""
    row = {
        "instance": consumer.instance,
        "table_name": consumer.table,
        "consumer": consumer.name,
        "run": stretch.run,
        "after_number": stretch.after,
        "to_number": stretch.to,
        "state": stretch.state,
        "taken_at": now,
    }
    keys = ("instance", "table_name", "consumer", "run")
    upsert(connection, _table, [row], keys=keys, update=tuple(row.keys() - set(keys)))


def mark(connection: Connection, consumer: Consumer, runs: Iterable[str], state: str) -> None:
    """Write down what has become of what runs took; one that succeeded stays so."""
    for batch in batches(sorted(runs)):
        connection.execute(
            _table.update()
            .where(*_of(consumer), _table.c.run.in_(batch), _table.c.state != SUCCEEDED)
            .values(state=state)
        )


def _of(consumer: Consumer) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _table.c.instance == consumer.instance,
        _table.c.table_name == consumer.table,
        _table.c.consumer == consumer.name,
    )


def _read(
    connection: Connection, consumer: Consumer, *conditions: sa.ColumnElement[bool]
) -> Iterator[Stretch]:
    rows = connection.execute(
        sa.select(_table.c.run, _table.c.after_number, _table.c.to_number, _table.c.state)
        .where(*_of(consumer), *conditions)
        .order_by(_table.c.to_number.desc(), _table.c.taken_at.desc())
    )
    return (Stretch(*row) for row in rows)
