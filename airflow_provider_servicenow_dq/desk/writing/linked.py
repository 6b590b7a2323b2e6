"""What it means that an update has linked anomalies to a ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.desk.order import rules_in
from airflow_provider_servicenow_dq.desk.writing import settle
from airflow_provider_servicenow_dq.store import outbox, tickets
from airflow_provider_servicenow_dq.store.outbox import Draft
from airflow_provider_servicenow_dq.tickets.links import pages
from airflow_provider_servicenow_dq.tickets.text import as_kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

#: How a write is called that links.
LINKS: Final = "link"

_CHANGED: Final = (
    "{} was changed by somebody else at the very moment when it was linked: if that was its description, "
    "what they wrote is only in its history now"
)


def _follow(
    connection: Connection, ticket: Ticket, entry: Entry, name: str, texts: Sequence[str], *, now: datetime
) -> None:
    """Write further work notes down; they follow on the same ticket."""
    drafts = [
        Draft(
            entry.address,
            f"note|{entry.idempotency_key}|{name} {number}",
            outbox.NOTE,
            {"sys_id": ticket.sys_id, "text": text, **rules_in(entry.payload)},
        )
        for number, text in enumerate(texts, start=2)
    ]
    outbox.record(connection, drafts, recorded_by=entry.recorded_by, now=now)


def linked(
    connection: Connection,
    entries: Sequence[Entry],
    write: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    *,
    now: datetime,
    warnings: Sequence[str] = (),
    is_answer: bool = True,
) -> None:
    """Count an update that has linked; what the description did not keep follows as a work note.

    :param record: What the instance shows; None if it was not looked at, or is not shown.
    :param is_answer: It is the answer to the update itself, so that nothing came after it.
    """
    ticket = tickets.by_ids(connection, [write["ticket_id"]])[write["ticket_id"]]
    said = list(warnings)
    if is_answer and record is not None and _has_changed_meanwhile(write, record):
        said.append(_CHANGED.format(ticket.number or ticket.sys_id))
    _follow(connection, ticket, entries[0], "page", write["further_pages"], now=now)
    by_id = {str(entry.id): entry for entry in entries}
    for entry_id, details in write["appended"].items():
        if record is None or as_kept(details) in as_kept(str(record.get("description") or "")):
            continue
        said.append("description: ServiceNow did not keep all of the details; they follow as a work note")
        _follow(connection, ticket, by_id[entry_id], "details", pages(details), now=now)
    settle.noted(connection, entries, write, record, now=now, warnings=list(dict.fromkeys(said)))


def _has_changed_meanwhile(write: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a ticket was changed between the reading and the writing of its description."""
    before, after = str(write["changes_before"]), str(record.get("sys_mod_count"))
    if not (write["appended"] and before.isdecimal() and after.isdecimal()):
        return False
    return int(after) > int(before) + 1
