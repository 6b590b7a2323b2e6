"""What was recorded to bring findings to the tickets of their cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.cases import Case, case_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Entry


def left_by(connection: Connection, task: str) -> list[Case]:
    """Return cases for whose tickets something waits that a task instance, or a request, has recorded."""
    entries = schema.outbox
    waiting = (
        sa.select(entries.c.id)
        .where(
            entries.c.instance == schema.case.c.instance,
            entries.c.table_name == schema.case.c.table_name,
            entries.c.correlation_id == schema.case.c.correlation_id,
            entries.c.recorded_by == task,
            entries.c.state.in_((outbox.PENDING, outbox.SENDING)),
        )
        .exists()
    )
    return [case_of(row) for row in connection.execute(sa.select(schema.case).where(waiting))]


def intent(case: Case, key: str, earlier: Sequence[Entry]) -> str:
    """Return the idempotency key of the intent to bring a finding to the ticket of its case.

    What was not done is intended again under its old key, so that it is not done twice.

    :param earlier: What was recorded for the case before.
    """
    done = [entry for entry in earlier if entry.key == key and entry.state in outbox.ENDED]
    return f"{_intents(case)}{key}|{len(done)}"


class Intended(NamedTuple):
    """What was recorded to bring a finding to the ticket of its case, and what came of it."""

    key: str | None
    state: str
    message: str | None
    warnings: list[str]


def standing(connection: Connection, case: Case) -> list[Intended]:
    """Return what has become of what was recorded for the ticket of a case, the oldest first.

    A case that is there for years has much of it: the payloads are left where they are.
    """
    if case.address is None:
        return []
    table = schema.outbox
    rows = connection.execute(
        sa.select(table.c.key, table.c.state, table.c.message, table.c.warnings)
        .where(*_of(case))
        .order_by(table.c.id),
        case.address.bound,
    )
    return [Intended(row.key, row.state, row.message, row.warnings or []) for row in rows]


def entries(
    connection: Connection, case: Case, *, keys: Iterable[str] | None = None, for_update: bool = False
) -> list[Entry]:
    """Return what was recorded to bring findings to the ticket of a case, the oldest first.

    :param keys: Of the findings; by default all that ever were in the case.
    :param for_update: Nobody else changes it until the end of the transaction.
    """
    if case.address is None:
        return []
    table = schema.outbox
    found = sa.select(table).where(*_of(case)).order_by(table.c.id)
    if keys is not None:
        found = found.where(table.c.key.in_(list(keys)))
    rows = connection.execute(found.with_for_update() if for_update else found, case.address.bound)
    return [outbox.entry_of(row) for row in rows]


def _of(case: Case) -> tuple[sa.ColumnElement[bool], ...]:
    of_case = schema.outbox.c.idempotency_key.startswith(_intents(case), autoescape=True)
    return (*outbox.at_address(schema.outbox), of_case)


def _intents(case: Case) -> str:
    return f"finding|{case.id}|"
