"""Forgetting what nobody needs to know any more, without ever sending anything twice."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import exclusive, outbox, schema
from airflow_provider_servicenow_dq.store.taken import SUCCEEDED
from airflow_provider_servicenow_dq.tickets.incident import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.store import Store

#: Rows that go in one transaction: on SQLite others wait for it.
_AT_ONCE: Final = 500

_anomalies: Final = schema.anomaly
_entries: Final = schema.outbox
_tickets: Final = schema.ticket
_links: Final = schema.link
_notes: Final = schema.known_note
_changes: Final = schema.change
_taken: Final = schema.taken

#: Kinds of entries whose texts nobody reads any more once they are delivered.
_WORDY: Final = (outbox.REPORT, outbox.NOTE, outbox.MOVE, outbox.COMMENT, outbox.LINK)


@dataclass(slots=True)
class Pruned:
    """How many rows went, and of how many delivered entries the texts did."""

    anomalies: int = 0
    occurrences: int = 0
    tickets: int = 0
    links: int = 0
    known_notes: int = 0
    entries: int = 0
    texts: int = 0
    changes: int = 0
    cases: int = 0

    def add(self, other: Pruned) -> None:
        """Add up."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))


def prune(store: Store, *, before: datetime, dry_run: bool = False) -> Iterator[Pruned]:
    """Forget what ended before a time; yield what went, transaction by transaction.

    A ticket goes with all that belongs to it, its case as well, when every ticket of its correlation id was
    seen closed or canceled before that time, none of its anomalies was reported since and nothing waits, is
    dead or was discarded there: a look on the instance finds such a ticket again. An anomaly goes with its
    last ticket.
    Of everything else that was delivered the texts go and the idempotency key stays: what was sent once is
    never sent again. What people did to tickets goes with its time, whoever was told of it.

    :param dry_run: Only count.
    """
    for step in (_prune_tickets, _prune_anomalies, _prune_texts, _prune_changes, _prune_taken):
        last: Any = None
        while True:
            with store.snapshot() if dry_run else store.begin() as connection:
                last, pruned = step(connection, before, last, dry_run=dry_run)
            if last is None:
                break
            yield pruned


def _prune_tickets(
    connection: Connection, before: datetime, after: Any, *, dry_run: bool
) -> tuple[Any, Pruned]:
    over = _is_over(_tickets, before)
    if not dry_run:
        # Who puts a finding into a case that is over has done so by now, or waits.
        exclusive.alone(connection)
    found = _next(connection, _tickets.c.id, [over], after)
    siblings, first = schema.ticket.alias(), schema.ticket.alias()
    places = sa.select(first.c.id).join_from(siblings, first, _same_place(siblings, first))
    all_there = _tickets.c.id.in_(places.where(siblings.c.id.in_(found)))
    ids = found if dry_run else _settled(connection, _tickets.c.id, found, all_there, [over])
    of_them = sa.and_(
        # What is reported only now gets a ticket of its own, or one that a look on the instance finds again.
        _entries.c.state == outbox.DONE,
        _entries.c.settled_at < before,
        _entries.c.id.in_(
            sa.select(_entries.c.id)
            .join_from(siblings, _entries, _same_place(siblings, _entries))
            .where(siblings.c.id.in_(ids))
        ),
    )
    if not dry_run:
        _lock(connection, _entries.c.id, of_them)
    cases, findings = schema.case, schema.case_finding
    # A place goes as a whole, and so do all cases of tickets there.
    their_cases = (
        sa.select(cases.c.id)
        .join_from(siblings, cases, _same_place(siblings, cases))
        .where(siblings.c.id.in_(ids))
    )
    _remove(connection, findings, findings.c.case_id.in_(their_cases), dry_run=dry_run)
    left = schema.case_left
    _remove(connection, left, left.c.case_id.in_(their_cases), dry_run=dry_run)
    gone = _remove(connection, cases, cases.c.id.in_(their_cases), dry_run=dry_run)
    journal = schema.journal_entry
    _remove(connection, journal, journal.c.ticket_id.in_(ids), dry_run=dry_run)
    pruned = Pruned(
        cases=gone,
        entries=_remove(connection, _entries, of_them, dry_run=dry_run),
        links=_remove(connection, _links, _links.c.ticket_id.in_(ids), dry_run=dry_run),
        known_notes=_remove(connection, _notes, _notes.c.ticket_id.in_(ids), dry_run=dry_run),
        tickets=_remove(connection, _tickets, _tickets.c.id.in_(ids), dry_run=dry_run),
    )
    return found[-1] if found else None, pruned


def _prune_anomalies(
    connection: Connection, before: datetime, after: Any, *, dry_run: bool
) -> tuple[Any, Pruned]:
    if not dry_run:
        exclusive.alone(connection)
    waiting = sa.select(_entries.c.key).where(_entries.c.key.is_not(None), _entries.c.state != outbox.DONE)
    tickets = schema.ticket.alias()
    still_linked = (
        sa.select(_links.c.key)
        .join(tickets, tickets.c.id == _links.c.ticket_id)
        .where(_links.c.key == _anomalies.c.key, ~_is_over(tickets, before))
        .exists()
    )
    in_cases = sa.select(schema.case_finding.c.key).where(schema.case_finding.c.key == _anomalies.c.key)
    going = [
        _anomalies.c.last_seen_at < before,
        ~still_linked,
        ~in_cases.exists(),
        _anomalies.c.key.not_in(waiting),
    ]
    found = _next(connection, _anomalies.c.key, going, after)
    name = _anomalies.c.key
    keys = found if dry_run else _settled(connection, name, found, name.in_(found), going)
    pruned = Pruned(
        occurrences=_remove(
            connection, schema.occurrence, schema.occurrence.c.key.in_(keys), dry_run=dry_run
        ),
        anomalies=_remove(connection, _anomalies, _anomalies.c.key.in_(keys), dry_run=dry_run),
    )
    _remove(connection, schema.check_pass, schema.check_pass.c.key.in_(keys), dry_run=dry_run)
    return found[-1] if found else None, pruned


