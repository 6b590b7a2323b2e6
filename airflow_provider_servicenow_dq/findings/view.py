"""Cases as they are shown: what was asked for, and what has become of the ticket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.findings.finding import where_shown
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
from airflow_provider_servicenow_dq.store import anomalies, cases, outbox, tickets
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, states_of
from airflow_provider_servicenow_dq.tickets.ticket import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.findings.parties import Side
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


def show(connection: Connection, wanted: Sequence[Case], sides: Mapping[str, Side]) -> list[CaseData]:
    """Return cases as they are now.

    :param sides: By project id; a case whose project is no longer there shows no ticket page.
    """
    members = cases.findings(connection, [case.id for case in wanted])
    names = anomalies.names(connection, {key for keys in members.values() for key in keys})
    shown = []
    for case in wanted:
        ids = [str(names[key].anomaly_id) for key in members.get(case.id, ()) if key in names]
        shown.append(_case(connection, case, ids, sides.get(case.project_id)))
    return shown


def ticket_of(connection: Connection, case: Case) -> Ticket | None:
    """Return the ticket of a case: the one that was named, else the newest at its address."""
    if case.address is None:
        return None
    known = tickets.at(connection, [case.address]).get(case.address, [])
    if case.ticket_sys_id is not None:
        return next((ticket for ticket in known if ticket.sys_id == case.ticket_sys_id), None)
    return known[0] if known else None


def _case(connection: Connection, case: Case, findings: Sequence[str], side: Side | None) -> CaseData:
    ticket = ticket_of(connection, case)
    table = case.address.table if case.address else INCIDENT
    states = side.project.states_at(table) if side else states_of(table)
    standing = _standing(ticket, states)
    record = ticket.record if ticket is not None else {}
    changed_at = max(filter(None, [case.modified_at, _moment(record.get("sys_updated_on"))]))
    created_at = case.created_at or changed_at
    return CaseData(
        id=case.id,
        attributes=CaseShown(
            assigned_to=UserRef.of(case.assignee_id) if case.assignee_id else None,
            closed_at=_ended_at(record) if standing is _CLOSED else None,
            created_at=created_at,
            description=case.description,
            due_date=(record.get("due_date") or "")[:10] or None,
            insights=[Insight(ref=where_shown(finding), resource_id=finding) for finding in findings],
            key=case.key,
            modified_at=changed_at,
            priority=case.priority,
            servicenow_ticket=_ticket(connection, case, ticket, side),
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


def _ticket(
    connection: Connection, case: Case, ticket: Ticket | None, side: Side | None
) -> ServiceNowTicket | None:
    if case.address is None:
        return None
    recorded = cases.entries(connection, case)
    dead = [entry for entry in recorded if entry.state in outbox.GIVEN_UP]
    if ticket is not None and ticket.state != tickets.UNKNOWN and side is not None:
        said = "; ".join(dict.fromkeys(entry.message or "" for entry in dead)) or None
        return ServiceNowTicket(status="COMPLETED", result=_result(ticket, side), error_message=said)
    if dead:
        return ServiceNowTicket(status="FAILED", error_message=dead[0].message or "refused")
    waiting = next((entry for entry in recorded if entry.state not in outbox.ENDED), None)
    if waiting is not None:
        return ServiceNowTicket(status="PENDING", error_message=waiting.message or "not tried yet")
    return ServiceNowTicket(status="FAILED", error_message="the instance does not show the ticket any more")


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
