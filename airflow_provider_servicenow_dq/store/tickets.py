"""Tickets as last seen, their links to anomalies and the notes that are known to be on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, insert_into, upsert
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, States, states_of
from airflow_provider_servicenow_dq.tickets.told import Told, first_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

_table: Final = schema.ticket
_notes: Final = schema.known_note

#: State of a ticket that the instance does not show any more.
UNKNOWN: Final = "unknown"

#: Adopted by a person who rebuilt a store, in no run; the first run that reports its anomaly takes its place.
BY_HAND: Final = "by hand"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What we remember of a ticket.

    ``seen`` counts occurrences since the ticket was opened, ``seen_at_note`` what it was when the last note
    (or the ticket itself) was written at ``noted_at``. ``severity`` is the worst one so far. ``told`` is what
    counts as known to whoever follows its changes (:mod:`~airflow_provider_servicenow_dq.tickets.told`).
    """

    id: int
    address: Address
    sys_id: str
    number: str
    state: str
    record: dict[str, Any]
    created_by_us: bool
    opened_in: str | None
    adopted_in: str | None
    seen: int
    seen_at_note: int
    noted_at: datetime
    severity: str
    changed_at: datetime
    told: Told | None = None


def add(
    connection: Connection, address: Address, record: Mapping[str, Any], *, made: bool, **facts: Any
) -> Ticket:
    """Remember a ticket that we made or found; return it as it is in the store now.

    :param made: We have just made it: what was thought of it before, when a look had come across it first, is
        overwritten.
    """
    row = {
        "instance": address.instance,
        "table_name": address.table,
        "correlation_id": address.correlation_id,
        "sys_id": record["sys_id"],
        **_shown(record),
        "told": first_told(record, made=made),
        **facts,
    }
    upsert(
        connection,
        _table,
        [row],
        keys=("instance", "table_name", "sys_id"),
        update=("number", "state", "record", *(("told", *facts) if made else ())),
    )
    found = connection.execute(
        sa.select(_table).where(
            _table.c.instance == address.instance,
            _table.c.table_name == address.table,
            _table.c.sys_id == record["sys_id"],
        )
    ).one()
    return _ticket(found)


def change(connection: Connection, ticket: Ticket, **facts: Any) -> None:
    """Write new facts about a ticket; a ``record`` brings its number and state along."""
    if "record" in facts:
        facts |= _shown({**ticket.record, **facts["record"]})
        if ticket.told is None:
            # A store of an earlier version has not written it down; what it saw last goes now.
            facts = {"told": first_told(ticket.record, made=False)} | facts
    connection.execute(_table.update().where(_table.c.id == ticket.id).values(**facts))


def at(
    connection: Connection, addresses: Iterable[Address], *, for_update: bool = False
) -> dict[Address, list[Ticket]]:
    """Return the tickets at addresses of one instance and table: an open one first, then the newest.

    :param for_update: Nobody else changes them until the end of the transaction.
    """
    found: dict[Address, list[Ticket]] = {}
    for batch in batches(addresses):
        wanted = sa.select(_table).where(
            _table.c.instance == batch[0].instance,
            _table.c.table_name == batch[0].table,
            _table.c.correlation_id.in_([address.correlation_id for address in batch]),
        )
        rows = connection.execute(_locking(wanted) if for_update else wanted)
        for ticket in map(_ticket, rows):
            found.setdefault(ticket.address, []).append(ticket)
    for tickets in found.values():
        tickets.sort(key=age, reverse=True)
    return found


def by_ids(connection: Connection, ids: Iterable[int]) -> dict[int, Ticket]:
    """Return tickets by their ids."""
    return {
        row.id: _ticket(row)
        for batch in batches(ids)
        for row in connection.execute(sa.select(_table).where(_table.c.id.in_(batch)))
    }


def locked(connection: Connection, ticket_id: int) -> Ticket:
    """Return a ticket that nobody else changes until the end of the transaction."""
    return _ticket(connection.execute(_locking(sa.select(_table).where(_table.c.id == ticket_id))).one())


def of_keys(connection: Connection, keys: Iterable[str], *, instance: str, table: str) -> dict[str, Ticket]:
    """Return the newest ticket that each anomaly is linked to."""
    newest: dict[str, Ticket] = {}
    for batch in batches(keys):
        rows = connection.execute(
            sa.select(schema.link.c.key, _table)
            .join(_table, _table.c.id == schema.link.c.ticket_id)
            .where(schema.link.c.key.in_(batch), _table.c.instance == instance, _table.c.table_name == table)
        )
        for row in rows:
            ticket = _ticket(row)
            if row.key not in newest or age(newest[row.key]) < age(ticket):
                newest[row.key] = ticket
    return newest


def addresses_of_keys(
    connection: Connection, keys: Iterable[str], *, instance: str
) -> dict[str, list[Address]]:
    """Return where the tickets are that anomalies are linked to, the newest first; of others nothing."""
    found: dict[str, dict[Address, None]] = {}
    for batch in batches(keys):
        rows = connection.execute(
            sa.select(schema.link.c.key, _table.c.table_name, _table.c.correlation_id)
            .join(_table, _table.c.id == schema.link.c.ticket_id)
            .where(schema.link.c.key.in_(batch), _table.c.instance == instance)
            .order_by(_table.c.id.desc())
        )
        for row in rows:
            found.setdefault(row.key, {})[Address(instance, row.table_name, row.correlation_id)] = None
    return {key: list(addresses) for key, addresses in found.items()}


