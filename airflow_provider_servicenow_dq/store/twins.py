"""One ticket takes the place of its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema, tickets

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.outbox


def hand_over(
    connection: Connection, ticket_id: int, to_ticket_id: int, *, message: str, now: datetime
) -> None:
    """Let what was reported on a ticket belong to its twin, which stays.

    :param message: Why.
    """
    reported = (
        _table.c.ticket_id == ticket_id,
        _table.c.kind == outbox.REPORT,
        _table.c.state == outbox.DONE,
    )
    # First, and in one order for all: an update takes rows as they lie.
    connection.execute(sa.select(_table.c.id).where(*reported).order_by(_table.c.id).with_for_update())
    connection.execute(
        _table.update().where(*reported).values(ticket_id=to_ticket_id, action="unchanged", message=message)
    )
    links = schema.link
    keys = connection.execute(sa.select(links.c.key).where(links.c.ticket_id == ticket_id)).scalars().all()
    tickets.link(connection, to_ticket_id, keys, now=now)
    connection.execute(links.delete().where(links.c.ticket_id == ticket_id))


def warn(connection: Connection, ticket_id: int, warning: str) -> None:
    """Add a warning to the reports that made a ticket, once."""
    rows = connection.execute(
        sa.select(_table.c.id, _table.c.warnings).where(
            _table.c.ticket_id == ticket_id, _table.c.kind == outbox.REPORT, _table.c.state == outbox.DONE
        )
    ).all()
    for row in rows:
        warnings = list(row.warnings or [])
        if warning not in warnings:
            connection.execute(
                _table.update().where(_table.c.id == row.id).values(warnings=[*warnings, warning])
            )
