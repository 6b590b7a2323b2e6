"""What people change on the tickets of cases, and their cases say as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_servicenow_dq.store import cases, tickets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

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


def follow(connection: Connection, changed: Iterable[Changed], *, now: datetime) -> None:
    """Let cases have the priority and the assignee of their tickets.

    State and due date need not be kept, they are shown as they are on the ticket. A priority that is none of
    1 to 5 says nothing. An assignee is kept by sys_id.

    :param changed: The oldest first.
    """
    wanted = [
        each
        for each in changed
        if each.field == "assigned_to" or (each.field == "priority" and each.new in _PRIORITIES)
    ]
    known = cases.of_tickets(connection, ((each.address, each.sys_id) for each in wanted))
    cases.lock(connection, [case.id for case in known.values()])
    newest = tickets.at(connection, {address for address, _ in known})
    for each in wanted:
        case = known.get((each.address, each.sys_id))
        # What becomes of a ticket that has a successor says nothing of the case any more.
        if case is None or newest[each.address][0].sys_id != each.sys_id:
            continue
        if each.field == "priority":
            cases.change(connection, case, by=each.by or "", now=now, priority=_PRIORITIES[each.new])
        else:
            cases.change(connection, case, by=each.by or "", now=now, assignee_id=each.new or None)
