"""Tickets of cases that their last finding has left: resolved, if their project says so."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.desk.order import rules_in, states_in
from airflow_provider_servicenow_dq.store import case_findings, cases, outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.outbox import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States

#: Kinds of entries that say that an anomaly belongs on a ticket.
LINKING: Final = (outbox.REPORT, outbox.LINK)


def drafts(connection: Connection, ticket: Ticket, *, rules: Mapping[str, Any]) -> list[Draft]:
    """Return the intent to resolve a ticket that its last finding has left, if its case is to be closed then.

    :param rules: What the payload of an entry says of the ticket's states.
    """
    case = cases.of_ticket(connection, ticket.address, ticket.sys_id)
    if case is None or not case.closes_when_empty or _holds_some(connection, ticket, case):
        return []
    payload = {
        "if_empty": True,
        "sys_id": ticket.sys_id,
        "status": Status.RESOLVED,
        "effect": "resolve",
        "text": f"No finding is left in {case.key}.",
        "close_code": None,
        **rules,
    }
    name = f"empty|{ticket.sys_id}|{uuid.uuid4().hex}"
    return [Draft(ticket.address, name, outbox.STATUS, payload)]


def resolve(
    connection: Connection, ticket: Ticket, *, by: str, rules: Mapping[str, Any], now: datetime
) -> None:
    """Resolve a ticket whose case has lost its last finding, if that is to be closed then.

    :param by: Who has recorded it.
    :param rules: What a project says of the ticket's table, unless its own is known.
    """
    rules = own_rules(connection, ticket) or rules
    if may_be_resolved(connection, ticket, states_in(rules, ticket.address.table)):
        outbox.record(connection, drafts(connection, ticket, rules=rules), recorded_by=by, now=now)


def may_be_resolved(connection: Connection, ticket: Ticket, states: States) -> bool:
    """Whether a ticket is open, and nothing is on it or in its case."""
    case = cases.of_ticket(connection, ticket.address, ticket.sys_id)
    is_open = ticket.state != tickets.UNKNOWN and states.is_open(ticket.state)
    return is_open and case is not None and not _holds_some(connection, ticket, case)


def _holds_some(connection: Connection, ticket: Ticket, case: Case) -> bool:
    """Whether something is on a ticket, or is in its case and need not have arrived yet."""
    return bool(tickets.members(connection, ticket.id) or case_findings.of_cases(connection, [case.id]))


def own_rules(connection: Connection, ticket: Ticket) -> dict[str, Any]:
    """Return the rules by which somebody came to a ticket last; nothing where that was pruned."""
    newest = recorded.newest_at(connection, ticket.address, kinds=LINKING)
    return rules_in(newest.payload) if newest is not None else {}
