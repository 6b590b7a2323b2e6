"""Opening tickets: record everything, look once for all, deliver in parallel, say what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.model import (
    Anomaly,
    Kind,
    Severity,
    anomaly_key,
    correlation_id,
    occurrence_id,
)
from airflow_provider_servicenow_dq.desk import result
from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.following import Following
from airflow_provider_servicenow_dq.desk.order import Order, is_exclusive, payload
from airflow_provider_servicenow_dq.desk.places import group, key_column, moves, rollup
from airflow_provider_servicenow_dq.desk.places.homes import home
from airflow_provider_servicenow_dq.exceptions import ServiceNowError, StoreError
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store
from airflow_provider_servicenow_dq.store import case_findings, links, outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.result import Result


@dataclass
class Opening:
    """What came of it.

    :param results: One per anomaly, in the order of the anomalies.
    :param failures: Why something was not delivered, in words, each cause once.
    :param pending: Errors after which a later try can succeed; empty when all that failed was definitely
        refused.
    """

    results: list[Result]
    failures: list[str] = field(default_factory=list)
    pending: list[ServiceNowError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Item:
    """An anomaly that is reported, and its place in the outbox; None if it is to have no ticket."""

    anomaly: Anomaly
    sighting: Sighting
    own_address: Address
    entry: Entry | None
    was_done_by_us: bool = False
    repeated: bool = False


def open_tickets(desk: Desk, anomalies: Sequence[Anomaly], *, order: Order, run: Run) -> Opening:
    """Make sure that every anomaly has its ticket, exactly once.

    Running it again with the same anomalies changes nothing on the instance.

    :param anomalies: In any number; the same problem may be among them several times.
    :param order: What is wanted of new tickets.
    :param run: Who reports.
    """
    return deliver_reports(desk, record_reports(desk, anomalies, order=order, run=run), order=order, run=run)


def deliver_reports(desk: Desk, items: Sequence[Item], *, order: Order, run: Run) -> Opening:
    """Deliver what was recorded just before, and say what came of it.

    :param items: What :func:`record_reports` returned, with the same order and run.
    """
    crew = _deliver_all(desk, items, order, run)
    if any(is_exclusive(order.project, item.anomaly) for item in items):
        moves.deliver(crew, task=run.task)
    return _opening(items, crew, order)


def record_reports(desk: Desk, anomalies: Sequence[Anomaly], *, order: Order, run: Run) -> list[Item]:
    """Write every intent down, in parts of bounded size; the instance is not asked.

    Whoever delivers next takes it from there, should :func:`deliver_reports` not be reached.
    """
    items: list[Item] = []
    seen: set[str] = set()
    for batch in batches(anomalies):
        prepared = [_prepared(desk, anomaly, order, run) for anomaly in batch]
        wanted = [item for item in prepared if order.wants(item.anomaly)]
        now = desk.now()
        with desk.store.begin() as connection:
            column = key_column.declared(connection, desk, order.project)
            anomaly_store.remember(connection, [item.sighting for item in prepared], now=now)
            homes = _homes(connection, desk, wanted, order)
            drafts = {
                _intent(item): Draft(
                    homes[item.sighting.key],
                    _intent(item),
                    outbox.REPORT,
                    _payload(item, homes[item.sighting.key], order, run, now, column),
                    key=item.sighting.key,
                )
                for item in wanted
            }
            entered = outbox.record(connection, list(drafts.values()), recorded_by=run.task, now=now)
        entries = dict(zip(drafts, entered, strict=True))
        for item in prepared:
            entry = entries.get(_intent(item)) if order.wants(item.anomaly) else None
            intent = _intent(item)
            # A task that runs again after it was killed tells what it did the first time.
            by_us = entry is not None and entry.state == outbox.DONE and entry.recorded_by == run.task
            repeated = intent in seen
            seen.add(intent)
            items.append(Item(item.anomaly, item.sighting, item.own_address, entry, by_us, repeated))
    return items


def _prepared(desk: Desk, anomaly: Anomaly, order: Order, run: Run) -> Item:
    key = anomaly_key(anomaly, desk.namespace)
    occurrence = occurrence_id(
        anomaly,
        dag_id=run.dag_id or None,
        run_id=run.run_id or None,
        task_id=run.task_id or None,
        map_index=run.map_index,
    )
    project = order.project
    if project.group_by:
        correlation = group.group_correlation(project.group_by, anomaly, run, namespace=desk.namespace)
    else:
        correlation = correlation_id(anomaly.source, key)
    address = Address(desk.host, project.table, correlation)
    return Item(anomaly, Sighting(key, occurrence, anomaly), address, None)


def _intent(item: Item) -> str:
    return f"report|{item.sighting.key}|{item.sighting.occurrence}"


def _payload(item: Item, home: Address, order: Order, run: Run, now: Any, column: str) -> dict[str, Any]:
    correlation = home.correlation_id
    made = payload(order, item.anomaly, correlation_id=correlation, now=now, run=run.dag_run, column=column)
    titled = "short_description" in {**order.project.columns_for(item.anomaly), **order.columns}
    return {
        **made,
        # Where it goes when nobody works any more on the ticket that a person has linked it to.
        "own": item.own_address.correlation_id,
        "group_by": order.project.group_by,
        "max_new_tickets": order.project.max_new_tickets,
        "titled": titled,
        "key_column": column,
    }


def _homes(connection: Any, desk: Desk, items: Sequence[Item], order: Order) -> dict[str, Address]:
    """Return where each anomaly's ticket is: its own, or an open one that it has joined.

    That is a roll-up, that of the case of a finding, whatever has become of it, or a ticket that a person has
    linked it to while its own is not open.
    """
    linked = links.of_keys(connection, {item.sighting.key for item in items}, instance=desk.host)
    states, table = order.project.states, order.project.table
    findings = {item.sighting.key for item in items if item.anomaly.kind is Kind.SECURITY_FINDING}
    in_cases = case_findings.cases_of(connection, findings) if findings else {}
    homes = {}
    for item in items:
        case = in_cases.get(item.sighting.key)
        at = case.address if case is not None else None
        if at is not None and at[:2] == (desk.host, table) and group.is_case(at):
            homes[item.sighting.key] = at
            continue
        found = [link for link in linked.get(item.sighting.key, ()) if link.ticket.address.table == table]
        homes[item.sighting.key] = home(item.own_address, found, states)
    return homes


def _deliver_all(desk: Desk, items: Sequence[Item], order: Order, run: Run) -> Crew:
    """Deliver what waits for these items; return who did it, who knows what stopped them."""
    waiting = [
        item.entry for item in items if item.entry is not None and item.entry.state not in outbox.ENDED
    ]
    crew = Crew(desk, run.dag_run, reports={entry.id for entry in waiting})
    addresses = _by_severity(waiting)
    behind = _behind(desk, items, addresses, run)
    if not (addresses or behind) or not crew.look([*addresses, *behind]):
        return crew
    first: list[Address] = []
    try:
        if waiting:
            first, addresses = rollup.limit(desk, waiting, addresses, order=order, run=run)
    except StoreError:
        raise
    except ServiceNowError as error:
        crew.failed.append(error)
        return crew
    following = Following(crew, crew.reports, within={*first, *addresses})
    crew.deliver_all([*addresses, *behind], first=first)
    following.deliver_moved()
    return crew


def _behind(desk: Desk, items: Sequence[Item], besides: Sequence[Address], run: Run) -> list[Address]:
    """Return where an earlier try of this task has reported and not finished: a further page, a twin."""
    done = {item.entry.address for item in items if item.was_done_by_us and item.entry is not None}
    if not done:
        return []
    with desk.store.snapshot() as connection:
        return recorded.left_by(connection, run.task, done.difference(besides))


def _by_severity(entries: Sequence[Entry]) -> list[Address]:
    """Return the addresses of entries, the severest first."""
    worst: dict[Address, int] = {}
    for entry in entries:
        rank = Severity(entry.payload["anomaly"]["severity"]).rank
        worst[entry.address] = max(rank, worst.get(entry.address, rank))
    return sorted(worst, key=lambda address: -worst[address])


def _opening(items: Sequence[Item], crew: Crew, order: Order) -> Opening:
    with crew.desk.store.snapshot() as connection:
        entries = outbox.by_ids(connection, {item.entry.id for item in items if item.entry is not None})
        linked = tickets.by_ids(
            connection, {entry.ticket_id for entry in entries.values() if entry.ticket_id}
        )
    results = [_result(item, crew, order, entries, linked) for item in items]
    failures = list(dict.fromkeys(_failures(items, entries, crew.failed)))
    return Opening(results, failures, pending=crew.pending)


def _result(
    item: Item,
    crew: Crew,
    order: Order,
    entries: Mapping[int, Entry],
    linked: Mapping[int, tickets.Ticket],
) -> Result:
    if item.entry is None:
        return result.suppressed(crew.desk, item.anomaly, order.why_not(item.anomaly) or "")
    entry = entries[item.entry.id]
    ticket = linked.get(entry.ticket_id) if entry.ticket_id else None
    ours = not item.repeated and (entry.id in crew.handled or item.was_done_by_us)
    known = None if ours or entry.action == "suppressed" else "unchanged"
    return result.settled(crew.desk, item.anomaly, entry, ticket, action=known)


def _failures(
    items: Sequence[Item], entries: Mapping[int, Entry], failed: Sequence[ServiceNowError]
) -> list[str]:
    said = [str(error) for error in failed]
    for item in items:
        entry = entries[item.entry.id] if item.entry is not None else None
        if entry is not None and entry.state in {outbox.DEAD, outbox.BLOCKED}:
            name = f"{item.anomaly.check_name} on {item.anomaly.dataset} (anomaly {item.anomaly.anomaly_id})"
            said.append(f"{name}, outbox entry {entry.id} is {entry.state}: {entry.message}")
    return said
