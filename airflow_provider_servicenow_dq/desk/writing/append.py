"""Texts for a ticket that exists: further pages of a list, comments, changes of status, a twin's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.desk.delivery import twins
from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.places import emptied, moves
from airflow_provider_servicenow_dq.desk.writing import settle
from airflow_provider_servicenow_dq.desk.writing.step import Step, note_write
from airflow_provider_servicenow_dq.store import anomalies, outbox, tickets
from airflow_provider_servicenow_dq.tickets import notes
from airflow_provider_servicenow_dq.tickets.incident import CANCELED, COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.text import cut

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.writing.asking import Asked
    from airflow_provider_servicenow_dq.store.outbox import Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States


def append(
    connection: Connection, desk: Desk, entry: Entry, known: Sequence[Ticket], asked: Asked, run: str
) -> Step | None:
    """Return the write for an entry that brings a text of its own, or settle it where none is needed.

    :param known: The tickets of its address, an open one first, then the newest.
    """
    if entry.kind == outbox.CANCEL:
        return _cancel(connection, desk, entry, known, run)
    ticket = moves.noted_on(entry, known)
    journal, text = entry.payload.get("journal", notes.WORK_NOTES), entry.payload["text"]
    if not entry.attempts and tickets.claim_note(connection, ticket.id, notes.note_hash(journal, text)):
        _unchanged(connection, desk, entry, ticket, f"{ticket.number} had this text before this store was")
        return None
    states = states_in(entry.payload, entry.address.table)
    if states.is_ended(ticket.state):
        # Such a record is locked for everybody but administrators.
        words = f"{ticket.number} is {states.label(ticket.state)}: nothing can be written on it any more"
        _unchanged(connection, desk, entry, ticket, words, warnings=[words])
        return None
    if entry.payload.get("if_empty") and not emptied.may_be_resolved(connection, ticket, states):
        words = f"{ticket.number} is {states.label(ticket.state)}, or a finding has returned to it"
        _unchanged(connection, desk, entry, ticket, words)
        return None
    if entry.kind == outbox.STATUS:
        return _status(connection, entry, ticket, states, asked, run)
    reason = "a comment in its source" if entry.kind == outbox.COMMENT else "a text of its own"
    return _step(entry, ticket, {journal: text}, run=run, action="noted", reason=reason)


def _cancel(
    connection: Connection, desk: Desk, entry: Entry, known: Collection[Ticket], run: str
) -> Step | None:
    twin = twins.to_cancel(entry, known)
    if twin is None:
        words = "it is no longer New, so it is left as it is"
        outbox.settle(
            connection, [entry.id], state=outbox.DONE, action="unchanged", message=words, now=desk.now()
        )
        return None
    values = {"state": CANCELED, notes.WORK_NOTES: entry.payload["text"]}
    return _step(entry, twin, values, run=run, action="canceled", reason="a twin")


def _status(
    connection: Connection, entry: Entry, ticket: Ticket, states: States, asked: Asked, run: str
) -> Step:
    text, effect, status = entry.payload["text"], entry.payload["effect"], Status(entry.payload["status"])
    values = {notes.WORK_NOTES: text}
    if effect == "resolve":
        resolving = states.resolving(status)
        kept_open = (
            _kept_open_by(connection, ticket, states)
            if resolving is not None
            else f"the project tells of no state of {states.table} that means resolved (status)"
        )
        if kept_open or resolving is None:
            return _step(entry, ticket, values, run=run, action="noted", reason=kept_open)
        code = entry.payload["close_code"] or asked.close_code
        values |= {"state": resolving, "close_notes": cut(text, COLUMN_LENGTHS["close_notes"])}
        values |= {"close_code": code} if code else {}
        return _step(entry, ticket, values, run=run, action="resolved", reason="nothing on it is open")
    reopening = states.reopening(status)
    if effect == "reopen" and reopening is not None and settle.is_resolved_by_us(ticket, states):
        values["state"] = reopening
        return _step(entry, ticket, values, run=run, action="reopened", reason="an anomaly is open again")
    return _step(entry, ticket, values, run=run, action="noted", reason="the status has changed")


def _kept_open_by(connection: Connection, ticket: Ticket, states: States) -> str:
    """Return why a ticket may not be resolved; nothing if it may."""
    if not ticket.created_by_us:
        return f"{ticket.number} was not opened by us"
    if ticket.state == tickets.UNKNOWN or not states.may_be_resolved(ticket.state):
        return f"{ticket.number} is {states.label(ticket.state)}"
    members = tickets.members(connection, ticket.id)
    still_open = anomalies.count_open(connection, members)
    if still_open:
        return f"{still_open} of {len(members)} anomalies on {ticket.number} are open"
    return ""


def _step(
    entry: Entry, ticket: Ticket, values: dict[str, str], *, run: str, action: str, reason: str
) -> Step:
    facts: dict[str, Any] = {
        "action": action,
        "reason": reason,
        "times": 0,
        "severity": ticket.severity,
        "run": run,
        "newcomers": [],
    }
    return Step([entry], {**note_write(ticket, values), "op": action, **facts})


def _unchanged(
    connection: Connection,
    desk: Desk,
    entry: Entry,
    ticket: Ticket,
    words: str,
    *,
    warnings: Collection[str] = (),
) -> None:
    outbox.settle(
        connection,
        [entry.id],
        state=outbox.DONE,
        action="unchanged",
        ticket_id=ticket.id,
        message=words,
        warnings=list(warnings),
        now=desk.now(),
    )
