"""Opening cases for security findings, with tickets or without: what a repeated request does only once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.desk.places import group, moves
from airflow_provider_servicenow_dq.findings import recording, repeats
from airflow_provider_servicenow_dq.findings.answering import answer
from airflow_provider_servicenow_dq.findings.finding import title_of
from airflow_provider_servicenow_dq.store import case_findings, case_intents, cases, exclusive
from airflow_provider_servicenow_dq.store.cases import Case, Draft
from airflow_provider_servicenow_dq.store.outbox import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.findings.asked import (
        CaseToCreate,
        CreateCases,
        CreateTickets,
        TicketToCreate,
    )
    from airflow_provider_servicenow_dq.findings.parties import Answer, Caller, Side, Sides


def create(body: CreateTickets | CreateCases, *, sides: Sides, caller: Caller) -> Answer:
    """Open a case for each item, with a ticket or without one, and put its findings into it.

    Findings leave the cases, and with them the tickets, that they were in; one that is in several items ends
    in the last of them. An item whose ticket ServiceNow refuses says so in its case; the others are not held
    up, and a repeated request tries it again.

    :raises NotFoundError: If there is no such project.
    :raises KeyReusedError: If the caller's key came with another request before.
    """
    items: Sequence[TicketToCreate | CaseToCreate] = body.data
    known = {name: sides(name) for name in {item.relationships.project.data.id for item in items}}
    of_items = [known[item.relationships.project.data.id] for item in items]
    store, now = of_items[0].desk.store, of_items[0].desk.now()
    by_project = {side.project.id: side for side in of_items}
    request = repeats.Request.to(of_items, body, caller)
    with store.begin() as connection:
        exclusive.alone(connection)
        findings = _remember(connection, of_items[0], items)
        before = repeats.known(connection, request, now=now)
        undone = repeats.undone(connection, request, before, findings)
        _lock(connection, before, undone, findings)
        opened = earlier = [case for case in before if case is not None]
        if len(opened) < len(before):
            opened = _open(connection, request, before, of_items, findings)
            repeats.remember(connection, request, opened, now=now)
        for number, keys in undone.items():
            back = {key: findings[number][key] for key in keys}
            _put_back(connection, of_items[number], before[number], back, caller)
        for case, entries in recording.refused(connection, earlier):
            recording.put_again(connection, by_project[case.project_id], case, entries, caller)
    return answer(store, opened, by_project, caller)


def _remember(
    connection: Connection, side: Side, items: Sequence[TicketToCreate | CaseToCreate]
) -> list[dict[str, Anomaly]]:
    """Return the findings of each item by their keys, in their order."""
    ids = [item.relationships.findings.ids for item in items]
    # All at once, so that they are locked in one order: else two requests wait for each other.
    known = recording.remember(connection, side, dict.fromkeys(itertools.chain.from_iterable(ids)))
    keys = [[recording.key_of(each, side.desk.namespace) for each in of_item] for of_item in ids]
    return [{key: known[key] for key in of_item} for of_item in keys]


def _open(
    connection: Connection,
    request: repeats.Request,
    before: Sequence[Case | None],
    sides: Sequence[Side],
    findings: Sequence[Mapping[str, Anomaly]],
) -> list[Case]:
    """Open cases for those items that have none yet; return those of all.

    :param before: The cases that items have.
    """
    due = [number for number, case in enumerate(before) if case is None]
    caller, names = request.caller, repeats.names(connection, request, due)
    drafts = [
        _draft(request.items[number], sides[number], findings[number], group.case_correlation(name))
        for number, name in zip(due, names, strict=True)
    ]
    opened = cases.add(connection, drafts, by=caller.user, now=sides[0].desk.now())
    for number, case in zip(due, opened, strict=True):
        recording.put(connection, sides[number], case, findings[number], caller)
    fresh = iter(opened)
    return [case or next(fresh) for case in before]


def _lock(
    connection: Connection,
    before: Sequence[Case | None],
    undone: Mapping[int, Sequence[str]],
    findings: Sequence[Mapping[str, Anomaly]],
) -> None:
    """Lock all cases that a request changes at once: who follows their tickets changes several, too."""
    due = (number for number, case in enumerate(before) if case is None)
    moving = {key for number in due for key in findings[number]}.union(*undone.values())
    cases.lock(
        connection,
        {*case_findings.owners(connection, moving).values(), *(case.id for case in before if case)},
    )


def _put_back(
    connection: Connection, side: Side, case: Case | None, findings: Mapping[str, Anomaly], caller: Caller
) -> None:
    """Put what the caller has taken out of a case since into it again."""
    if case is not None:
        earlier = case_intents.entries(connection, case, keys=findings, for_update=True)
        recording.put(connection, side, case, findings, caller, earlier=earlier)


def _draft(
    item: TicketToCreate | CaseToCreate, side: Side, findings: Mapping[str, Anomaly], correlation_id: str
) -> Draft:
    address = Address(side.desk.host, side.project.table, correlation_id)
    asked = item.attributes
    return Draft(
        correlation_id=correlation_id,
        project_id=side.project.id,
        project_key=side.project.key or recording.NO_KEY,
        title=(asked.title or "").strip() or title_of(list(findings.values())),
        description=asked.description or "",
        address=address if item.type == "servicenow_tickets" else None,
        priority=asked.priority,
        assignee_id=asked.assignee_id,
        **moves.case_rules(side.project),
    )
