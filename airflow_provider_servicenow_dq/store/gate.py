"""What stands in a dataset's way: its anomalies' tickets, and reports that have become none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import outbox, schema, tickets
from airflow_provider_servicenow_dq.store.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

#: What somebody meant to report and ServiceNow has not taken; a person who discards it has let it go.
_UNDELIVERED: Final = (outbox.PENDING, outbox.SENDING, outbox.BLOCKED, outbox.DEAD)


class Linked(NamedTuple):
    """An anomaly by its key, and a ticket that it is linked to."""

    key: str
    anomaly: Anomaly
    ticket: Ticket


class Undelivered(NamedTuple):
    """An anomaly by its key, and its report in the outbox."""

    key: str
    anomaly: Anomaly
    entry: Entry


def linked(connection: Connection, datasets: Sequence[str], *, instance: str, table: str) -> list[Linked]:
    """Return the tickets of a table that anomalies of datasets are linked to, oldest first.

    Those of other namespaces are among them: only the keys tell.
    """
    found: dict[tuple[int, str], Anomaly] = {}
    for names in batches(datasets):
        rows = connection.execute(
            sa.select(schema.anomaly.c.key, schema.anomaly.c.content, schema.link.c.ticket_id)
            .join(schema.link, schema.link.c.key == schema.anomaly.c.key)
            .join(schema.ticket, schema.ticket.c.id == schema.link.c.ticket_id)
            .where(
                schema.anomaly.c.dataset.in_(names),
                schema.ticket.c.instance == instance,
                schema.ticket.c.table_name == table,
            )
        )
        found.update({(row.ticket_id, row.key): Anomaly.model_validate(row.content) for row in rows})
    by_id = tickets.by_ids(connection, {ticket_id for ticket_id, _ in found})
    return [Linked(key, found[ticket_id, key], by_id[ticket_id]) for ticket_id, key in sorted(found)]


def undelivered(
    connection: Connection, datasets: Sequence[str], *, instance: str, table: str
) -> list[Undelivered]:
    """Return the reports on anomalies of datasets that are not delivered, oldest first."""
    found: list[Undelivered] = []
    for names in batches(datasets):
        rows = connection.execute(
            sa.select(schema.outbox, schema.anomaly.c.content)
            .join(schema.anomaly, schema.anomaly.c.key == schema.outbox.c.key)
            .where(
                schema.outbox.c.instance == instance,
                schema.outbox.c.table_name == table,
                schema.outbox.c.state.in_(_UNDELIVERED),
                schema.outbox.c.kind == outbox.REPORT,
                schema.anomaly.c.dataset.in_(names),
            )
            .order_by(schema.outbox.c.id)
        )
        found += [
            Undelivered(row.key, Anomaly.model_validate(row.content), outbox.entry_of(row)) for row in rows
        ]
    return found
