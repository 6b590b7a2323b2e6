"""Anomalies that are on one ticket at a time: whoever joins a ticket leaves the one before.

The links move in one transaction; the notes on both tickets follow by the outbox.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind
from airflow_provider_servicenow_dq.desk.order import rules_in, rules_payload, states_in
from airflow_provider_servicenow_dq.desk.places import emptied
from airflow_provider_servicenow_dq.store import (
    anomalies,
    case_findings,
    cases,
    exclusive,
    outbox,
    recorded,
    tickets,
)
from airflow_provider_servicenow_dq.store.links import UNLINKED_SINCE
from airflow_provider_servicenow_dq.store.outbox import Draft
from airflow_provider_servicenow_dq.tickets import notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.crew import Crew
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket


class CaseRules(TypedDict):
    """What is kept with a case of what its project says of its cases."""

    closes_when_empty: bool
    follows_ticket: bool


def link(connection: Connection, ticket: Ticket, entries: Sequence[Entry], *, now: datetime) -> None:
    """Link the anomalies of entries to their ticket; those that are on one at a time leave the others.

    Only what says that they belong there does so, a report or a person: a status or a comment may have been
    on its way to a ticket that they have left. Whoever calls it is :func:`~.exclusive.alone` if
    :func:`are_exclusive`.
    """
    linking = [
        entry for entry in entries if entry.kind in emptied.LINKING and UNLINKED_SINCE not in entry.payload
    ]
    moving = {entry.key: entry for entry in linking if entry.key and _is_exclusive(entry)}
    strayed: set[str] = set()
    if moving:
        strayed = _keep_cases(connection, ticket, moving, now=now)
        linking = [entry for entry in linking if entry.key not in strayed]
        moving = {key: entry for key, entry in moving.items() if key not in strayed}
    on_purpose = {entry.key for entry in linking if entry.key and entry.kind == outbox.LINK}
    by_report = {entry.key for entry in linking if entry.key} - on_purpose
    tickets.link(connection, ticket.id, by_report, now=now)
    tickets.link(connection, ticket.id, on_purpose, now=now, by_person=True)
    if not moving:
        if strayed:
            drafts = emptied.drafts(connection, ticket, rules=_rules(connection, ticket, entries[0]))
            outbox.record(connection, drafts, recorded_by=entries[0].recorded_by, now=now)
        return
    taken = _take_from_others(connection, ticket, moving)
    # In the order in which they were recorded.
    left = {key: taken[key] for key in moving if key in taken}
    drafts = list(_drafts(connection, ticket, moving, left))
    first = next(iter(moving.values()))
    others = {each.id: each for them in left.values() for each in them if each.address != ticket.address}
    for other in others.values():
        drafts += emptied.drafts(connection, other, rules=_rules(connection, other, first))
    outbox.record(connection, drafts, recorded_by=entries[0].recorded_by, now=now)


def _take_from_others(
    connection: Connection, ticket: Ticket, moving: Mapping[str, Entry]
) -> dict[str, list[Ticket]]:
    """Cut the links of anomalies to other tickets: of this instance, findings those of any."""
    findings = {key for key, entry in moving.items() if _is_finding(entry)}
    rest = moving.keys() - findings
    return {
        **exclusive.take_from_others(connection, ticket, findings, everywhere=True),
        **exclusive.take_from_others(connection, ticket, rest, everywhere=False),
    }


def _keep_cases(
    connection: Connection, ticket: Ticket, moving: Mapping[str, Entry], *, now: datetime
) -> set[str]:
    """Leave out what has gone to another case since it was sent here, and note that on the ticket.

    What comes to a ticket for another reason than its case leaves its case for that of the ticket, if it has
    one.
    """
    of_cases = {key: entry.payload["case"] for key, entry in moving.items() if entry.payload.get("case")}
    others = [key for key, entry in moving.items() if key not in of_cases and _is_finding(entry)]
    if others:
        here = cases.of_ticket(connection, ticket.address, ticket.sys_id)
        if here is not None:
            case_findings.put(connection, here.id, others, by="", now=now)
        else:
            case_findings.take_out(connection, others, by="", now=now)
    owners = case_findings.owners(connection, of_cases)
    strayed = {key: owners.get(key) for key, case in of_cases.items() if owners.get(key) != case}
    known = cases.by_ids(connection, {owner for owner in strayed.values() if owner})
    gone: dict[str, list[str]] = {}
    for key, owner in strayed.items():
        gone.setdefault(known[owner].key if owner else "", []).append(key)
    drafts: list[Draft] = []
    for where, keys in gone.items():
        first = moving[keys[0]]
        texts = notes.left_pages([_anomaly(moving[key]) for key in keys], number=where)
        drafts += _pages(
            ticket, f"{first.id}|{ticket.sys_id}|strayed", texts, _rules(connection, ticket, first)
        )
    if drafts:
        first = next(iter(moving.values()))
        outbox.record(connection, drafts, recorded_by=first.recorded_by, now=now)
    return set(strayed)


def are_exclusive(entries: Iterable[Entry]) -> bool:
    """Whether any of the entries is for an anomaly that is on one ticket at a time."""
    return any(map(_is_exclusive, entries))


def leave(
    connection: Connection,
    ticket: Ticket,
    gone: Sequence[Anomaly],
    *,
    where: str,
    by: str,
    rules: Mapping[str, Any],
    now: datetime,
) -> None:
    """Note on a ticket that anomalies are not followed there any more; their links are cut already.

    :param where: Key of the case that they are in now; empty for none.
    :param by: Who has recorded it.
    :param rules: What a project says of the ticket's table, unless its own is known.
    """
    rules = emptied.own_rules(connection, ticket) or rules
    states = states_in(rules, ticket.address.table)
    if ticket.state == tickets.UNKNOWN or states.is_ended(ticket.state):
        return  # nothing can be written on it any more
    texts = notes.left_pages(gone, number=where)
    drafts = list(_pages(ticket, f"{uuid.uuid4().hex}|{ticket.sys_id}", texts, rules))
    drafts += emptied.drafts(connection, ticket, rules=rules)
    outbox.record(connection, drafts, recorded_by=by, now=now)


def rules_at(project: Project | None, ticket: Ticket) -> dict[str, Any]:
    """Return what a project says of a ticket's table; nothing if it is that of another."""
    return rules_payload(project) if project and ticket.address.table == project.table else {}