def _prune_texts(
    connection: Connection, before: datetime, after: Any, *, dry_run: bool
) -> tuple[Any, Pruned]:
    tickets = schema.ticket.alias()
    going_anyway = sa.select(tickets.c.id).where(_same_place(tickets, _entries), _is_over(tickets, before))
    wordy = [
        _entries.c.state == outbox.DONE,
        _entries.c.kind.in_(_WORDY),
        _entries.c.settled_at < before,
        sa.cast(_entries.c.payload, sa.Text) != "{}",
        ~going_anyway.exists(),
    ]
    ids = _next(connection, _entries.c.id, wordy, after)
    if not dry_run:
        _lock(connection, _entries.c.id, _entries.c.id.in_(ids))
        connection.execute(
            _entries.update().where(_entries.c.id.in_(ids)).values(payload={}, message=None, warnings=None)
        )
    return ids[-1] if ids else None, Pruned(texts=len(ids))


def _prune_changes(
    connection: Connection, before: datetime, after: Any, *, dry_run: bool
) -> tuple[Any, Pruned]:
    old = (_changes.c.recorded_at < before, *_behind(_changes, after))
    rows = sa.select(_changes.c.instance, _changes.c.number).where(*old)
    found = connection.execute(rows.order_by(_changes.c.instance, _changes.c.number).limit(_AT_ONCE)).all()
    pruned = Pruned()
    for host in {row.instance for row in found}:
        numbers = [row.number for row in found if row.instance == host]
        of_them = sa.and_(_changes.c.instance == host, _changes.c.number.in_(numbers))
        pruned.changes += _remove(connection, _changes, of_them, dry_run=dry_run)
    return tuple(found[-1]) if found else None, pruned


def _behind(table: sa.Table, after: Any) -> list[sa.ColumnElement[bool]]:
    names = list(table.primary_key)
    return [] if after is None else [sa.tuple_(*names) > sa.tuple_(*map(sa.literal, after))]


def _prune_taken(
    connection: Connection, before: datetime, after: Any, *, dry_run: bool
) -> tuple[Any, Pruned]:
    """Forget what runs took, but for the last one of each task that succeeded."""
    later = schema.taken.alias()
    passed = sa.select(later.c.run).where(
        *(later.c[name] == _taken.c[name] for name in ("instance", "table_name", "consumer")),
        later.c.state == SUCCEEDED,
        later.c.run != _taken.c.run,
        later.c.to_number >= _taken.c.to_number,
        later.c.taken_at > _taken.c.taken_at,
    )
    if after is None:
        _remove(connection, _taken, sa.and_(_taken.c.taken_at < before, passed.exists()), dry_run=dry_run)
    return None, Pruned()


def _is_over(tickets: sa.FromClause, before: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for tickets that go."""
    siblings, members = schema.ticket.alias(), schema.ticket.alias()
    busy = sa.select(siblings.c.id).where(
        _same_place(siblings, tickets),
        sa.or_(siblings.c.state.not_in(tuple(ENDED)), siblings.c.changed_at >= before),
    )
    entries = schema.outbox.alias()
    unfinished = sa.select(entries.c.id).where(
        _same_place(entries, tickets),
        sa.or_(entries.c.state != outbox.DONE, entries.c.settled_at >= before),
    )
    links, anomalies = schema.link.alias(), schema.anomaly.alias()
    seen_since = (
        sa.select(links.c.key)
        .join(anomalies, anomalies.c.key == links.c.key)
        .join(members, members.c.id == links.c.ticket_id)
        .where(_same_place(members, tickets), anomalies.c.last_seen_at >= before)
    )
    return sa.and_(
        tickets.c.state.in_(tuple(ENDED)),
        tickets.c.changed_at < before,
        ~busy.correlate(tickets).exists(),
        ~unfinished.correlate(tickets).exists(),
        ~seen_since.correlate(tickets).exists(),
    )


def _same_place(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(
        one.c.instance == other.c.instance,
        one.c.table_name == other.c.table_name,
        one.c.correlation_id == other.c.correlation_id,
    )


def _next(
    connection: Connection, name: sa.ColumnElement[Any], conditions: Sequence[Any], after: Any
) -> list[Any]:
    """Return the names of the next rows that match, in their order."""
    behind = [] if after is None else [name > after]
    rows = sa.select(name).where(*conditions, *behind).order_by(name).limit(_AT_ONCE)
    return list(connection.execute(rows).scalars())


def _settled(
    connection: Connection,
    name: sa.ColumnElement[Any],
    found: Sequence[Any],
    rows: sa.ColumnElement[bool],
    conditions: Sequence[Any],
) -> list[Any]:
    """Return the names of those rows that still match when nobody changes them any more, in their order.

    :param rows: All that have to stay as they are.
    """
    _lock(connection, name, rows)
    # Only a statement of its own sees what others have written for which the one before has waited.
    return list(
        connection.execute(sa.select(name).where(name.in_(found), *conditions).order_by(name)).scalars()
    )


def _lock(connection: Connection, name: sa.ColumnElement[Any], rows: sa.ColumnElement[bool]) -> None:
    """Let nobody else change rows until the end of the transaction, in the order of all."""
    connection.execute(sa.select(name).where(rows).order_by(name).with_for_update())


def _remove(
    connection: Connection, table: sa.Table, condition: sa.ColumnElement[bool], *, dry_run: bool
) -> int:
    if dry_run:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one()
    return connection.execute(table.delete().where(condition)).rowcount
