"""Links of anomalies to tickets: which there are, and cutting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema, tickets
from airflow_provider_servicenow_dq.store.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

_links: Final = schema.link
_entries: Final = schema.outbox

#: Action of what was still to be sent when its anomaly was unlinked.
UNLINKED: Final = "unlinked"
#: Where the payload of an entry says that its anomaly was unlinked while it was under way, or dead.
UNLINKED_SINCE: Final = "unlinked"

#: What goes to a ticket because an anomaly is linked to it. A report goes because the problem is there.
_OF_A_LINK: Final = (outbox.LINK, outbox.STATUS, outbox.COMMENT)


class Link(NamedTuple):
    """One link of an anomaly.

    :param by_person: Somebody made it on purpose; else a report did.
    """

    ticket: Ticket
    by_person: bool


def of_keys(connection: Connection, keys: Iterable[str], *, instance: str) -> dict[str, list[Link]]:
    """Return the links of anomalies to tickets of an instance, those to the newest tickets first."""
    found: dict[str, list[tuple[int, bool]]] = {}
    for batch in batches(sorted(set(keys))):
        rows = connection.execute(
            sa.select(_links.c.key, _links.c.ticket_id, _links.c.by_person)
            .join(schema.ticket, schema.ticket.c.id == _links.c.ticket_id)
            .where(_links.c.key.in_(batch), schema.ticket.c.instance == instance)
        )
        for row in rows:
            found.setdefault(row.key, []).append((row.ticket_id, row.by_person))
    known = tickets.by_ids(connection, {ticket_id for each in found.values() for ticket_id, _ in each})
    return {
        key: sorted(
            (Link(known[ticket_id], by_person) for ticket_id, by_person in each),
            key=lambda link: tickets.age(link.ticket),
            reverse=True,
        )
        for key, each in found.items()
    }


def exists(connection: Connection, ticket_id: int, key: str) -> bool:
    """Whether an anomaly is linked to a ticket."""
    link = sa.select(_links.c.key).where(_links.c.ticket_id == ticket_id, _links.c.key == key)
    return connection.execute(link).first() is not None


def with_sys_id(
    connection: Connection, sys_id: str, *, instance: str, tables: Collection[str]
) -> Ticket | None:
    """Return the ticket of a sys_id in one of some tables, if the store knows it."""
    table = schema.ticket
    rows = connection.execute(
        sa.select(table.c.id)
        .where(table.c.instance == instance, table.c.table_name.in_(tables), table.c.sys_id == sys_id)
        .order_by(table.c.id)
    ).scalars()
    found = tickets.by_ids(connection, rows)
    return next(iter(found.values()), None)


def intents(connection: Connection, address: Address, key: str) -> list[Entry]:
    """Return what was recorded to link an anomaly to the tickets at an address, the oldest first."""
    rows = connection.execute(
        sa.select(_entries)
        .where(*outbox.at_address(_entries), _entries.c.kind == outbox.LINK, _entries.c.key == key)
        .order_by(_entries.c.id),
        address.bound,
    )
    return [outbox.entry_of(row) for row in rows]


def intended(connection: Connection, keys: Iterable[str], *, instance: str) -> dict[str, list[Ticket]]:
    """Return the tickets to which anomalies are about to be linked."""
    found: dict[str, list[Ticket]] = {}
    for batch in batches(sorted(set(keys))):
        rows = connection.execute(
            sa.select(_entries)
            .where(
                _entries.c.instance == instance,
                _entries.c.state.in_((outbox.PENDING, outbox.SENDING, outbox.BLOCKED)),
                _entries.c.kind == outbox.LINK,
                _entries.c.key.in_(batch),
            )
            .order_by(_entries.c.id)
        )
        for entry in map(outbox.entry_of, rows.all()):
            table, sys_id = entry.address.table, entry.payload["sys_id"]
            ticket = with_sys_id(connection, sys_id, instance=instance, tables=(table,))
            if ticket is not None and entry.key:
                found.setdefault(entry.key, []).append(ticket)
    return found


def cut(connection: Connection, ticket: Ticket, key: str, *, now: datetime) -> None:
    """Cut the link of an anomaly to a ticket that the caller has claimed, and give up what waits for it.

    What is under way may have arrived already: whoever delivers next finds out, and links nothing. What is
    dead stays so unless it is recorded again.
    """
    connection.execute(_links.delete().where(_links.c.ticket_id == ticket.id, _links.c.key == key))
    rows = connection.execute(
        sa.select(_entries)
        .where(
            *outbox.at_address(_entries),
            _entries.c.key == key,
            _entries.c.kind.in_(_OF_A_LINK),
            _entries.c.state.not_in(tuple(outbox.ENDED)),
        )
        .order_by(_entries.c.id)
        .with_for_update(),
        ticket.address.bound,
    )
    for entry in map(outbox.entry_of, rows.all()):
        if entry.kind == outbox.LINK and entry.payload["sys_id"] != ticket.sys_id:
            continue
        if entry.state in {outbox.PENDING, outbox.BLOCKED}:
            words = f"its anomaly was unlinked from {ticket.number or ticket.sys_id}"
            outbox.settle(
                connection, [entry.id], state=outbox.DISCARDED, action=UNLINKED, message=words, now=now
            )
        else:
            payload = {**entry.payload, UNLINKED_SINCE: True}
            connection.execute(_entries.update().where(_entries.c.id == entry.id).values(payload=payload))
