"""What somebody asks for by a name of theirs: an anomaly by one of its ids, and its links by theirs."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key
from airflow_provider_servicenow_dq.store import schema, tickets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.tickets import Ticket

_anomalies: Final = schema.anomaly
_links: Final = schema.link
_tickets: Final = schema.ticket

_HASH: Final = re.compile("[0-9a-f]{32}")

#: Anomalies of one id that are looked at; a test suite that gives one id to thousands means none of them.
_MOST: Final = 100


class Known(NamedTuple):
    """An anomaly that the store knows."""

    key: str
    anomaly: Anomaly


class LinkShown(NamedTuple):
    """A link of an anomaly.

    :param id: 32 hex digits, always the same for this anomaly and this ticket.
    :param by_person: Somebody made it on purpose; else a report did.
    :param read_at: When its ticket was last read by a pull, None before the first.
    """

    id: str
    ticket: Ticket
    linked_at: datetime
    by_person: bool
    read_at: datetime | None


class LinkPage(NamedTuple):
    """Some links of an anomaly.

    :param total: How many it has in all.
    """

    links: list[LinkShown]
    total: int


def with_id(connection: Connection, anomaly_id: str, *, namespace: str, source: str = "") -> list[Known]:
    """Return the anomalies of a namespace that an id names: those of a key, a fingerprint, or an external id.

    :param source: Only of this one.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    if _HASH.fullmatch(anomaly_id):
        conditions += [_anomalies.c.key == anomaly_id, _anomalies.c.fingerprint == anomaly_id]
    conditions.append(_anomalies.c.external_id == anomaly_id)
    for condition in conditions:
        asked = [condition, _anomalies.c.source == source] if source else [condition]
        rows = connection.execute(
            sa.select(_anomalies.c.key, _anomalies.c.content)
            .where(*asked)
            .order_by(_anomalies.c.source, _anomalies.c.key)
            .limit(_MOST)
        )
        found = [Known(row.key, Anomaly.model_validate(row.content)) for row in rows]
        # One store may serve several namespaces, and what is of another is none of ours.
        if ours := [each for each in found if anomaly_key(each.anomaly, namespace) == each.key]:
            return ours
    return []


def links_of(
    connection: Connection, key: str, *, instance: str, offset: int = 0, limit: int | None = None
) -> LinkPage:
    """Return the links of an anomaly to tickets of an instance, the newest first."""
    of_anomaly = (
        sa.select(_links.c.ticket_id, _links.c.linked_at, _links.c.by_person, _tickets.c.pulled_at)
        .join(_tickets, _tickets.c.id == _links.c.ticket_id)
        .where(_links.c.key == key, _tickets.c.instance == instance)
    )
    total = connection.execute(sa.select(sa.func.count()).select_from(of_anomaly.subquery())).scalar_one()
    newest = of_anomaly.order_by(_links.c.linked_at.desc(), _links.c.ticket_id.desc())
    rows = connection.execute(newest.offset(offset).limit(limit)).all()
    known = tickets.by_ids(connection, {row.ticket_id for row in rows})
    return LinkPage(
        [
            LinkShown(
                link_id(known[row.ticket_id], key),
                known[row.ticket_id],
                row.linked_at,
                row.by_person,
                row.pulled_at,
            )
            for row in rows
        ],
        total,
    )


def link_with_id(links: Iterable[LinkShown], wanted: str) -> LinkShown | None:
    """Return the one of some links that has an id."""
    return next((link for link in links if link.id == wanted), None)


def link_id(ticket: Ticket, key: str) -> str:
    """Return what names the link of an anomaly to a ticket."""
    parts = (ticket.address.instance, ticket.address.table, ticket.sys_id, key)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
