"""What the intent to link an anomaly to a ticket becomes: one update with its details and a work note.

The note tells whether the update has happened. The description is read right before it is written, because
it can only be written whole: there is no way to ask an instance to append to it, or to refuse an update of
what has changed since. What cannot be ruled out is noticed, by the number of changes in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.delivery.journals import our_texts
from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.places import moves
from airflow_provider_servicenow_dq.desk.writing import settle
from airflow_provider_servicenow_dq.desk.writing.linked import LINKS
from airflow_provider_servicenow_dq.desk.writing.step import Step, note_write
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store.links import UNLINKED, UNLINKED_SINCE
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.links import has_details, is_told, pages, with_details
from airflow_provider_servicenow_dq.tickets.notes import WORK_NOTES
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.client.table import Record
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States


@dataclass(frozen=True, slots=True)
class Standing:
    """What a ticket says right before something is linked to it.

    :param record: Its columns; None if it is not shown.
    :param texts: What we have written into its journals.
    """

    record: Record | None
    texts: Sequence[str]

    @property
    def description(self) -> str | None:
        """Its description; None if it cannot be read: writing it would overwrite what we never saw."""
        shown = (self.record or {}).get("description")
        return shown if isinstance(shown, str) else None


def stands(desk: Desk, address: Address, sys_id: str) -> Standing:
    """Ask the instance what a ticket says; its description last."""
    texts = our_texts(desk, address, sys_id)
    query = Query.equals({"sys_id": sys_id})
    rows = desk.table_api.first_page(address.table, query, fields=COLUMNS, limit=1)
    return Standing(rows[0] if rows else None, texts)


def together(waiting: Sequence[Entry]) -> list[Entry]:
    """Return what can be linked with one update: the first, and those behind it for the same ticket."""
    batch: list[Entry] = []
    for entry in waiting:
        if entry.kind != outbox.LINK or entry.payload["sys_id"] != waiting[0].payload["sys_id"]:
            break
        batch.append(entry)
    return batch


def plan(
    connection: Connection,
    desk: Desk,
    batch: Sequence[Entry],
    known: Sequence[Ticket],
    standing: Standing,
    run: str,
) -> Step | None:
    """Return the update that links, or settle what needs none.

    :param batch: Entries that go :func:`together`.
    :param known: The tickets of their address.
    """
    sys_id = batch[0].payload["sys_id"]
    ticket = next((each for each in known if each.sys_id == sys_id), None)
    batch = list(_still_meant(connection, desk, batch))
    if not batch:
        return None
    why_not = _why_not(ticket, standing, batch[0])
    if ticket is None or standing.record is None or why_not:
        settle.refused(connection, batch, why_not, now=desk.now())
        return None
    told = [entry for entry in batch if _is_told(entry, standing)]
    if told:
        _settle_told(connection, desk, ticket, told)
    left = [entry for entry in batch if entry not in told]
    return _step(ticket, left, standing, run) if left else None


def _still_meant(connection: Connection, desk: Desk, batch: Sequence[Entry]) -> Iterator[Entry]:
    for entry in batch:
        if entry.payload.get(UNLINKED_SINCE):
            withdraw(connection, entry, now=desk.now())
        else:
            yield entry


def withdraw(connection: Connection, entry: Entry, *, now: datetime) -> None:
    """Give up what was under way when its anomaly was unlinked, and did not arrive."""
    words = "its anomaly was unlinked from the ticket meanwhile"
    outbox.settle(connection, [entry.id], state=outbox.DISCARDED, action=UNLINKED, message=words, now=now)


def _why_not(ticket: Ticket | None, standing: Standing, entry: Entry) -> str:
    if ticket is None or standing.record is None:
        name = entry.payload.get("number") or entry.payload["sys_id"]
        return f"{name} cannot be seen any more: deleted, or the account may not read it"
    states = states_in(entry.payload, entry.address.table)
    return why_locked(ticket.number, str(standing.record.get("state") or ""), states)


def why_locked(number: str, state: str, states: States) -> str:
    """Return why nothing can be linked to a ticket in a state; nothing if it can."""
    if not states.is_ended(state):
        return ""
    return (
        f"{number} is {states.label(state)}, and locked: nothing can be written on it any more. Link the "
        "anomaly to an open ticket"
    )


def _is_told(entry: Entry, standing: Standing) -> bool:
    """Whether the ticket tells of the link already, as when this store was lost."""
    if entry.payload["again"]:
        return False
    return is_told(_anomaly(entry), standing.texts, namespace=entry.payload["namespace"])


def _settle_told(connection: Connection, desk: Desk, ticket: Ticket, entries: Sequence[Entry]) -> None:
    outbox.settle(
        connection,
        [entry.id for entry in entries],
        state=outbox.DONE,
        action="linked",
        ticket_id=ticket.id,
        message="its work notes tell of the link already",
        now=desk.now(),
    )
    moves.link(connection, ticket, entries, now=desk.now())


@dataclass(slots=True)
class _Draft:
    """An update in the making.

    :param description: As it will be; None if it cannot be read.
    :param note: The work note, which may be longer than one.
    :param appended: What the description gets, by entry.
    """

    description: str | None
    note: str = ""
    entries: list[Entry] = field(default_factory=list)
    appended: dict[int, str] = field(default_factory=dict)

    def take(self, entry: Entry, texts: Sequence[str]) -> bool:
        """Add what an entry brings; return whether there was room for it.

        What the description has no room for goes into the note.

        :param texts: What stands in the ticket's journals.
        """
        details, text = entry.payload["details"], entry.payload["text"]
        longer = None
        is_there = has_details(_anomaly(entry), "\n".join([self.description or "", *texts]))
        if not is_there:
            longer = None if self.description is None else with_details(self.description, details)
            text = text if longer is not None else f"{text}\n{details}"
        note = f"{self.note}\n{text}" if self.note else text
        if self.entries and len(note) > COLUMN_LENGTHS["work_notes"]:
            return False
        if longer is not None:
            self.description = longer
            self.appended[entry.id] = details
        self.note = note
        self.entries.append(entry)
        return True


def _step(
    ticket: Ticket,
    entries: Sequence[Entry],
    standing: Standing,
    run: str,
) -> Step:
    draft = _Draft(standing.description)
    for entry in entries:
        if not draft.take(entry, standing.texts):
            break
    first, *rest = pages(draft.note)
    values = {WORK_NOTES: first}
    if draft.appended and draft.description is not None:
        values["description"] = draft.description
    severest = max((_anomaly(entry).severity for entry in draft.entries), key=lambda each: each.rank)
    write = {
        **note_write(ticket, values),
        "op": LINKS,
        "action": "linked",
        "reason": "linked on purpose",
        "times": len(draft.entries),
        "severity": str(severest),
        "run": run,
        "newcomers": [],
        "appended": {str(entry_id): details for entry_id, details in draft.appended.items()},
        "further_pages": rest,
        "changes_before": (standing.record or {}).get("sys_mod_count"),
    }
    return Step(draft.entries, write)


def _anomaly(entry: Entry) -> Anomaly:
    return Anomaly.model_validate(entry.payload["anomaly"])
