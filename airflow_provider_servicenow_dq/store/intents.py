"""Intents as the outbox holds them: as values and as rows, each at its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Row


class Address(NamedTuple):
    """What is claimed, and within which order holds: all tickets of one correlation id on one instance."""

    instance: str
    table: str
    correlation_id: str

    @property
    def bound(self) -> dict[str, str]:
        """What :func:`at_address` is executed with."""
        return {f"at_{name}": value for name, value in self._asdict().items()}


def at_address(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions for rows of one address, which is bound, in any table that has addresses."""
    return (
        table.c.instance == sa.bindparam("at_instance"),
        table.c.table_name == sa.bindparam("at_table"),
        table.c.correlation_id == sa.bindparam("at_correlation_id"),
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """An intent that is about to be recorded."""

    address: Address
    idempotency_key: str
    kind: str
    payload: Mapping[str, Any]
    key: str | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from other intents, recorded or not."""
        return self.address.instance, self.address.table, self.idempotency_key


@dataclass(frozen=True, slots=True)
class Entry:
    """An intent as recorded."""

    id: int
    address: Address
    idempotency_key: str
    kind: str
    state: str
    payload: dict[str, Any]
    key: str | None
    attempts: int
    recorded_by: str
    write: dict[str, Any] | None = None
    tried_at: datetime | None = None
    settled_at: datetime | None = None
    action: str | None = None
    ticket_id: int | None = None
    message: str | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from other intents, recorded or not."""
        return self.address.instance, self.address.table, self.idempotency_key


def row_of(draft: Draft) -> dict[str, Any]:
    """Return what a row of the table holds of an intent."""
    return {
        "instance": draft.address.instance,
        "table_name": draft.address.table,
        "correlation_id": draft.address.correlation_id,
        "idempotency_key": draft.idempotency_key,
        "key": draft.key,
        "kind": draft.kind,
        "payload": dict(draft.payload),
    }


def entry_of(row: Row[Any]) -> Entry:
    """Return a row of the table as an entry."""
    return Entry(
        id=row.id,
        address=Address(row.instance, row.table_name, row.correlation_id),
        idempotency_key=row.idempotency_key,
        kind=row.kind,
        state=row.state,
        payload=row.payload,
        key=row.key,
        attempts=row.attempts,
        recorded_by=row.recorded_by,
        write=row.write,
        tried_at=row.tried_at,
        settled_at=row.settled_at,
        action=row.action,
        ticket_id=row.ticket_id,
        message=row.message,
        warnings=row.warnings or [],
    )
