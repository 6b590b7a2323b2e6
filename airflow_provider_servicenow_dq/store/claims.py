"""Claims: who works on a ticket now. One token at a time may write outcomes, so its order holds.

On PostgreSQL every transaction is READ COMMITTED. That suffices because whoever writes outcomes has locked
the claim's row first (:func:`holds`), so what it then reads of the ticket is newer than all that others
wrote; and because what needs no claim, recording, adds rows under unique keys.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import insert_into
from airflow_provider_servicenow_dq.store.outbox import at_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address

_table: Final = schema.claim

_HERE: Final = at_address(_table)
_ROW: Final = sa.select(_table.c.token, _table.c.leased_until).where(*_HERE)
# SQLite has no row locks and leaves the clause out: there the whole transaction is alone.
_LOCKED: Final = _ROW.with_for_update()
_LOCKED_IF_FREE: Final = _ROW.with_for_update(skip_locked=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on an address. Outcomes are written only while the token is still the one in the store."""

    address: Address
    token: str
    leased_until: datetime


def take(connection: Connection, address: Address, *, now: datetime, lease: timedelta) -> Claim | datetime:
    """Return a claim, or the time until which somebody else holds one.

    Nobody is waited for: whose row is locked holds it, too, for it is just writing an outcome.
    """
    claim = Claim(address, uuid.uuid4().hex, now + lease)
    ours = {"token": claim.token, "leased_until": claim.leased_until}
    # An INSERT would wait for whoever is just updating the row, so it is only tried where there is none.
    if connection.execute(_ROW, address.bound).one_or_none() is None and _insert(connection, address, ours):
        return claim
    locked = connection.execute(_LOCKED_IF_FREE, address.bound).one_or_none()
    if locked is not None and (locked.token == "" or locked.leased_until <= now):
        connection.execute(_table.update().where(*_HERE).values(ours), address.bound)
        return claim
    held = locked or connection.execute(_ROW, address.bound).one_or_none()
    # What has been pruned meanwhile is nobody's: it can be taken at once.
    return now if held is None else held.leased_until


def _insert(connection: Connection, address: Address, values: Mapping[str, Any]) -> bool:
    statement = insert_into(connection, _table).values(
        instance=address.instance,
        table_name=address.table,
        correlation_id=address.correlation_id,
        **values,
    )
    return bool(connection.execute(statement.on_conflict_do_nothing()).rowcount)


def renew(connection: Connection, claim: Claim, *, now: datetime, lease: timedelta) -> Claim | None:
    """Return the claim with a new lease, or None if another token has taken it over."""
    renewed = Claim(claim.address, claim.token, now + lease)
    done = connection.execute(
        _table.update()
        .where(*_HERE, _table.c.token == claim.token)
        .values(leased_until=renewed.leased_until),
        claim.address.bound,
    )
    return renewed if done.rowcount else None


def holds(connection: Connection, claim: Claim) -> bool:
    """Whether the claim is ours until the end of the transaction; an expired lease is, until it is taken."""
    row = connection.execute(_LOCKED, claim.address.bound).one_or_none()
    return row is not None and row.token == claim.token


def release(connection: Connection, claim: Claim) -> None:
    """Give the ticket free, if it is still ours."""
    connection.execute(
        _table.update().where(*_HERE, _table.c.token == claim.token).values(token=""), claim.address.bound
    )
