"""Anomalies that are on one ticket at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema, tickets
from airflow_provider_servicenow_dq.store.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.tickets import Ticket

#: One number of our own, under which PostgreSQL lets one transaction move links at a time.
_MOVING_LOCK: Final = 0x5E21CF


def alone(connection: Connection) -> None:
    """Let nobody else move links until the end of the transaction.

    Two that move the same anomaly to different tickets do not see each other's link, and would leave both.

    To be asked before any row is locked but that of the claim: who is alone may need what others hold who
    wait to be alone.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MOVING_LOCK})


def take_from_others(
    connection: Connection, ticket: Ticket, keys: Collection[str], *, everywhere: bool
) -> dict[str, list[Ticket]]:
    """Cut the links of anomalies to every other ticket; return those tickets, by key.

    :param everywhere: Also to those of other instances.
    """
    links = schema.link
    instance = ticket.address.instance
    others = (
        sa.select(schema.ticket.c.id)
        .where(schema.ticket.c.id == links.c.ticket_id, schema.ticket.c.instance == instance)
        .exists()
    )
    cut: list[tuple[str, int]] = []
    for batch in batches(sorted(keys)):
        elsewhere = (
            links.c.key.in_(batch),
            links.c.ticket_id != ticket.id,
            *(() if everywhere else (others,)),
        )
        found = connection.execute(
            sa.select(links.c.key, links.c.ticket_id).where(*elsewhere).order_by(links.c.ticket_id)
        )
        cut += [(row.key, row.ticket_id) for row in found]
        connection.execute(links.delete().where(*elsewhere))
    known = tickets.by_ids(connection, {ticket_id for _, ticket_id in cut})
    left: dict[str, list[Ticket]] = {}
    for key, ticket_id in cut:
        left.setdefault(key, []).append(known[ticket_id])
    return left


def take_off(connection: Connection, keys: Collection[str]) -> dict[int, list[str]]:
    """Cut the links of anomalies to all tickets; return which were on them, by the tickets' ids."""
    links = schema.link
    left: dict[int, list[str]] = {}
    for batch in batches(sorted(keys)):
        these = links.c.key.in_(batch)
        found = connection.execute(
            sa.select(links.c.key, links.c.ticket_id).where(these).order_by(links.c.ticket_id, links.c.key)
        )
        for row in found:
            left.setdefault(row.ticket_id, []).append(row.key)
        connection.execute(links.delete().where(these))
    return left
