"""What the desk says it does, kept in the store itself: what rolls back is gone here too.

The outbox forgets the write of what is done. The judge needs it, so every start and every end of an entry is
written down beside it, in the same transaction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

_metadata: Final = sa.MetaData()
_table: Final = sa.Table(
    "proof_ledger",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float),
    sa.Column("entry_id", sa.Integer),
    sa.Column("event", sa.String(20)),
    sa.Column("write", sa.JSON),
    sa.Column("action", sa.String(20)),
)

#: The event before a request leaves. The others are the states in which entries end or wait again.
START: Final = "start"


@dataclass(frozen=True)
class Event:
    """Something that happened to an entry.

    :param event: ``start``, or the state that it was given.
    :param write: Of the entry that carries one: what was about to be sent.
    """

    at: float
    event: str
    write: dict[str, Any] | None
    action: str | None


@dataclass(frozen=True)
class Line:
    """An entry as it is in the store, and everything that happened to it."""

    id: int
    kind: str
    state: str
    key: str | None
    idempotency_key: str
    correlation_id: str
    ticket: str | None
    action: str | None
    message: str
    warnings: list[str]
    events: list[Event]


def keep() -> None:
    """Write down from now on, in this process and those that it forks."""
    start, settle = outbox.start, outbox.settle

    def kept_start(connection: Connection, ids: Sequence[int], *, write: Any, now: Any) -> None:
        start(connection, ids, write=write, now=now)
        for entry_id in ids:
            _add(connection, [entry_id], START, write if entry_id == ids[0] else None)

    def kept_settle(connection: Connection, ids: Iterable[int], *, state: str, **facts: Any) -> None:
        ids = list(ids)
        settle(connection, ids, state=state, **facts)
        _add(connection, ids, state, None, facts.get("action"))

    outbox.start, outbox.settle = kept_start, kept_settle


def open_in(connection: Connection) -> None:
    """Begin a ledger in a store; an old one there is emptied."""
    _metadata.create_all(connection)
    connection.execute(_table.delete())


def read(connection: Connection) -> list[Line]:
    """Return every entry of a store, in the order in which they were recorded."""
    events: dict[int, list[Event]] = {}
    for row in connection.execute(sa.select(_table).order_by(_table.c.id)):
        events.setdefault(row.entry_id, []).append(Event(row.at, row.event, row.write, row.action))
    box = schema.outbox
    rows = connection.execute(
        sa.select(box, schema.ticket.c.sys_id)
        .outerjoin(schema.ticket, schema.ticket.c.id == box.c.ticket_id)
        .order_by(box.c.id)
    )
    return [
        Line(
            row.id,
            row.kind,
            row.state,
            row.key,
            row.idempotency_key,
            row.correlation_id,
            row.sys_id,
            row.action,
            row.message or "",
            row.warnings or [],
            events.get(row.id, []),
        )
        for row in rows
    ]


def slowest(logged: list[Any], books: Iterable[Sequence[Line]], late_s: float) -> float:
    """Return the longest time between writing down that a request leaves and its end on the instance.

    :param late_s: How long after it was dropped a request may still be committed.
    """
    left: dict[str, list[float]] = {}
    for line in (line for book in books for line in book):
        for event in line.events:
            if event.write:
                left.setdefault(_mark(event.write.get("values") or event.write), []).append(event.at)
    longest = 0.0
    for each in logged:
        if each.method in {"POST", "PATCH"} and each.body:
            before = [at for at in left.get(_mark(each.body), ()) if at <= each.started]
            ended = each.finished + (0 if each.status else late_s)
            longest = max(longest, ended - max(before, default=ended))
    return longest


def _mark(values: dict[str, Any]) -> str:
    return str(values.get("work_notes") or values.get("comments") or values.get("sys_id"))


def _add(
    connection: Connection, ids: Sequence[int], event: str, write: Any, action: str | None = None
) -> None:
    rows = [
        {"at": time.time(), "entry_id": entry_id, "event": event, "write": write, "action": action}
        for entry_id in ids
    ]
    if rows:
        connection.execute(_table.insert(), rows)
