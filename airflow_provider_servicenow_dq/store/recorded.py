"""What is recorded for whom: look-ups in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.outbox


def addresses_of(
    connection: Connection, instance: str, *kinds: str, task: str | None = None
) -> list[Address]:
    """Return where entries of some kinds wait on an instance, in the order in which they were recorded.

    :param task: Only those that this task instance recorded.
    """
    rows = connection.execute(
        sa.select(_table.c.table_name, _table.c.correlation_id)
        .where(
            _table.c.instance == instance,
            _table.c.state.in_((outbox.PENDING, outbox.SENDING)),
            _table.c.kind.in_(kinds),
            *([_table.c.recorded_by == task] if task is not None else ()),
        )
        .order_by(_table.c.id)
    )
    return list(dict.fromkeys(Address(instance, row.table_name, row.correlation_id) for row in rows))


def left_by(connection: Connection, task: str, addresses: Iterable[Address]) -> list[Address]:
    """Return at which of these addresses of one instance something waits that a task instance recorded."""
    found: dict[Address, None] = {}
    for batch in batches(addresses):
        rows = connection.execute(
            sa.select(_table.c.instance, _table.c.table_name, _table.c.correlation_id).where(
                _table.c.instance == batch[0].instance,
                _table.c.correlation_id.in_([address.correlation_id for address in batch]),
                _table.c.state.in_((outbox.PENDING, outbox.SENDING)),
                _table.c.recorded_by == task,
            )
        )
        found.update((address, None) for address in {Address(*row) for row in rows}.intersection(batch))
    return list(found)


def refused_of(connection: Connection, task: str, kinds: Iterable[str]) -> list[str]:
    """Return why entries of some kinds were given up that a task instance, or a request, has recorded."""
    found = sa.select(_table.c.kind, _table.c.id, _table.c.state, _table.c.message).where(
        _table.c.recorded_by == task,
        _table.c.kind.in_(list(kinds)),
        _table.c.state.in_(tuple(outbox.GIVEN_UP)),
    )
    return [
        f"{row.kind}, outbox entry {row.id} is {row.state}: {row.message}"
        for row in connection.execute(found.order_by(_table.c.id))
    ]


def has_reported(connection: Connection, instance: str, task: str) -> bool:
    """Whether a task instance has recorded a report for this instance, whatever has become of it."""
    found = sa.select(_table.c.id).where(
        _table.c.instance == instance, _table.c.kind == outbox.REPORT, _table.c.recorded_by == task
    )
    return connection.execute(found.limit(1)).first() is not None


def newest(connection: Connection, address: Address, *, kind: str, key: str) -> tuple[Entry | None, int]:
    """Return the last intent of a kind for an anomaly at an address, and how many there are."""
    ids = (
        connection.execute(
            sa.select(_table.c.id)
            .where(*outbox.at_address(_table), _table.c.kind == kind, _table.c.key == key)
            .order_by(_table.c.id),
            address.bound,
        )
        .scalars()
        .all()
    )
    return (outbox.by_ids(connection, ids[-1:])[ids[-1]] if ids else None), len(ids)


def newest_at(connection: Connection, address: Address, *, kinds: Iterable[str]) -> Entry | None:
    """Return the last intent of some kinds at an address, whatever has become of it."""
    found = sa.select(_table).where(*outbox.at_address(_table), _table.c.kind.in_(list(kinds)))
    row = connection.execute(found.order_by(_table.c.id.desc()).limit(1), address.bound).one_or_none()
    return outbox.entry_of(row) if row is not None else None


def keys_of(connection: Connection, task: str, addresses: Iterable[Address], *, kind: str) -> set[str]:
    """Return for which anomalies a task instance has recorded something of a kind at these addresses.

    :param addresses: Of one instance and table.
    """
    found: set[str] = set()
    for batch in batches(addresses):
        rows = connection.execute(
            sa.select(_table.c.key).where(
                _table.c.instance == batch[0].instance,
                _table.c.table_name == batch[0].table,
                _table.c.correlation_id.in_([address.correlation_id for address in batch]),
                _table.c.kind == kind,
                _table.c.recorded_by == task,
            )
        )
        found.update(rows.scalars())
    return found


def reports_of(
    connection: Connection, keys: Iterable[str], *, instance: str, table: str
) -> dict[str, list[Address]]:
    """Return where reports of anomalies wait, or are dead: their tickets are to come; of others nothing."""
    found: dict[str, dict[Address, None]] = {}
    for batch in batches(keys):
        rows = connection.execute(
            sa.select(_table.c.key, _table.c.correlation_id).where(
                _table.c.instance == instance,
                _table.c.table_name == table,
                _table.c.state.not_in(tuple(outbox.ENDED)),
                _table.c.kind == outbox.REPORT,
                _table.c.key.in_(batch),
            )
        )
        for row in rows:
            found.setdefault(row.key, {})[Address(instance, table, row.correlation_id)] = None
    return {key: list(addresses) for key, addresses in found.items()}


def waiting_reports(connection: Connection, keys: Iterable[str], *, instance: str, table: str) -> list[Entry]:
    """Return the reports of these anomalies that wait or are being sent, in the order of recording.

    Until the end of the transaction nobody else moves them to another ticket.
    """
    found: list[Entry] = []
    for batch in batches(sorted(keys)):
        rows = connection.execute(
            sa.select(_table)
            .where(
                _table.c.instance == instance,
                _table.c.table_name == table,
                _table.c.state.in_((outbox.PENDING, outbox.SENDING)),
                _table.c.kind == outbox.REPORT,
                _table.c.key.in_(batch),
            )
            .order_by(_table.c.id)
            .with_for_update()
        )
        found += map(outbox.entry_of, rows)
    return found


def hidden_creates(connection: Connection, instance: str, *, since: datetime) -> list[Entry]:
    """Return reports that may have opened a ticket which nobody can see, the newest first.

    Once a ticket is known at their address they are no riddle any more.
    """
    tickets = schema.ticket
    seen = (
        sa.select(tickets.c.id)
        .where(
            tickets.c.instance == _table.c.instance,
            tickets.c.table_name == _table.c.table_name,
            tickets.c.correlation_id == _table.c.correlation_id,
        )
        .exists()
    )
    rows = connection.execute(
        sa.select(_table)
        .where(
            _table.c.instance == instance,
            _table.c.state.in_((outbox.DEAD, outbox.PENDING)),
            _table.c.action == outbox.HIDDEN,
            _table.c.settled_at >= since,
            ~seen,
        )
        .order_by(_table.c.settled_at.desc())
    )
    return [outbox.entry_of(row) for row in rows]