def follow_project(
    connection: Connection, project: Project, case_ids: Iterable[str], *, instance: str
) -> None:
    """Let those of some cases that are of a project have its rules as they are now.

    :param instance: Where the project works.
    """
    cases.keep_rules(connection, case_ids, project.id, instance=instance, **case_rules(project))


def case_rules(project: Project) -> CaseRules:
    """Return what a project says of its cases, by the names that it is kept by."""
    return {
        "closes_when_empty": project.close_empty_cases,
        "follows_ticket": project.sync.feeds_status,
    }


def leave_case(
    connection: Connection,
    ticket: Ticket,
    keys: Sequence[str],
    *,
    by: str,
    user: str,
    project: Project | None,
    now: datetime,
) -> None:
    """Let findings that were cut off a ticket leave its case as well, and note it on the ticket.

    Whoever calls it is :func:`~.exclusive.alone`.

    :param by: Who has recorded it.
    :param user: Who has asked for it, if it is a person.
    :param project: The one that they named. Its rules are those of its own cases alone.
    """
    case = cases.of_ticket(connection, ticket.address, ticket.sys_id)
    owners = case_findings.owners(connection, keys)
    gone = [key for key in keys if case is not None and owners.get(key) == case.id]
    if case is None or not gone:
        return
    rules: dict[str, Any] = {}
    if project is not None and case.project_id == project.id:
        rules = rules_at(project, ticket)
        follow_project(connection, project, [case.id], instance=ticket.address.instance)
    case_findings.take_out(connection, gone, by=user, now=now)
    cases.change(connection, case, by=user, now=now)
    known = anomalies.contents(connection, gone)
    leave(connection, ticket, [known[key] for key in gone], where="", by=by, rules=rules, now=now)


