"""Writing down what is asked about findings: cases, which findings are in them, and what their tickets get.

Everything of a request is one transaction of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.desk import link
from airflow_provider_servicenow_dq.desk.order import Order, payload
from airflow_provider_servicenow_dq.desk.places import emptied, group, key_column, moves
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.people import user_for
from airflow_provider_servicenow_dq.findings.view import ticket_of
from airflow_provider_servicenow_dq.store import (
    anomalies,
    case_findings,
    case_intents,
    cases,
    exclusive,
    outbox,
    tickets,
)
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.outbox import Draft

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.findings.parties import Caller, Side
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.tickets import Ticket

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
    :param earlier: What was recorded for them and the case before, locked.
    """
    before = case_findings.put(connection, case.id, list(findings), by=caller.person, now=side.desk.now())
    left = {key: old for key, old in before.items() if old != case.id}
    cases.touch(connection, [case.id, *left.values()], by=caller.user, now=side.desk.now())
    follow_project(connection, side, [case.id, *left.values()])
    noted: set[int] = set()
    if case.address is None:
        # Also those that were in no case, but on a ticket of another kind.
        noted = leave(connection, side.project, findings, caller, where=case.key, now=side.desk.now())
    else:
        ticket = ticket_of(connection, case)
        wanted = findings if ticket is None else not_on(connection, ticket, findings)
        _bring(connection, side, case, wanted, caller, earlier)
    resolve_empty(connection, side, set(left.values()), caller, besides=noted, now=side.desk.now())


def refused(connection: Connection, asked: Iterable[Case]) -> list[tuple[Case, list[outbox.Entry]]]:
    """Return those of some cases for whose tickets something was refused.

    With them comes what was ever recorded for the findings of which it was, locked.
    """
    found = []
    for case in asked:
        standing = case_intents.standing(connection, case)
        given_up = {str(each.key) for each in standing if each.state in outbox.GIVEN_UP}
        if given_up:
            found.append((case, case_intents.entries(connection, case, keys=given_up)))
    # All in one go: two that lock in different orders wait for each other.
    ids = [entry.id for _, entries in found for entry in entries]
    locked = {entry.id: entry for entry in outbox.lock(connection, ids)} if ids else {}
    return [(case, [locked[entry.id] for entry in entries]) for case, entries in found]


def put_again(
    connection: Connection, side: Side, case: Case, earlier: Sequence[outbox.Entry], caller: Caller
) -> None:
    """Intend once more what was refused: whoever asks again may have changed the reason.

    :param earlier: What was recorded for the case before, locked.
    """
    given_up = {str(entry.key) for entry in earlier if entry.state in outbox.GIVEN_UP}
    still_here = case_findings.of_cases(connection, [case.id]).get(case.id, [])
    known = contents(connection, given_up)
    _bring(connection, side, case, {key: known[key] for key in still_here if key in known}, caller, earlier)


def not_on(connection: Connection, ticket: Ticket, findings: Mapping[str, Anomaly]) -> dict[str, Anomaly]:
    """Return those of some findings that are not on a ticket yet."""
    linked = tickets.members(connection, ticket.id)
    return {key: finding for key, finding in findings.items() if key not in linked}


def _bring(
    connection: Connection,
    side: Side,
    case: Case,
    findings: Mapping[str, Anomaly],
    caller: Caller,
    earlier: Sequence[outbox.Entry],
) -> None:
    """Write down that findings are to come to the ticket of their case."""
    if not findings:
        return
    column = key_column.declared(connection, side.desk, side.project)
    drafts = [_draft(connection, side, case, key, findings[key], earlier, caller, column) for key in findings]
    outbox.record(connection, drafts, recorded_by=caller.run.task, now=side.desk.now())


def leave(
    connection: Connection,
    project: Project | None,
    findings: Mapping[str, Anomaly],
    caller: Caller,
    *,
    where: str,
    now: datetime,
) -> set[int]:
    """Let findings that have left their cases leave the tickets that they are on, and note it there.

    Return the ids of those tickets. They need not be those of the cases: findings may not have arrived there.

    :param project: Of the case; None where nobody knows it any more.
    :param findings: By key.
    :param where: Key of the case that they are in now; empty for none.
    """
    left = exclusive.take_off(connection, findings)
    known = tickets.by_ids(connection, left)
    for ticket_id, keys in left.items():
        ticket, gone = known[ticket_id], [findings[key] for key in keys]
        rules = moves.rules_at(project, ticket)
        moves.leave(connection, ticket, gone, where=where, by=caller.run.task, rules=rules, now=now)
    return set(left)


def follow_project(connection: Connection, side: Side, case_ids: Iterable[str]) -> None:
    """Let those of some cases that are of a project have its rules as they are now."""
    moves.follow_project(connection, side.project, case_ids, instance=side.desk.host)


def resolve_empty(
    connection: Connection,
    side: Side | None,
    case_ids: Collection[str],
    caller: Caller,
    *,
    besides: Collection[int],
    now: datetime,
) -> None:
    """Let the tickets of cases that have lost their last finding be resolved, if that never was on them.

    Where it still is, the ticket is resolved when it has left.

    :param side: Whose rules are those of its own cases' tickets of which nobody knows more.
    :param besides: Ids of tickets that see to it already.
    """
    for case in cases.by_ids(connection, sorted(case_ids)).values():
        ticket = ticket_of(connection, case)
        if ticket is not None and ticket.id not in besides:
            own = side is not None and (case.project_id, ticket.address.instance) == (
                side.project.id,
                side.desk.host,
            )
            rules = moves.rules_at(side.project if side and own else None, ticket)
            emptied.resolve(connection, ticket, by=caller.run.task, rules=rules, now=now)


def _draft(
    connection: Connection,
    side: Side,
    case: Case,
    key: str,
    finding: Anomaly,
    earlier: Sequence[outbox.Entry],
    caller: Caller,
    column: str,
) -> Draft:
    assert case.address is not None  # noqa: S101 (only cases with tickets get here; this tells the type checker)
    name = case_intents.intent(case, key, earlier)
    if case.ticket_sys_id is not None and not group.is_case(case.address):
        ticket = ticket_of(connection, case)
        if ticket is not None:
            before = [entry for entry in earlier if entry.key == key]
            drafted = link.draft(side.desk, finding, key, before, ticket, side.project, side.desk.now())
            told = {**drafted.payload, "exclusive": True, "case": case.id}
            return Draft(case.address, name, outbox.LINK, told, key=key)
    return Draft(case.address, name, outbox.REPORT, _report(side, case, finding, caller, column), key=key)


def _report(side: Side, case: Case, finding: Anomaly, caller: Caller, column: str) -> dict[str, Any]:
    """Return what opens or continues the ticket of a case."""
    assert case.address is not None  # noqa: S101 (as above)
    columns = {"short_description": _literal(case.title)}
    warnings = []
    if user := user_for(case.assignee_id, side.project):
        columns["assigned_to"] = _literal(user)
    elif case.assignee_id:
        warnings.append(f"assignee_id: project {side.project.id} tells no user for {case.assignee_id}")
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
        "warnings": [*made["warnings"], *warnings],
        "exclusive": True,
        "case": case.id,
        "group_by": None,
        "max_new_tickets": side.project.max_new_tickets,
        "titled": True,
        "key_column": column,
    }


def _literal(text: str) -> str:
    """Return a text whose braces are no fields of a finding."""
    return text.replace("{", "{{").replace("}", "}}")
