"""How entries end, written down together with what it means for their ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Severity
from airflow_provider_servicenow_dq.desk.delivery.send import dropped
from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.places import moves
from airflow_provider_servicenow_dq.store import instances, outbox, tickets
from airflow_provider_servicenow_dq.tickets import notes
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS
from airflow_provider_servicenow_dq.tickets.told import first_told, with_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.writing.decide import Decision, Sighting
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States


#: Where a ticket's record has the ``resolved_at`` that came of our own resolving.
_RESOLVED_BY_US: Final = "resolved_at by us"
_RESOLVED_AS_EMPTY: Final = "resolved_at as empty"


def created(
    connection: Connection,
    address: Address,
    entries: Sequence[Entry],
    write: Mapping[str, Any],
    record: Mapping[str, Any],
    *,
    now: datetime,
    complete: bool = True,
    reports: Collection[int] = (),
) -> Ticket:
    """Remember a ticket that is there now, link its anomalies, and say what the instance dropped.

    :param complete: Whether the record has all its columns, so that a missing one says something.
    :param reports: Ids of the entries whose results are returned now: one of them says that it was opened,
        though the list on a roll-up ticket may begin with what others have reported.
    """
    honours = bool(record["sys_id"] == write["sys_id"])
    # Before the ticket, as a look does it: who locks the two in another order may wait for it in vain.
    if instances.get(connection, address.instance).honours_sys_id != honours:
        instances.learn(connection, address.instance, honours_sys_id=honours)
    ticket = tickets.add(
        connection,
        address,
        {name: record[name] for name in COLUMNS if name in record},
        made=True,
        created_by_us=True,
        # Who reported it has had his share, whoever delivers it.
        opened_in=entries[0].payload.get("run", write["run"]),
        adopted_in=None,
        seen=write["times"],
        seen_at_note=write["times"],
        noted_at=now,
        severity=write["severity"],
        changed_at=now,
    )
    for journal in notes.JOURNALS:
        if (text := write["fields"].get(journal)) and journal in record:
            tickets.know_note(connection, ticket.id, notes.note_hash(journal, text))
    if not honours:
        _doubt_that_it_is_alone(connection, address, ticket, entries[0], before=write["existing"], now=now)
    moves.link(connection, ticket, entries, now=now)
    sent = {name: value for name, value in write["fields"].items() if complete or name in record}
    missing = dropped(sent, record, wish=entries[0].payload.get("wish"))
    opened_for = next((entry for entry in entries if entry.id in reports), entries[0])
    for entry in entries:
        warnings = [*entry.payload.get("warnings", ()), *write["warnings"].get(str(entry.id), ()), *missing]
        outbox.settle(
            connection,
            [entry.id],
            state=outbox.DONE,
            action=write["action"] if entry is opened_for else "linked",
            ticket_id=ticket.id,
            message=write["reason"],
            warnings=warnings,
            now=now,
        )
    return ticket


def _doubt_that_it_is_alone(
    connection: Connection,
    address: Address,
    ticket: Ticket,
    entry: Entry,
    *,
    before: Sequence[str],
    now: datetime,
) -> None:
    """Write down that the instance has to be asked for twins, so that nobody's death forgets it.

    :param before: sys_ids of the tickets that were there when it was decided to open one.
    """
    payload = {"sys_id": ticket.sys_id, "before": list(before)}
    draft = outbox.Draft(address, f"twins|{ticket.sys_id}", outbox.TWINS, payload)
    outbox.record(connection, [draft], recorded_by=entry.recorded_by, now=now)


def noted(
    connection: Connection,
    entries: Sequence[Entry],
    write: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    *,
    now: datetime,
    warnings: Sequence[str] = (),
) -> None:
    """Count a note that is on its ticket now, and everything that was seen with it.

    :param record: The instance's answer; None where the answer was lost and the note was found in the
        journal.
    :param warnings: What the answer does not show.
    """
    ticket = tickets.locked(connection, write["ticket_id"])
    journal, text = notes.written(write["values"])
    tickets.know_note(connection, ticket.id, notes.note_hash(journal, text))
    seen = ticket.seen + write["times"]
    shown = {k: v for k, v in (record or write["values"]).items() if k not in notes.JOURNALS}
    if write["op"] == "resolved":
        shown[_RESOLVED_BY_US] = _ended_at(shown)
        if any(entry.payload.get("if_empty") for entry in entries):
            shown[_RESOLVED_AS_EMPTY] = _ended_at(shown)
    tickets.change(
        connection,
        ticket,
        record={**ticket.record, **shown},
        seen=seen,
        **({"seen_at_note": seen, "noted_at": now} if write["times"] else {}),
        **({"adopted_in": write["run"]} if write["times"] and ticket.adopted_in == tickets.BY_HAND else {}),
        severity=worse(ticket.severity, write["severity"]),
        changed_at=now,
        # Only of what we wrote: the answer shows, too, what somebody did just before.
        told=with_ours(ticket.told or first_told(ticket.record, made=False), write["values"], record),
    )
    newcomers = set(write["newcomers"])
    moves.link(connection, ticket, entries, now=now)
    for entry in entries:
        action = write["action"] if not newcomers or entry.id in newcomers else "unchanged"
        outbox.settle(
            connection,
            [entry.id],
            state=outbox.DONE,
            action=action,
            ticket_id=ticket.id,
            message=write["reason"],
            warnings=warnings,
            now=now,
        )


def is_resolved_by_us(ticket: Ticket, states: States) -> bool:
    """Whether a ticket is resolved, and was by us."""
    return _is_resolved(ticket, states, _RESOLVED_BY_US)


def is_resolved_as_empty(ticket: Ticket, states: States) -> bool:
    """Whether a ticket is resolved, and was by us because its last finding had left."""
    return _is_resolved(ticket, states, _RESOLVED_AS_EMPTY)


def _is_resolved(ticket: Ticket, states: States, mark: str) -> bool:
    ended_at = _ended_at(ticket.record)
    return bool(ticket.state == states.resolved and ended_at and ticket.record.get(mark) == ended_at)


def _ended_at(record: Mapping[str, Any]) -> str:
    # Tables without ``resolved_at`` have the time of closing, or only that of the last change.
    return next(filter(None, map(record.get, ("resolved_at", "closed_at", "sys_updated_on"))), "")


def nothing(
    connection: Connection,
    entries: Sequence[Entry],
    ticket: Ticket | None,
    decision: Decision,
    sighting: Sighting,
    *,
    now: datetime,
) -> None:
    """Count what needs no request."""
    outbox.settle(
        connection,
        [entry.id for entry in entries],
        state=outbox.DONE,
        action=decision.action,
        ticket_id=ticket.id if ticket else None,
        message=decision.reason,
        now=now,
    )
    if ticket is None or decision.action == "suppressed":
        return
    seen = ticket.seen + sighting.times
    # What was there before this store was is taken as noted, so that a new store does not note it all over
    # again.
    adopted_now = (
        {"seen_at_note": seen, "adopted_in": sighting.run}
        if tickets.is_older_than_store(ticket, sighting.run)
        else {}
    )
    severity = worse(ticket.severity, sighting.severity)
    tickets.change(connection, ticket, seen=seen, severity=severity, changed_at=now, **adopted_now)
    is_open = tickets.is_open(ticket, states_in(entries[0].payload, ticket.address.table))
    link = moves.link if is_open else moves.link_ended
    link(connection, ticket, entries, now=now)


def waits(
    connection: Connection, entries: Sequence[Entry], message: str | None, *, uncount: bool = False
) -> None:
    """Put back what did not happen and can be tried again, to be decided anew."""
    ids = [entry.id for entry in entries]
    outbox.settle(connection, ids, state=outbox.PENDING, message=message, uncount=uncount)


def refused(
    connection: Connection,
    entries: Sequence[Entry],
    words: str,
    *,
    now: datetime,
    action: str | None = None,
    locked: Sequence[Entry] = (),
) -> None:
    """Bury what was definitely refused.

    What waits behind a ticket that could not be opened is blocked; nothing else is held up.

    :param action: What may have come of it all the same.
    :param locked: What this transaction has found waiting there.
    """
    ids = [entry.id for entry in entries]
    address = entries[0].address
    has_ticket = address in tickets.at(connection, [address])
    # All in one go, before any is written: else two wait for each other.
    there = [] if has_ticket else outbox.waiting(connection, address, locked=locked)
    outbox.settle(connection, ids, state=outbox.DEAD, action=action, message=words, now=now)
    behind = [entry for entry in there if entry.state == outbox.PENDING and entry.id not in ids]
    blocked(connection, behind, behind_entry=entries[0])


def blocked(connection: Connection, entries: Sequence[Entry], *, behind_entry: Entry | None = None) -> None:
    """Set aside what has no ticket to go to."""
    words = (
        f"waits behind outbox entry {behind_entry.id}" if behind_entry else "there is no ticket to write on"
    )
    for entry in entries:
        outbox.settle(connection, [entry.id], state=outbox.BLOCKED, message=words)


def worse(one: str, other: str) -> str:
    """Return the worse of two severities."""
    return max(one, other, key=lambda severity: Severity(severity).rank)
