"""Writing down what is asked about findings: cases, which findings are in them, and what their tickets get.

Everything of a request is one transaction of the store.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.desk import link
from airflow_provider_servicenow_dq.desk.order import Order, payload
from airflow_provider_servicenow_dq.desk.places import group, key_column, moves
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.view import ticket_of
from airflow_provider_servicenow_dq.store import anomalies, cases, exclusive, outbox, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.outbox import Draft
from airflow_provider_servicenow_dq.tickets.states import states_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.findings.parties import Caller, Side
    from airflow_provider_servicenow_dq.store.cases import Case

#: Key of cases whose project has none.
NO_KEY: Final = "DQ"


def key_of(finding_id: str, namespace: str) -> str:
    """Return the key of a finding."""
    return anomaly_key(finding_of(finding_id), namespace)


contents = anomalies.contents


def know(connection: Connection, findings: Iterable[Anomaly], *, namespace: str, now: datetime) -> None:
    """Keep what is known of findings, for the texts on their tickets."""
    seen = [
        Sighting(anomaly_key(finding, namespace), occurrence_id(finding), finding) for finding in findings
    ]
    anomalies.remember(connection, seen, now=now)


def remember(connection: Connection, side: Side, finding_ids: Iterable[str]) -> dict[str, Anomaly]:
    """Return findings by their keys, in their order; those that the store does not know it knows now."""
    named = {finding_id: finding_of(finding_id) for finding_id in finding_ids}
    keys = {finding_id: anomaly_key(named[finding_id], side.desk.namespace) for finding_id in named}
    known = anomalies.contents(connection, keys.values())
    fresh = [
        Sighting(keys[finding_id], occurrence_id(finding), finding)
        for finding_id, finding in named.items()
        if keys[finding_id] not in known
    ]
    anomalies.remember(connection, fresh, now=side.desk.now())
    return {keys[finding_id]: known.get(keys[finding_id], finding) for finding_id, finding in named.items()}


def put(
    connection: Connection,
    side: Side,
    case: Case,
    findings: Mapping[str, Anomaly],
    caller: Caller,
    *,
    earlier: Sequence[outbox.Entry] = (),
) -> None:
    """Put findings into a case, and write down what its ticket gets and what the tickets that they leave do.

    Whoever calls it holds :func:`~airflow_provider_servicenow_dq.store.exclusive.alone`.

    :param findings: By key.
    :param earlier: What was recorded for the case before, locked.
    """
    before = cases.put(connection, case.id, list(findings))
    now = side.desk.now()
    left = {key: old for key, old in before.items() if old != case.id}
    cases.touch(connection, [case.id, *left.values()], by=caller.user, now=now)
    if case.address is None:
        leave(connection, side, left, findings, caller, where=case.key)
        return
    ticket = ticket_of(connection, case)
    linked = tickets.members(connection, ticket.id) if ticket is not None else set()
    wanted = {key: finding for key, finding in findings.items() if key not in linked}
    drafts = [_draft(connection, side, case, key, wanted[key], earlier, caller) for key in wanted]
    outbox.record(connection, drafts, recorded_by=caller.run.task, now=now)


def leave(
    connection: Connection,
    side: Side,
    left: Mapping[str, str],
    findings: Mapping[str, Anomaly],
    caller: Caller,
    *,
    where: str,
) -> None:
    """Let findings leave the tickets of the cases that they were in, and note it there.

    :param left: Ids of those cases, by key.
    :param where: Key of the case that they are in now; empty for none.
    """
    by_case: dict[str, list[str]] = {}
    for key, case_id in left.items():
        by_case.setdefault(case_id, []).append(key)
    for case_id, case in cases.by_ids(connection, by_case).items():
        ticket = ticket_of(connection, case)
        if ticket is None:
            continue
        cut = exclusive.take_from(connection, [ticket.id], by_case[case_id])
        gone = [finding for key, finding in findings.items() if (key, ticket.id) in cut]
        if not gone:
            continue
        table = ticket.address.table
        states = side.project.states if table == side.project.table else states_of(table)
        moves.leave(
            connection,
            ticket,
            gone,
            where=where,
            name=uuid.uuid4().hex,
            by=caller.run.task,
            states=states,
            now=side.desk.now(),
        )


def _draft(
    connection: Connection,
    side: Side,
    case: Case,
    key: str,
    finding: Anomaly,
    earlier: Sequence[outbox.Entry],
    caller: Caller,
) -> Draft:
    assert case.address is not None  # noqa: S101 (only cases with tickets get here; this tells the type checker)
    name = cases.intent(case, key, earlier)
    if case.ticket_sys_id is not None and not group.is_case(case.address):
        ticket = ticket_of(connection, case)
        if ticket is not None:
            before = [entry for entry in earlier if entry.key == key]
            drafted = link.draft(side.desk, finding, key, before, ticket, side.project, side.desk.now())
            told = {**drafted.payload, "exclusive": True, "case": case.id}
            return Draft(case.address, name, outbox.LINK, told, key=key)
    return Draft(case.address, name, outbox.REPORT, _report(connection, side, case, finding, caller), key=key)


def _report(
    connection: Connection, side: Side, case: Case, finding: Anomaly, caller: Caller
) -> dict[str, Any]:
    """Return what opens or continues the ticket of a case."""
    assert case.address is not None  # noqa: S101 (as above)
    column = key_column.declared(connection, side.desk, side.project)
    # Braces in a title are no fields of the finding.
    columns = {"short_description": case.title.replace("{", "{{").replace("}", "}}")}
    assignee = side.project.assignees.get(case.assignee_id or "")
    if assignee:
        columns["assigned_to"] = assignee
    wish = None if case.priority == cases.NOT_DEFINED else case.priority
    made = payload(
        Order(side.project, columns, priority=wish),
        finding,
        correlation_id=case.address.correlation_id,
        now=side.desk.now(),
        run=caller.run.dag_run,
        column=column,
    )
    return {
        **made,
        "exclusive": True,
        "case": case.id,
        "words": case.description,
        "group_by": None,
        "max_new_tickets": side.project.max_new_tickets,
        "titled": True,
        "key_column": column,
    }
