"""What people change on the tickets of cases, and their cases say as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_servicenow_dq.desk.places import moves
from airflow_provider_servicenow_dq.store import cases, tickets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.outbox import Address

_PRIORITIES: Final = {"": cases.NOT_DEFINED, **{str(number): f"P{number}" for number in range(1, 6)}}


class Changed(NamedTuple):
    """A column of a ticket that somebody has changed.

    :param by: User name of who did, if that can be told.
    """

    address: Address
    sys_id: str
    field: str
    new: str
    by: str | None


def as_on_ticket(field: str, value: str) -> dict[str, str | None]:
    """Return what a case says where its ticket has some value; nothing where it need not keep that.

    State and due date are shown as they are on the ticket. A priority that is none of 1 to 5 says nothing. An
    assignee is kept by sys_id.
    """
    if field == "priority" and value in _PRIORITIES:
        return {"priority": _PRIORITIES[value]}
    if field == "assigned_to":
        return {"assignee_id": value or None}
    if field == "short_description" and value.strip():
        return {"title": value}
    return {}


def follow_project(desk: Desk, rules: Project) -> None:
    """Let a project's cases have its rules as they are now: others that pull go by what is known of them."""
    with desk.store.snapshot() as connection:
        ids = cases.unlike(connection, rules.id, instance=desk.host, **moves.case_rules(rules))
    if ids:
        with desk.store.begin() as connection:
            moves.follow_project(connection, rules, ids, instance=desk.host)


def follow(connection: Connection, changed: Iterable[Changed], *, rules: Project, now: datetime) -> None:
    """Let cases have the priority, the assignee and the title of their tickets, if their projects want it.

    :param changed: The oldest first.
    :param rules: The project that pulls, which need not be theirs: it is told of a change for all.
    """
    wanted = [each for each in changed if as_on_ticket(each.field, each.new)]
    known = cases.of_tickets(connection, ((each.address, each.sys_id) for each in wanted))
    cases.lock(connection, [case.id for case in known.values()])
    newest = tickets.at(connection, {address for address, _ in known})
    for each in wanted:
        case = known.get((each.address, each.sys_id))
        # What becomes of a ticket that has a successor says nothing of the case any more.
        if case is None or not _follows(case, rules):
            continue
        if newest[each.address][0].sys_id == each.sys_id:
            said = as_on_ticket(each.field, each.new)
            cases.change(connection, case, by=each.by or "", now=now, **said)


def _follows(case: Case, rules: Project) -> bool:
    return rules.sync.feeds_status if case.project_id == rules.id else case.follows_ticket
