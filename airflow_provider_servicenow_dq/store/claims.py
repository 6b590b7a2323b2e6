"""Claims: who works on a ticket now. One token at a time may write outcomes, so its order holds."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import insert_into
from airflow_provider_servicenow_dq.store.outbox import at_address

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address

_table: Final = schema.claim


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on an address. Outcomes are written only while the token is still the one in the store."""

    address: Address
    token: str
    leased_until: datetime


def take(connection: Connection, address: Address, *, now: datetime, lease: timedelta) -> Claim | datetime:
    """Return a claim, or the time until which somebody else holds one."""
    claim = Claim(address, uuid.uuid4().hex, now + lease)
    taking = insert_into(connection, _table).values(
        instance=address.instance,
        table_name=address.table,
        correlation_id=address.correlation_id,
        token=claim.token,
        leased_until=claim.leased_until,
    )
    taken = connection.execute(
        taking.on_conflict_do_update(
            index_elements=["instance", "table_name", "correlation_id"],
            set_={"token": taking.excluded.token, "leased_until": taking.excluded.leased_until},
            where=sa.or_(_table.c.token == "", _table.c.leased_until <= now),
        ).returning(_table.c.token)
    ).one_or_none()
    if taken is not None:
        return claim
    held: datetime = connection.execute(
        sa.select(_table.c.leased_until).where(*at_address(_table, address))
    ).scalar_one()
    return held


def renew(connection: Connection, claim: Claim, *, now: datetime, lease: timedelta) -> Claim | None:
    """Return the claim with a new lease, or None if another token has taken it over."""
    renewed = Claim(claim.address, claim.token, now + lease)
    done = connection.execute(
        _table.update()
        .where(*at_address(_table, claim.address), _table.c.token == claim.token)
        .values(leased_until=renewed.leased_until)
    )
    return renewed if done.rowcount else None


def holds(connection: Connection, claim: Claim) -> bool:
    """Whether the claim is ours until the end of the transaction; an expired lease is, until it is taken."""
    row = connection.execute(
        sa.select(_table.c.token).where(*at_address(_table, claim.address)).with_for_update()
    ).one_or_none()
    return row is not None and row.token == claim.token


def release(connection: Connection, claim: Claim) -> None:
    """Give the ticket free, if it is still ours."""
    connection.execute(
        _table.update()
        .where(*at_address(_table, claim.address), _table.c.token == claim.token)
        .values(token="")
    )