def opened_in(connection: Connection, run: str, *, instance: str, besides: str) -> int:
    """Return how many tickets a DAG run has opened on an instance.

    :param besides: Start of the correlation ids of tickets that do not count.
    """
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(_table)
        .where(
            _table.c.opened_in == run,
            _table.c.instance == instance,
            _table.c.correlation_id.not_like(f"{besides}%"),
        )
    ).scalar_one()


def is_open(ticket: Ticket, states: States | None = None) -> bool:
    """Whether somebody still has to work on it.

    :param states: What the states of its table mean, where a project tells.
    """
    means = states or states_of(ticket.address.table)
    return ticket.state != UNKNOWN and means.is_open(ticket.state)


def is_older_than_store(ticket: Ticket, run: str) -> bool:
    """Whether a ticket was there before this store was, as far as a DAG run is concerned.

    It is for the run that adopted it, and for the first that reports anything on it: another process may have
    delivered what a run had recorded, or may have come across the ticket first.
    """
    return ticket.adopted_in is not None and (ticket.adopted_in == run or ticket.seen_at_note == 0)


def link(
    connection: Connection, ticket_id: int, keys: Iterable[str], *, now: datetime, by_person: bool = False
) -> None:
    """Link anomalies to a ticket; a link that exists stays.

    :param by_person: Somebody does it on purpose, which is remembered of a link that exists, too.
    """
    facts = {"linked_at": now} | ({"by_person": True} if by_person else {})
    rows = [{"ticket_id": ticket_id, "key": key, **facts} for key in sorted(set(keys))]
    upsert(
        connection,
        schema.link,
        rows,
        keys=("ticket_id", "key"),
        update=("by_person",) if by_person else (),
    )


def members(connection: Connection, ticket_id: int) -> set[str]:
    """Return the keys of the anomalies that a ticket is linked to."""
    return set(
        connection.execute(sa.select(schema.link.c.key).where(schema.link.c.ticket_id == ticket_id)).scalars()
    )


def know_notes(connection: Connection, ticket_id: int, times: Mapping[str, int]) -> None:
    """Write down that texts, by their hashes, were on a ticket so often before this store knew it."""
    rows = [
        {"ticket_id": ticket_id, "text_hash": text, "times": count, "unclaimed": count}
        for text, count in sorted(times.items())
    ]
    upsert(connection, _notes, rows, keys=("ticket_id", "text_hash"))


def know_note(connection: Connection, ticket_id: int, text: str) -> None:
    """Count one more delivery of a text, by its hash."""
    adding = insert_into(connection, _notes).values(ticket_id=ticket_id, text_hash=text, times=1, unclaimed=0)
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=["ticket_id", "text_hash"], set_={"times": _notes.c.times + 1}
        )
    )


def known_notes(connection: Connection, ticket_id: int) -> dict[str, int]:
    """Return how often texts are known to be on a ticket, by their hashes."""
    rows = connection.execute(sa.select(_notes).where(_notes.c.ticket_id == ticket_id))
    return {row.text_hash: row.times for row in rows}


def claim_note(connection: Connection, ticket_id: int, text: str) -> bool:
    """Whether a text, by its hash, was on the ticket before this store knew it; each time counts once."""
    claimed = connection.execute(
        _notes.update()
        .where(_notes.c.ticket_id == ticket_id, _notes.c.text_hash == text, _notes.c.unclaimed > 0)
        .values(unclaimed=_notes.c.unclaimed - 1)
    )
    return bool(claimed.rowcount)


def _locking(wanted: sa.Select[Any]) -> sa.Select[Any]:
    # In one order for all: else two that lock the same rows wait for each other.
    return wanted.order_by(_table.c.id).with_for_update()


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"number": record.get("number") or "", "state": record.get("state") or "", "record": dict(record)}


def age(ticket: Ticket) -> tuple[bool, str, int]:
    """Return by what tickets of a key are ordered: an open one is last, then comes the newest."""
    # The twin of an open ticket may be canceled and younger; elsewhere nothing is canceled.
    first = is_open(ticket) if ticket.address.table == INCIDENT else ticket.state != UNKNOWN
    return first, ticket.record.get("sys_created_on") or "", ticket.id


def _ticket(row: Row[Any]) -> Ticket:
    return Ticket(
        id=row.id,
        address=Address(row.instance, row.table_name, row.correlation_id),
        sys_id=row.sys_id,
        number=row.number,
        state=row.state,
        record=row.record,
        created_by_us=row.created_by_us,
        opened_in=row.opened_in,
        adopted_in=row.adopted_in,
        seen=row.seen,
        seen_at_note=row.seen_at_note,
        noted_at=row.noted_at,
        severity=row.severity,
        changed_at=row.changed_at,
        told=row.told,
    )