def link_ended(connection: Connection, ticket: Ticket, entries: Sequence[Entry], *, now: datetime) -> None:
    """Link the anomalies of entries to a ticket that is finished; nobody leaves another one for that."""
    keys = [entry.key for entry in entries if entry.key and not _is_exclusive(entry)]
    tickets.link(connection, ticket.id, keys, now=now)


def deliver(crew: Crew, *, task: str | None = None) -> None:
    """Deliver the notes about moves that wait.

    :param task: Only those that come of what a task instance recorded, with the states that it recorded.
    """
    if crew.stop.is_set():
        return
    with crew.desk.store.snapshot() as connection:
        kinds = (outbox.MOVE,) if task is None else (outbox.MOVE, outbox.STATUS)
        waiting = recorded.addresses_of(connection, crew.desk.host, *kinds, task=task)
    tables: dict[str, list[Address]] = {}
    for address in waiting:
        tables.setdefault(address.table, []).append(address)
    for addresses in tables.values():
        if crew.look(addresses):
            crew.deliver_all(addresses)


def noted_on(entry: Entry, known: Sequence[Ticket]) -> Ticket:
    """Return the ticket that a text is for: that of a move may have a successor."""
    return next((ticket for ticket in known if ticket.sys_id == entry.payload.get("sys_id")), known[0])


def _is_finding(entry: Entry) -> bool:
    return _anomaly(entry).kind is Kind.SECURITY_FINDING


def _is_exclusive(entry: Entry) -> bool:
    return bool(entry.payload.get("exclusive"))


def _drafts(
    connection: Connection,
    ticket: Ticket,
    moving: Mapping[str, Entry],
    left: Mapping[str, Sequence[Ticket]],
) -> Iterator[Draft]:
    """Yield the notes: one for each ticket that was left, and those for the one that was joined."""
    first = next(iter(moving.values()))
    leaving: dict[int, list[str]] = {}
    joining: list[tuple[Anomaly, str]] = []
    before = {each.id: each for others in left.values() for each in others}
    for key, others in left.items():
        for other in others:
            leaving.setdefault(other.id, []).append(key)
        # A successor names its predecessor.
        elsewhere = [_number(other, ticket) for other in others if other.address != ticket.address]
        if elsewhere:
            joining.append((_anomaly(moving[key]), ", ".join(elsewhere)))
    for ticket_id, keys in leaving.items():
        other = before[ticket_id]
        rules = _rules(connection, other, first)
        if other.state == tickets.UNKNOWN or states_in(rules, other.address.table).is_ended(other.state):
            continue  # nothing can be written on it any more
        told = [_anomaly(moving[key]) for key in keys]
        texts = notes.left_pages(told, number=_number(ticket, other))
        yield from _pages(other, f"{first.id}|{other.sys_id}", texts, rules)
    if joining:
        joined = notes.joined_pages(joining)
        yield from _pages(ticket, f"{first.id}|{ticket.sys_id}", joined, _rules(connection, ticket, first))


def _rules(connection: Connection, ticket: Ticket, entry: Entry) -> dict[str, Any]:
    """Return what its project says of a ticket's table: not always that of an entry for another ticket."""
    alike = _are_alike(ticket.address, entry.address)
    return emptied.own_rules(connection, ticket) or (rules_in(entry.payload) if alike else {})


def _are_alike(one: Address, other: Address) -> bool:
    return (one.instance, one.table) == (other.instance, other.table)


def _number(ticket: Ticket, seen_from: Ticket) -> str:
    """Return what people call a ticket who read of it on another one."""
    instance = ticket.address.instance
    return ticket.number if instance == seen_from.address.instance else f"{ticket.number} of {instance}"


def _pages(ticket: Ticket, name: str, texts: Sequence[str], rules: Mapping[str, Any]) -> Iterator[Draft]:
    """Yield the intents to write pages of a note on a ticket."""
    for number, text in enumerate(texts, start=1):
        payload = {"sys_id": ticket.sys_id, "text": text, **rules}
        yield Draft(ticket.address, f"move|{name}|page {number}", outbox.MOVE, payload)


def _anomaly(entry: Entry) -> Anomaly:
    return Anomaly.model_validate(entry.payload["anomaly"])
