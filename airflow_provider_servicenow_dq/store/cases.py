"""Cases: the records behind tickets for findings."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert
from airflow_provider_servicenow_dq.store.outbox import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row


_table: Final = schema.case
_numbers: Final = schema.case_number

#: Priority of a case for which none was asked.
NOT_DEFINED: Final = "NOT_DEFINED"


@dataclass(frozen=True, slots=True)
class Draft:
    """A case that is about to be opened.

    :param correlation_id: Of its ticket, there or to come; the case's id is made of it.
    :param address: Where its ticket is or is to be; None for a case without one.
    :param ticket_sys_id: The ticket, where somebody has named one that was there.
    :param closes_when_empty: Its ticket is resolved when its last finding has left.
    :param follows_ticket: It is what people make of its ticket.
    """

    correlation_id: str
    project_id: str
    project_key: str
    title: str
    description: str
    address: Address | None = None
    ticket_sys_id: str | None = None
    priority: str = NOT_DEFINED
    assignee_id: str | None = None
    closes_when_empty: bool = False
    follows_ticket: bool = True


@dataclass(frozen=True, slots=True)
class Case(Draft):
    """A case as remembered."""

    id: str = ""
    number: int = 0
    created_at: datetime | None = None
    created_by: str = ""
    modified_at: datetime | None = None
    modified_by: str = ""

    @property
    def key(self) -> str:
        """What people call it, such as ``PROJ-123``."""
        return f"{self.project_key}-{self.number}"


def case_id(draft: Draft) -> str:
    """Return the id of a case, the same for the same ticket."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{draft.correlation_id}{draft.ticket_sys_id or ''}"))


def add(connection: Connection, drafts: Sequence[Draft], *, by: str, now: datetime) -> list[Case]:
    """Open cases; each gets the next number of its project.

    :param by: Who opens them.
    """
    last = {key: _numbered(connection, key, drafts) for key in sorted({each.project_key for each in drafts})}
    rows: list[dict[str, Any]] = []
    for draft in reversed(drafts):
        address = draft.address
        rows.append(
            {
                "id": case_id(draft),
                "correlation_id": draft.correlation_id,
                "instance": address.instance if address else None,
                "table_name": address.table if address else None,
                "ticket_sys_id": draft.ticket_sys_id,
                "project_id": draft.project_id,
                "project_key": draft.project_key,
                "number": last[draft.project_key],
                "title": draft.title,
                "description": draft.description,
                "priority": draft.priority,
                "assignee_id": draft.assignee_id,
                "closes_when_empty": draft.closes_when_empty,
                "follows_ticket": draft.follows_ticket,
                "created_at": now,
                "created_by": by,
                "modified_at": now,
                "modified_by": by,
            }
        )
        last[draft.project_key] -= 1
    connection.execute(_table.insert(), rows[::-1])
    known = by_ids(connection, [row["id"] for row in rows])
    return [known[case_id(draft)] for draft in drafts]


def _numbered(connection: Connection, project_key: str, drafts: Sequence[Draft]) -> int:
    """Take as many numbers as a project needs; return the last of them."""
    wanted = sum(draft.project_key == project_key for draft in drafts)
    upsert(connection, _numbers, [{"project_key": project_key, "last_number": 0}], keys=("project_key",))
    last: int = connection.execute(
        _numbers.update()
        .where(_numbers.c.project_key == project_key)
        .values(last_number=_numbers.c.last_number + wanted)
        .returning(_numbers.c.last_number)
    ).scalar_one()
    return last


def by_ids(connection: Connection, ids: Iterable[str]) -> dict[str, Case]:
    """Return cases by their ids."""
    return {
        row.id: case_of(row)
        for batch in batches(ids)
        for row in connection.execute(sa.select(_table).where(_table.c.id.in_(batch)))
    }


def by_correlations(connection: Connection, correlation_ids: Iterable[str]) -> dict[str, Case]:
    """Return the cases that were opened under correlation ids, by these."""
    return {
        row.correlation_id: case_of(row)
        for batch in batches(correlation_ids)
        for row in connection.execute(sa.select(_table).where(_table.c.correlation_id.in_(batch)))
    }


