"""A write to the instance, as it is written down before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.store.outbox import Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Step:
    """A write, as plain JSON so that it can be written down before, and the entries that it delivers."""

    entries: Sequence[Entry]
    write: dict[str, Any]


def note_write(ticket: Ticket, values: dict[str, str]) -> dict[str, Any]:
    """Return an update of a ticket; among the values is exactly one text for a journal."""
    return {"op": "note", "ticket_id": ticket.id, "sys_id": ticket.sys_id, "values": values}
