"""Which case a finding is in, and who has taken it out of one.

Whoever puts findings into cases or takes them out holds :func:`~.exclusive.alone` until the end of the
transaction, so that a finding is never seen in two or in none on its way.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import cases, schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.cases import Case


_table: Final = schema.case_finding
_left: Final = schema.case_left

#: For how long it is known who has taken a finding out of a case: longer than anybody repeats a request.
_LEFT_KEPT_FOR: Final = timedelta(days=1)


def of_cases(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys of the findings in cases, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for batch in batches(ids):
        rows = connection.execute(
            sa.select(_table.c.case_id, _table.c.key)
            .where(_table.c.case_id.in_(batch))
            .order_by(_table.c.case_id, _table.c.place, _table.c.key)
        )
        for row in rows:
            found.setdefault(row.case_id, []).append(row.key)
    return found


def owners(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    """Return the ids of the cases that findings are in, by the findings' keys."""
    return {
        row.key: row.case_id
        for batch in batches(keys)
        for row in connection.execute(
            sa.select(_table.c.key, _table.c.case_id).where(_table.c.key.in_(batch))
        )
    }


def cases_of(connection: Connection, keys: Iterable[str]) -> dict[str, Case]:
    """Return the cases that findings are in, by the findings' keys."""
    found = owners(connection, keys)
    known = cases.by_ids(connection, set(found.values()))
    return {key: known[case_id] for key, case_id in found.items()}


def put(connection: Connection, into: str, keys: Sequence[str], *, by: str, now: datetime) -> dict[str, str]:
    """Put findings into a case, and so out of any other; return the ids of the cases that they were in.

    :param by: Who does, if it is a person.
    """
    before = owners(connection, keys)
    last = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(_table.c.place), 0)).where(_table.c.case_id == into)
    ).scalar_one()
    rows = [
        {"key": key, "case_id": into, "place": last + number}
        for number, key in enumerate((key for key in keys if before.get(key) != into), start=1)
    ]
    upsert(connection, _table, rows, keys=("key",), update=("case_id", "place"))
    moved = [row["key"] for row in rows]
    left = {key: old for key, old in before.items() if old != into}
    _remember_left(connection, moved, left, by=by, now=now)
    return before


def take_out(connection: Connection, keys: Iterable[str], *, by: str, now: datetime) -> dict[str, str]:
    """Take findings out of their cases; return the ids of the cases that they were in.

    :param by: Who does, if it is a person.
    """
    wanted = list(keys)
    before = owners(connection, wanted)
    for batch in batches(wanted):
        connection.execute(_table.delete().where(_table.c.key.in_(batch)))
    _remember_left(connection, before, before, by=by, now=now)
    return before


def _remember_left(
    connection: Connection, moved: Collection[str], left: Mapping[str, str], *, by: str, now: datetime
) -> None:
    if not moved:
        return
    connection.execute(_left.delete().where(_left.c.left_at < now - _LEFT_KEPT_FOR))
    # Where it was taken out before that, it is this one's doing now that it is not there.
    for batch in batches(sorted(moved)):
        of_others = (_left.c.key.in_(batch), _left.c.left_by != by)
        connection.execute(_left.update().where(*of_others).values(left_by=by))
    rows = [{"case_id": old, "key": key, "left_by": by, "left_at": now} for key, old in left.items()]
    upsert(connection, _left, rows, keys=("case_id", "key"), update=("left_by", "left_at"))


def taken_out_by(connection: Connection, user: str, ids: Iterable[str]) -> set[tuple[str, str]]:
    """Return what a person has taken out of cases, and nobody else since: ids of cases and findings' keys."""
    return {
        (row.case_id, row.key)
        for batch in batches(ids)
        for row in connection.execute(
            sa.select(_left.c.case_id, _left.c.key).where(_left.c.case_id.in_(batch), _left.c.left_by == user)
        )
    }