def of_ticket(connection: Connection, address: Address, sys_id: str) -> Case | None:
    """Return the case of a ticket: one that names it, else the one that owns its address."""
    return of_tickets(connection, [(address, sys_id)]).get((address, sys_id))


def of_tickets(
    connection: Connection, wanted: Iterable[tuple[Address, str]]
) -> dict[tuple[Address, str], Case]:
    """Return the cases of tickets, by their addresses and sys_ids: see :func:`of_ticket`."""
    found: dict[tuple[Address, str], Case] = {}
    for batch in batches(set(wanted)):
        correlations = {address.correlation_id for address, _ in batch}
        rows = connection.execute(
            sa.select(_table).where(_table.c.correlation_id.in_(correlations), _table.c.instance.is_not(None))
        )
        there: dict[tuple[Address | None, str | None], Case] = {
            (case.address, case.ticket_sys_id): case for case in map(case_of, rows)
        }
        for address, sys_id in batch:
            case = there.get((address, sys_id)) or there.get((address, None))
            if case is not None:
                found[address, sys_id] = case
    return found


def change(connection: Connection, case: Case, *, by: str, now: datetime, **values: str | None) -> None:
    """Keep what somebody has changed of a case.

    :param values: Columns of its row.
    """
    changed = {**values, "modified_at": now, "modified_by": by or case.modified_by}
    connection.execute(_table.update().where(_table.c.id == case.id).values(changed))


def touch(connection: Connection, ids: Iterable[str], *, by: str, now: datetime) -> None:
    """Write down who has changed cases last.

    :param by: Who did.
    """
    for batch in batches(sorted(set(ids))):
        lock(connection, batch)
        connection.execute(
            _table.update().where(_table.c.id.in_(batch)).values(modified_at=now, modified_by=by)
        )


def unlike(connection: Connection, project_id: str, *, instance: str, **rules: bool) -> list[str]:
    """Return the ids of a project's cases on an instance of which something else is kept than it says now.

    :param rules: As for :func:`keep_rules`.
    """
    differing = _unlike(project_id, instance, rules)
    ids = sa.select(_table.c.id).where(_table.c.instance == instance, *differing)
    return list(connection.execute(ids).scalars())


def keep_rules(
    connection: Connection, ids: Iterable[str], project_id: str, *, instance: str, **rules: bool
) -> None:
    """Keep what a project says of those of some cases that are its own.

    :param instance: That of the project: one of another instance may be called the same.
    :param rules: Columns of their rows.
    """
    differing = _unlike(project_id, instance, rules)
    for batch in batches(sorted(set(ids))):
        lock(connection, batch)
        connection.execute(_table.update().where(_table.c.id.in_(batch), *differing).values(**rules))


def _unlike(project_id: str, instance: str, rules: Mapping[str, bool]) -> list[sa.ColumnElement[bool]]:
    return [
        _table.c.project_id == project_id,
        sa.or_(_table.c.instance.is_(None), _table.c.instance == instance),
        sa.or_(*(_table.c[name].is_not(wanted) for name, wanted in rules.items())),
    ]


def lock(connection: Connection, ids: Iterable[str]) -> None:
    """Let nobody else change cases until the end of the transaction, who may refer to them all the same.

    In the order of their ids: who changes several in another order than others do may wait for them while
    they wait for him.
    """
    for batch in batches(sorted(set(ids))):
        rows = sa.select(_table.c.id).where(_table.c.id.in_(batch)).order_by(_table.c.id)
        connection.execute(rows.with_for_update(key_share=True))


def case_of(row: Row[tuple[object, ...]]) -> Case:
    """Return the case of a row."""
    address = Address(row.instance, row.table_name, row.correlation_id) if row.instance else None
    return Case(
        correlation_id=row.correlation_id,
        project_id=row.project_id,
        project_key=row.project_key,
        title=row.title,
        description=row.description,
        address=address,
        ticket_sys_id=row.ticket_sys_id,
        priority=row.priority,
        assignee_id=row.assignee_id,
        closes_when_empty=row.closes_when_empty,
        follows_ticket=row.follows_ticket,
        id=row.id,
        number=row.number,
        created_at=row.created_at,
        created_by=row.created_by,
        modified_at=row.modified_at,
        modified_by=row.modified_by,
    )
