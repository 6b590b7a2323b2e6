"""Cases as they are shown: what was asked for, and what has become of the ticket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.findings.finding import description_of, where_shown
from airflow_provider_servicenow_dq.findings.shown import (
    CaseData,
    CaseRelationships,
    CaseShown,
    Insight,
    ServiceNowTicket,
    ShownProject,
    ShownProjectData,
    TicketResult,
    UserRef,
)
from airflow_provider_servicenow_dq.store import anomalies, case_findings, case_intents, outbox, tickets
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, states_of
from airflow_provider_servicenow_dq.tickets.text import cut
from airflow_provider_servicenow_dq.tickets.ticket import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.findings.parties import Side
    from airflow_provider_servicenow_dq.store.case_intents import Intended
    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States


class _Standing(NamedTuple):
    status: str
    status_group: str
    status_name: str


_OPEN: Final = _Standing("OPEN", "SG_OPEN", "Open")
_IN_PROGRESS: Final = _Standing("IN_PROGRESS", "SG_IN_PROGRESS", "In Progress")
_CLOSED: Final = _Standing("CLOSED", "SG_CLOSED", "Closed")

_MOST_WARNINGS: Final = 5
_LONGEST_WARNING: Final = 200


def show(
    connection: Connection,
    wanted: Sequence[Case],
    sides: Mapping[str, Side],
    people: Mapping[tuple[str, str], str] | None = None,
) -> list[CaseData]:
    """Return cases as they are now.

    :param sides: By project id; a case whose project is no longer there shows no ticket page.
    :param people: Whom Datadog knows, by project id and sys_id.
    """
    members = case_findings.of_cases(connection, [case.id for case in wanted])
    known = anomalies.contents(connection, {key for keys in members.values() for key in keys})
    shown = []
    for case in wanted:
        findings = {key: known[key] for key in members.get(case.id, ()) if key in known}
        assignee = (people or {}).get((case.project_id, case.assignee_id or ""), case.assignee_id)
        shown.append(_case(connection, case, findings, assignee, sides.get(case.project_id)))
    return shown


def ticket_of(connection: Connection, case: Case) -> Ticket | None:
    """Return the ticket of a case: the one that was named, else the newest at its address."""
    if case.address is None:
        return None
    known = tickets.at(connection, [case.address]).get(case.address, [])
    if case.ticket_sys_id is not None:
        return next((ticket for ticket in known if ticket.sys_id == case.ticket_sys_id), None)
    return known[0] if known else None


def _case(
    connection: Connection,
    case: Case,
    findings: Mapping[str, Anomaly],
    assignee: str | None,
    side: Side | None,
) -> CaseData:
    ticket = ticket_of(connection, case)
    table = case.address.table if case.address else INCIDENT
    states = side.project.states_at(table) if side else states_of(table)
    standing = _standing(ticket, states)
    record = ticket.record if ticket is not None else {}
    changed_at = max(filter(None, [case.modified_at, _moment(record.get("sys_updated_on"))]))
    created_at = case.created_at or changed_at
    recorded = case_intents.standing(connection, case)
    warnings = _warnings(recorded)
    return CaseData(
        id=case.id,
        attributes=CaseShown(
            assigned_to=UserRef.of(assignee) if assignee else None,
            attributes={"warnings": warnings} if warnings else None,
            closed_at=_ended_at(record) if standing is _CLOSED else None,
            created_at=created_at,
            description=case.description
            if case.description.strip()
            else description_of(list(findings.values())),
            due_date=(record.get("due_date") or "")[:10] or None,
            insights=[
                Insight(ref=where_shown(str(finding.external_id)), resource_id=str(finding.external_id))
                for finding in findings.values()
            ],
            key=case.key,
            modified_at=changed_at,
            priority=case.priority,
            servicenow_ticket=_ticket(case, recorded, findings, ticket, side),
            title=case.title,
            **standing._asdict(),
        ),
        relationships=CaseRelationships(
            created_by=UserRef.of(case.created_by),
            modified_by=UserRef.of(case.modified_by),
            project=ShownProject(data=ShownProjectData(id=case.project_id)),
        ),
    )


def _standing(ticket: Ticket | None, states: States) -> _Standing:
    """Return what a ticket's state says of its case; a case without one is open."""
    if ticket is None or ticket.state == tickets.UNKNOWN:
        return _OPEN
    if not states.is_open(ticket.state):
        return _CLOSED
    return _OPEN if states.status_for(ticket.state) in {Status.ACTIVE, None} else _IN_PROGRESS


def _warnings(recorded: Sequence[Intended]) -> list[str]:
    """Return what was not as asked for, each once; the texts say themselves where they were cut."""
    said = dict.fromkeys(words for entry in recorded for words in entry.warnings)
    return [cut(words, _LONGEST_WARNING) for words in said][:_MOST_WARNINGS]


def _ticket(
    case: Case,
    recorded: Sequence[Intended],
    findings: Collection[str | None],
    ticket: Ticket | None,
    side: Side | None,
) -> ServiceNowTicket | None:
    if case.address is None:
        return None
    here = [entry for entry in recorded if entry.key in findings]
    dead = [entry for entry in here if entry.state in outbox.GIVEN_UP]
    waiting = [entry for entry in here if entry.state in {outbox.PENDING, outbox.SENDING}]
    if ticket is not None and ticket.state != tickets.UNKNOWN and side is not None:
        return ServiceNowTicket(
            status="IN_PROGRESS" if waiting else "FAILED" if dead else "COMPLETED",
            result=_result(ticket, side),
            error_message=_messages(dead) or _messages(waiting),
        )
    if dead:
        return ServiceNowTicket(status="FAILED", error_message=_messages(dead) or "refused")
    if waiting:
        return ServiceNowTicket(status="IN_PROGRESS", error_message=_messages(waiting) or "not tried yet")
    why = "the instance does not show the ticket any more" if findings else "no finding is in the case"
    return ServiceNowTicket(status="FAILED", error_message=why)


def _messages(entries: Sequence[Intended]) -> str | None:
    return "; ".join(dict.fromkeys(entry.message for entry in entries if entry.message)) or None


def _result(ticket: Ticket, side: Side) -> TicketResult:
    record = f"{ticket.address.table}.do?sys_id={ticket.sys_id}"
    return TicketResult(
        instance_name=ticket.address.instance.partition(".")[0],
        sys_id=ticket.sys_id,
        sys_target_link=f"{side.desk.config.base_url}/{record}",
        sys_target_sys_id=ticket.sys_id,
        table_name=ticket.address.table,
        url=f"{side.desk.config.base_url}/now/nav/ui/classic/params/target/{record}",
    )


def _ended_at(record: Mapping[str, object]) -> datetime | None:
    return next(filter(None, (_moment(record.get(name)) for name in ("closed_at", "resolved_at"))), None)


def _moment(stamp: object) -> datetime | None:
    """Return a time of the instance (UTC); None for what is none."""
    text = iso(stamp) if isinstance(stamp, str) else None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None
