"""Findings that join a ticket or a case that is there, and findings that leave.

A finding is in one case at a time. Whoever puts it elsewhere moves it in one transaction of the store; what
the tickets get is written down in the same one and follows by the outbox.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.desk import utc_now
from airflow_provider_servicenow_dq.desk.link import address_of
from airflow_provider_servicenow_dq.desk.places import group, key_column, moves
from airflow_provider_servicenow_dq.desk.pulling.pulled_cases import as_on_ticket
from airflow_provider_servicenow_dq.desk.search import find_ticket
from airflow_provider_servicenow_dq.exceptions import (
    RecordNotFoundError,
    RefusedError,
    ServiceNowConfigError,
    ServiceNowError,
)
from airflow_provider_servicenow_dq.findings import recording
from airflow_provider_servicenow_dq.findings.answering import answer, delivered
from airflow_provider_servicenow_dq.findings.view import ticket_of
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError, NotFoundError
from airflow_provider_servicenow_dq.store import case_findings, case_intents, cases, exclusive
from airflow_provider_servicenow_dq.store.cases import Case, Draft
from airflow_provider_servicenow_dq.store.tickets import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.search import Found
    from airflow_provider_servicenow_dq.findings.asked import (
        AttachCase,
        AttachTicket,
        Detach,
    )
    from airflow_provider_servicenow_dq.findings.parties import Answer, Caller, Side, Sides
    from airflow_provider_servicenow_dq.store.outbox import Address
    from airflow_provider_servicenow_dq.store.store import Store
    from airflow_provider_servicenow_dq.store.tickets import Ticket

_URL: Final = "data.attributes.servicenow_ticket_url"


def attach_ticket(body: AttachTicket, *, sides: Sides, caller: Caller) -> Answer:
    """Put findings on a ticket that is there, and into its case; a ticket without one gets one.

    A case stays one of its own project, whichever is named, and has its rules.

    :raises NotFoundError: If there is no such project, or its instance shows no such ticket.
    :raises BadRequestError: If the address is that of another instance, or of a ticket that is locked.
    """
    side = sides(body.data.relationships.project.data.id)
    store, now = side.desk.store, side.desk.now()
    with store.begin() as connection:
        column = key_column.declared(connection, side.desk, side.project)
    found = _find(side, body.data.attributes.servicenow_ticket_url, column)
    address = address_of(side.desk, found, column)
    with store.snapshot() as connection:
        known = cases.of_ticket(connection, address, found.record["sys_id"])
    if known is not None and known.project_id != side.project.id:
        # Of a project that is not there any more, or works elsewhere now, nobody knows rules for this ticket.
        with contextlib.suppress(ServiceNowError):
            own = sides(known.project_id)
            side = own if own.desk.host == side.desk.host else side
    lookup.look(side.desk, [address], run=caller.run.dag_run)
    with store.begin() as connection:
        exclusive.alone(connection)
        ticket = lookup.keep(connection, side.desk, address, found.record, now=now)
        findings = recording.remember(connection, side, body.data.relationships.findings.ids)
        case = cases.of_ticket(connection, address, ticket.sys_id)
        earlier = case_intents.entries(connection, case, keys=findings, for_update=True) if case else []
        _refuse_locked(side, ticket, place=_URL)
        if case is None:
            draft = _draft(side, ticket, address)
            (case,) = cases.add(connection, [draft], by=caller.user, now=now)
        recording.put(connection, side, case, findings, caller, earlier=earlier)
    return answer(store, [case], {case.project_id: side}, caller)


def _draft(side: Side, ticket: Ticket, address: Address) -> Draft:
    """Return the case of a ticket that has none yet."""
    of_ticket = ((name, str(ticket.record.get(name) or "")) for name in ("priority", "assigned_to"))
    said = {name: value for column in of_ticket for name, value in as_on_ticket(*column).items()}
    return Draft(
        correlation_id=address.correlation_id,
        project_id=side.project.id,
        project_key=side.project.key or recording.NO_KEY,
        title=str(ticket.record.get("short_description") or ticket.number),
        description=str(ticket.record.get("description") or ""),
        address=address,
        # One of ours that a lost store knew has the id that it had.
        ticket_sys_id=None if group.is_case(address) else ticket.sys_id,
        priority=said.get("priority") or cases.NOT_DEFINED,
        assignee_id=said.get("assignee_id"),
        **moves.case_rules(side.project),
    )


def _refuse_locked(side: Side, ticket: Ticket, *, place: str) -> None:
    """Refuse to put findings on a ticket that nobody can write on.

    :raises BadRequestError: If it is one.
    :raises NotFoundError: If the instance does not show it any more.
    """
    if ticket.state == UNKNOWN:
        raise NotFoundError(f"{place}: {ticket.number} cannot be seen any more")
    states = side.project.states_at(ticket.address.table)
    if states.is_ended(ticket.state):
        label = states.label(ticket.state)
        raise BadRequestError([f"{place}: {ticket.number} is {label}, and locked: attach to an open ticket"])


def _find(side: Side, url: str, column: str) -> Found:
    try:
        return find_ticket(
            table_api=side.desk.table_api, name=url, table=side.project.table, key_column=column
        )
    except RecordNotFoundError as error:
        raise NotFoundError(f"{_URL}: {error}") from error
    except ServiceNowConfigError as error:
        raise BadRequestError([f"{_URL}: {error}"]) from error
    except RefusedError as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        # An address may name a table that the instance does not have.
        raise BadRequestError([f"{_URL}: {error}"]) from error


def attach_case(case_id: str, body: AttachCase, *, sides: Sides, store: Store, caller: Caller) -> Answer:
    """Put findings into a case, and on its ticket if it has one.

    A ticket that we have opened for the case has a successor where it is closed; one of somebody else's has
    none.

    :param store: Where cases are.
    :raises NotFoundError: If there is no such case, its ticket was somebody else's and is gone, or it is on
        another instance than its project is worked on here.
    :raises BadRequestError: If the body is about another case, or its ticket is somebody else's and locked.
    """
    if body.data.id != case_id:
        raise BadRequestError([f"data.id: {body.data.id} is not the case of the path"])
    with store.snapshot() as connection:
        case = _case(connection, case_id)
    side = sides(case.project_id)
    _refuse_elsewhere(side, case)
    theirs = case.address is not None and not group.is_case(case.address)
    if case.address is not None and theirs:
        lookup.look(side.desk, [case.address], run=caller.run.dag_run)
    with store.begin() as connection:
        exclusive.alone(connection)
        # Who prunes may have been alone before.
        case = _case(connection, case_id)
        findings = recording.remember(connection, side, body.data.relationships.findings.ids)
        earlier = case_intents.entries(connection, case, keys=findings, for_update=True)
        ticket = ticket_of(connection, case)
        if theirs and ticket is not None and recording.not_on(connection, ticket, findings):
            _refuse_locked(side, ticket, place="data.id")
        recording.put(connection, side, case, findings, caller, earlier=earlier)
    return answer(store, [case], {side.project.id: side}, caller)


def _case(connection: Connection, case_id: str) -> Case:
    case = cases.by_ids(connection, [case_id]).get(case_id)
    if case is None:
        raise NotFoundError("case not found")
    return case


def _refuse_elsewhere(side: Side, case: Case) -> None:
    """Refuse to work on a ticket where it is not.

    :raises NotFoundError: If the side is that of another instance.
    """
    if case.address is not None and case.address.instance != side.desk.host:
        raise NotFoundError(
            f"case {case.key} has its ticket on {case.address.instance}, and this connection leads to "
            f"{side.desk.host}: name the connection of that instance with servicenow_conn_id"
        )


def detach(body: Detach, *, sides: Sides, store: Store, namespace: str, caller: Caller) -> Answer:
    """Take findings out of their cases, and off the tickets of those; what is in none is passed over.

    :param store: Where cases are.
    :param namespace: Of the findings.
    :raises NotFoundError: If a finding was never heard of.
    """
    keys = {finding: recording.key_of(finding, namespace) for finding in body.data.relationships.findings.ids}
    with store.snapshot() as connection:
        known = recording.contents(connection, keys.values())
        involved = case_findings.cases_of(connection, known)
    missing = [finding for finding, key in keys.items() if key not in known]
    if missing:
        raise NotFoundError(f"finding not found: {', '.join(missing[:5])}")
    # Outside of the transaction, for to open a desk may take one of its own.
    of_cases = {case.project_id: _side_or_none(sides, case.project_id) for case in involved.values()}
    with store.begin() as connection:
        exclusive.alone(connection)
        # What somebody has just moved to a project of which nobody knew stays where it was moved to.
        here = case_findings.cases_of(connection, known)
        left = {key: case for key, case in here.items() if case.project_id in of_cases}
        cases.lock(connection, {case.id for case in left.values()})
        case_findings.take_out(connection, left, by=caller.person, now=utc_now())
        for case in {case.id: case for case in left.values()}.values():
            gone = {key: known[key] for key, owner in left.items() if owner.id == case.id}
            _left_by(connection, case, gone, of_cases[case.project_id], caller)
        cases.touch(connection, [case.id for case in left.values()], by=caller.user, now=utc_now())
    with store.snapshot() as connection:
        # What a try that died has left behind is of cases that its findings are no longer in.
        waiting = case_intents.left_by(connection, caller.run.task)
    for case in waiting:
        of_cases.setdefault(case.project_id, _side_or_none(sides, case.project_id))
    reached = [side for side in of_cases.values() if side is not None]
    return delivered(store, reached, [case.address for case in waiting if case.address], caller)


def _left_by(
    connection: Connection, case: Case, gone: Mapping[str, Anomaly], side: Side | None, caller: Caller
) -> None:
    now, project = utc_now(), side.project if side else None
    if side is not None:
        recording.follow_project(connection, side, [case.id])
    noted = recording.leave(connection, project, gone, caller, where="", now=now)
    recording.resolve_empty(connection, side, [case.id], caller, besides=noted, now=now)


def _side_or_none(sides: Sides, name: str) -> Side | None:
    """Return the side of a project; None if there is no such project any more.

    Its findings can be detached all the same, and what that says on their tickets waits to be delivered.
    """
    try:
        return sides(name)
    except NotFoundError:
        return None
