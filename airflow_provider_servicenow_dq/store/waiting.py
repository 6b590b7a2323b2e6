"""What waits for delivery, whoever recorded it: read in parts, in the order in which it was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

#: Blocked entries go on as soon as there is a ticket after all.
_WAITING: Final = (outbox.PENDING, outbox.SENDING, outbox.BLOCKED)

_table: Final = schema.outbox
_claims: Final = schema.claim


class Place(NamedTuple):
    """Where an entry waits."""

    entry_id: int
    kind: str
    address: Address


def newest_id(connection: Connection) -> int:
    """Return the id of the entry that was recorded last; 0 in an empty outbox."""
    newest: int = connection.execute(sa.select(sa.func.coalesce(sa.func.max(_table.c.id), 0))).scalar_one()
    return newest


def places(connection: Connection, instance: str, *, after: int, up_to: int, limit: int) -> list[Place]:
    """Return the first entries that wait on an instance, by id, without what they say.

    :param after: Only entries with a greater id.
    :param up_to: Only entries with this id or a smaller one.
    """
    rows = connection.execute(
        sa.select(_table.c.id, _table.c.kind, _table.c.table_name, _table.c.correlation_id)
        .where(
            _table.c.instance == instance,
            _table.c.state.in_(_WAITING),
            _table.c.id > after,
            _table.c.id <= up_to,
        )
        .order_by(_table.c.id)
        .limit(limit)
    )
    return [Place(row.id, row.kind, Address(instance, row.table_name, row.correlation_id)) for row in rows]


def held(connection: Connection, addresses: Iterable[Address], *, now: datetime) -> set[Address]:
    """Return the addresses of one instance at which somebody is at work."""
    found: set[Address] = set()
    for batch in batches(addresses):
        rows = connection.execute(
            sa.select(_claims.c.instance, _claims.c.table_name, _claims.c.correlation_id).where(
                _claims.c.instance == batch[0].instance,
                _claims.c.correlation_id.in_([address.correlation_id for address in batch]),
                _claims.c.token != "",
                _claims.c.leased_until > now,
            )
        )
        found |= {Address(*row) for row in rows} & set(batch)
    return found


def count_done(connection: Connection, ids: Iterable[int]) -> int:
    """Return how many of these entries are delivered."""
    return sum(
        connection.execute(
            sa.select(sa.func.count())
            .select_from(_table)
            .where(_table.c.id.in_(batch), _table.c.state == outbox.DONE)
        ).scalar_one()
        for batch in batches(ids)
    )


def instances(connection: Connection) -> dict[str, str | None]:
    """Return the instances that something is not delivered to, with the connection that last worked there."""
    hosts = (
        sa.select(_table.c.instance).where(_table.c.state.not_in(tuple(outbox.ENDED))).distinct().subquery()
    )
    rows = connection.execute(
        sa.select(hosts.c.instance, schema.instance.c.conn_id)
        .outerjoin(schema.instance, schema.instance.c.host == hosts.c.instance)
        .order_by(hosts.c.instance)
    )
    return {row.instance: row.conn_id for row in rows}
