"""What a report becomes, given its key's newest ticket. Pure: the table of rules, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from airflow_provider_servicenow_dq.anomalies.model import Severity, Status
from airflow_provider_servicenow_dq.client.stamps import moment_or_none
from airflow_provider_servicenow_dq.store.tickets import (
    UNKNOWN,
    Ticket,
    is_older_than_store,
    is_open,
)
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, States, states_of

#: However often it fails, one note a day is enough.
NOTE_EVERY: Final = timedelta(hours=24)

#: People have closed a ticket because there was nothing to do.
_MUTING: Final = frozenset({Status.DUPLICATE, Status.INVALID})


@dataclass(frozen=True, slots=True)
class Policy:
    """The part of a project that decides what happens to a ticket that exists."""

    on_refire: str = "reopen"
    reopen_window: timedelta = timedelta(hours=72)
    mute_for: timedelta = timedelta(days=30)
    states: States = field(default_factory=lambda: states_of(INCIDENT))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the rules need to know of a report, or of several that share a ticket.

    :param severity: The worst of them.
    :param occurred_at: When the newest of them was seen, by the source's clock if it has one, else by ours;
        put forward by what the instance's clock, to whose times it is compared, is ahead of ours.
    :param times: How many occurrences these are.
    :param newcomers: How many anomalies among them are not on the ticket yet (only where a ticket holds
        several).
    :param to_empty: The ticket is that of a case, and we have resolved it when its last finding had left.
    :param run: The DAG run that reports.
    """

    severity: str
    occurred_at: datetime
    run: str
    times: int = 1
    newcomers: int = 0
    to_empty: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    :param action: What the result says: created, reopened, noted, linked, unchanged or suppressed.
    :param write: What to send.
    :param reason: Why, in words.
    :param predecessor: The ticket that a new one follows.
    """

    action: str
    write: Literal["create", "note", "reopen", "nothing"]
    reason: str
    predecessor: Ticket | None = None


def decide(ticket: Ticket | None, sighting: Sighting, *, policy: Policy, now: datetime) -> Decision:
    """Return what a report becomes.

    :param ticket: The newest ticket of the anomaly, as it is on the instance now; None if there is none.
    :param now: Our clock, for the throttling of notes.
    """
    if ticket is None:
        return Decision("created", "create", "first seen")
    if ticket.state == UNKNOWN:
        # With its own sys_id the instance's primary key tells a deleted ticket from a hidden one.
        return Decision("created", "create", f"{ticket.number} cannot be seen any more")
    if is_open(ticket, policy.states):
        return _repeat(ticket, sighting, now)
    return _refire(ticket, sighting, policy, now)


def _refire(ticket: Ticket, sighting: Sighting, policy: Policy, now: datetime) -> Decision:
    """Decide what a ticket that somebody has ended becomes."""
    ended_at = moment_or_none(ticket.record.get("resolved_at")) or moment_or_none(
        ticket.record.get("closed_at")
    )
    if sighting.newcomers:
        # Whoever ended it decided about the others: these were never on it.
        return _for_newcomers(ticket, sighting, policy)
    muted = _muted_until(ticket, ended_at, policy)
    if muted and sighting.occurred_at < muted:
        code = ticket.record.get("close_code") or policy.states.label(ticket.state)
        return Decision(
            "suppressed", "nothing", f"{ticket.number} was closed as {code!r}, muted until {muted:%Y-%m-%d}"
        )
    if ended_at and sighting.occurred_at <= ended_at:
        older = f"older than the end of {ticket.number} ({policy.states.label(ticket.state)})"
        return Decision("unchanged", "nothing", older)
    if policy.states.is_ended(ticket.state):
        return Decision(
            "created", "create", f"{ticket.number} is {policy.states.label(ticket.state)}", predecessor=ticket
        )
    return _refire_resolved(ticket, sighting, ended_at, policy, now)


def _for_newcomers(ticket: Ticket, sighting: Sighting, policy: Policy) -> Decision:
    # What is done about tickets that somebody has resolved says nothing of one that was only empty.
    may_be_reopened = _may_be_reopened(policy) or (
        sighting.to_empty and policy.states.reopening() is not None
    )
    if policy.states.is_ended(ticket.state) or not may_be_reopened:
        words = f"new since {ticket.number} is {policy.states.label(ticket.state)}"
        return Decision("created", "create", words, predecessor=ticket)
    return Decision("reopened", "reopen", f"new since {ticket.number} was resolved")


def _refire_resolved(
    ticket: Ticket, sighting: Sighting, resolved_at: datetime | None, policy: Policy, now: datetime
) -> Decision:
    match policy.on_refire:
        case "nothing":
            return Decision("unchanged", "nothing", f"{ticket.number} is resolved and on_refire is nothing")
        case "note":
            return _repeat(ticket, sighting, now)
        case "reopen" if _may_be_reopened(policy) and (
            resolved_at is None or sighting.occurred_at - resolved_at <= policy.reopen_window
        ):
            return Decision("reopened", "reopen", f"seen again after {ticket.number} was resolved")
    return Decision("created", "create", f"{ticket.number} is resolved", predecessor=ticket)


def _may_be_reopened(policy: Policy) -> bool:
    return policy.on_refire == "reopen" and policy.states.reopening() is not None


def _repeat(ticket: Ticket, sighting: Sighting, now: datetime) -> Decision:
    """Decide whether a repeat is worth a note."""
    if sighting.newcomers:
        return Decision("linked", "note", "new on this ticket")
    if is_older_than_store(ticket, sighting.run):
        return Decision("unchanged", "nothing", f"{ticket.number} was there before this store was")
    news = _news(ticket, sighting, now)
    if news:
        return Decision("noted", "note", news)
    seen, due = ticket.seen + sighting.times, 2 * ticket.seen_at_note
    return Decision(
        "unchanged", "nothing", f"seen {seen} times; the next note is due at {due} or after a day"
    )


def _news(ticket: Ticket, sighting: Sighting, now: datetime) -> str:
    """Return what a repeat says that the last note did not; nothing if nothing."""
    if Severity(sighting.severity).rank > Severity(ticket.severity).rank:
        return f"severity up from {ticket.severity} to {sighting.severity}"
    if ticket.seen + sighting.times >= 2 * ticket.seen_at_note:
        return "seen again" if ticket.seen == 1 else "keeps being seen"
    return "still seen" if now - ticket.noted_at >= NOTE_EVERY else ""


def _muted_until(ticket: Ticket, ended_at: datetime | None, policy: Policy) -> datetime | None:
    # A state that an instance has added may stamp neither: it was entered at the last change at the latest.
    closed_at = (
        moment_or_none(ticket.record.get("closed_at"))
        or ended_at
        or moment_or_none(ticket.record.get("sys_updated_on"))
    )
    status = policy.states.status_for(ticket.state, ticket.record.get("close_code") or "")
    return closed_at + policy.mute_for if closed_at and status in _MUTING else None
