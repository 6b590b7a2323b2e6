"""Linking anomalies to a ticket that is there, whoever has opened it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key
from airflow_provider_servicenow_dq.desk import lookup, order, result
from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.places import key_column, moves
from airflow_provider_servicenow_dq.desk.places.foreign import CORRELATION_ID, foreign_address
from airflow_provider_servicenow_dq.desk.push import Pushed
from airflow_provider_servicenow_dq.desk.search import Found, find_ticket
from airflow_provider_servicenow_dq.desk.writing import linking
from airflow_provider_servicenow_dq.exceptions import DeliveryRefusedError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store
from airflow_provider_servicenow_dq.store import links, outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry
from airflow_provider_servicenow_dq.tickets.links import link_line
from airflow_provider_servicenow_dq.tickets.notes import details

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.store.tickets import Ticket


def link_anomalies(
    desk: Desk, anomalies: Sequence[Anomaly], *, incident: str, run: Run, project: Project | None = None
) -> Pushed:
    """Link anomalies to a ticket: their details go into its description, a work note tells of it, each once.

    Both go in one update. Running it again changes nothing. Whoever is linked already stays so; after an
    unlinking a new note tells of the new link. A ticket may have any number of anomalies and an anomaly any
    number of tickets, but for exclusive projects, where linking moves it.

    :param incident: Number, sys_id or address of the ticket's record.
    :param run: Who links.
    :return: One result per anomaly, in their order.
    :raises ServiceNowConfigError: If it names no ticket, or one of another instance.
    :raises NoSuchTicketError: If the instance shows no such ticket.
    :raises AmbiguousNameError: If several tickets have that number.
    :raises DeliveryRefusedError: If the ticket is closed or canceled.
    """
    rules = project or Project()
    with desk.store.begin() as connection:
        column = key_column.declared(connection, desk, rules)
    found = find_ticket(table_api=desk.table_api, name=incident, table=rules.table, key_column=column)
    address = address_of(desk, found, column)
    crew = Crew(desk, run.dag_run)
    # What we know of a ticket's journal decides what is new on it.
    if not crew.look([address]):
        return _linked(crew, [], anomalies)
    intents = _record(desk, anomalies, found, address, rules, run)
    if _waits(desk, intents, address, run):
        crew.deliver_all([address])
    if any(order.is_exclusive(rules, anomaly) for anomaly in anomalies):
        moves.deliver(crew, task=run.task)
    return _linked(crew, intents, anomalies)


def _waits(desk: Desk, intents: Sequence[tuple[Entry | None, Ticket]], address: Address, run: Run) -> bool:
    """Whether there is something to deliver: links, or what a try of this task that died left behind."""
    if any(entry is not None and entry.state not in outbox.ENDED for entry, _ in intents):
        return True
    with desk.store.snapshot() as connection:
        return bool(recorded.left_by(connection, run.task, [address]))


def address_of(desk: Desk, found: Found, column: str) -> Address:
    """Return where a ticket is claimed: by our correlation id if it is ours, else by its sys_id."""
    sys_id = found.record["sys_id"]
    with desk.store.snapshot() as connection:
        known = links.with_sys_id(connection, sys_id, instance=desk.host, tables=(found.table,))
    if known is not None:
        return known.address
    correlation = str(found.record.get(column) or "")
    if CORRELATION_ID.fullmatch(correlation):
        return Address(desk.host, found.table, correlation)
    return foreign_address(desk.host, found.table, sys_id)


def _record(
    desk: Desk, anomalies: Sequence[Anomaly], found: Found, address: Address, rules: Project, run: Run
) -> list[tuple[Entry | None, Ticket]]:
    """Write the intents down; return for each anomaly its entry, if it needs one, and the ticket.

    :raises DeliveryRefusedError: If somebody would be linked to a ticket that is locked.
    """
    now = desk.now()
    keys = [anomaly_key(anomaly, desk.namespace) for anomaly in anomalies]
    drafts: dict[str, Draft] = {}
    told: dict[str, Entry | None] = {}
    with desk.store.begin() as connection:
        ticket = lookup.keep(connection, desk, address, found.record, now=now)
        # In one order for all: two transactions that lock rows in different orders wait for each other.
        for key, anomaly in sorted(zip(keys, anomalies, strict=True), key=lambda each: each[0]):
            anomaly_store.know_status(connection, key, anomaly, now=now)
            before = links.intents(connection, address, key)
            if links.exists(connection, ticket.id, key):
                # A link that a report made is one on purpose from now on.
                tickets.link(connection, ticket.id, [key], now=now, by_person=True)
                told[key] = _told_by(before, run)
            elif key not in drafts:
                drafts[key] = draft(desk, anomaly, key, before, ticket, rules, now)
        if drafts and (words := _why_locked(ticket, rules)):
            raise DeliveryRefusedError(words)
        # On the ticket they stand in the order in which they were given.
        fresh = [key for key in dict.fromkeys(keys) if key in drafts]
        entered = outbox.record(connection, [drafts[key] for key in fresh], recorded_by=run.task, now=now)
    entries = {**told, **dict(zip(fresh, entered, strict=True))}
    return [(entries[key], ticket) for key in keys]


def _told_by(before: Sequence[Entry], run: Run) -> Entry | None:
    """Return what linked an anomaly, if this task did: run again after its death, it tells what it did."""
    last = before[-1] if before else None
    done = last is not None and last.state == outbox.DONE and last.recorded_by == run.task
    return last if done else None


def draft(
    desk: Desk,
    anomaly: Anomaly,
    key: str,
    before: Sequence[Entry],
    ticket: Ticket,
    rules: Project,
    now: datetime,
) -> Draft:
    """Return the intent to link an anomaly to a ticket.

    :param before: What was recorded to link it there earlier.
    """
    # It was linked and is not any more; what a person has discarded stays so.
    left = [
        entry
        for entry in before
        if entry.payload.get("sys_id", ticket.sys_id) == ticket.sys_id
        and (entry.state == outbox.DONE or entry.action == links.UNLINKED)
    ]
    told = order.rules_payload(rules) if ticket.address.table == rules.table else {}
    return Draft(
        ticket.address,
        f"link|{ticket.sys_id}|{key}|{len(left)}",
        outbox.LINK,
        {
            "sys_id": ticket.sys_id,
            "number": ticket.number,
            "anomaly": anomaly.model_dump(mode="json"),
            "namespace": desk.namespace,
            "text": link_line(anomaly, namespace=desk.namespace, now=now),
            "details": details(anomaly, now=now),
            "again": bool(left),
            **told,
            **({"exclusive": True} if order.is_exclusive(rules, anomaly) else {}),
        },
        key=key,
    )


def _why_locked(ticket: Ticket, rules: Project) -> str:
    states = rules.states_at(ticket.address.table)
    return linking.why_locked(ticket.number or ticket.sys_id, ticket.state, states)


def _linked(
    crew: Crew, intents: Sequence[tuple[Entry | None, Ticket]], anomalies: Sequence[Anomaly]
) -> Pushed:
    desk = crew.desk
    failures = [str(error) for error in crew.failed]
    if not intents:
        return Pushed([], failures, crew.pending)
    with desk.store.snapshot() as connection:
        entries = outbox.by_ids(connection, {entry.id for entry, _ in intents if entry is not None})
        shown = tickets.by_ids(connection, {ticket.id for _, ticket in intents})
    results = []
    said: set[int] = set()
    for anomaly, (intent, ticket) in zip(anomalies, intents, strict=True):
        now = shown[ticket.id]
        if intent is None:
            results.append(result.unchanged(desk, anomaly, now, "it is linked already"))
            continue
        entry = entries[intent.id]
        repeated = intent.id in said
        said.add(intent.id)
        results.append(result.settled(desk, anomaly, entry, now, action="unchanged" if repeated else None))
        if entry.state in {outbox.DEAD, outbox.BLOCKED}:
            what = f"link of {anomaly.check_name} on {anomaly.dataset}"
            failures.append(f"{what}, outbox entry {entry.id} is {entry.state}: {entry.message}")
    return Pushed(results, list(dict.fromkeys(failures)), crew.pending)
