"""Working on a ticket alone: the lease, from taking it to giving it back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.desk.desk import LONGEST_SLEEP_S, Desk
from airflow_provider_servicenow_dq.desk.places import moves
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.store import claims, exclusive, outbox, tickets
from airflow_provider_servicenow_dq.store.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address, Entry

_LOOK_AGAIN_S: Final = 0.1


class LeaseLostError(DeliveryPendingError):
    """Somebody else has taken the ticket over; what we were about to write is theirs to decide now."""


@dataclass
class Lease:
    """A claim that is ours until it is not.

    :param waited: Whether somebody else worked on the ticket before we got it.
    :param waiting: Ids of the outbox entries that waited there when it became ours.
    """

    desk: Desk
    claim: Claim
    waited: bool
    waiting: list[int]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction in which the ticket is surely ours.

        :raises LeaseLostError: If it is not.
        """
        with self.desk.store.begin() as connection:
            if not claims.holds(connection, self.claim):
                raise LeaseLostError(f"The lease on {self.claim.address.correlation_id} was lost", 0.0)
            yield connection

    @contextlib.contextmanager
    def deciding(self) -> Iterator[tuple[Connection, list[Entry]]]:
        """Open a transaction that decides about what waits, which nobody else changes meanwhile.

        :raises LeaseLostError: If the ticket is not ours any more.
        """
        with self.transaction() as connection:
            waiting = self._locked(connection)
            if not moves.are_exclusive(waiting):
                yield connection, waiting
                return
        with self.transaction() as connection:
            exclusive.alone(connection)
            yield connection, self._locked(connection)

    @contextlib.contextmanager
    def settling(self, entries: Sequence[Entry]) -> Iterator[Connection]:
        """Open a transaction that writes down what came of entries.

        :raises LeaseLostError: If the ticket is not ours any more.
        """
        with self.transaction() as connection:
            if moves.are_exclusive(entries):
                exclusive.alone(connection)
            yield connection

    def _locked(self, connection: Connection) -> list[Entry]:
        tickets.at(connection, [self.claim.address], for_update=True)
        return outbox.waiting(connection, self.claim.address)

    def make_time(self) -> None:
        """Make sure that one request fits into the lease, before it is sent.

        :raises LeaseLostError: If somebody else has taken the ticket over.
        """
        now = self.desk.now()
        if self.claim.leased_until - now > timedelta(seconds=self.desk.config.timeout_s):
            return
        self.renew()

    def renew(self) -> None:
        """Lease again for the full time."""
        with self.desk.store.begin() as connection:
            renewed = claims.renew(connection, self.claim, now=self.desk.now(), lease=self.desk.lease)
        if renewed is None:
            raise LeaseLostError(f"The lease on {self.claim.address.correlation_id} was lost", 0.0)
        self.claim = renewed

    def sleep(self, seconds: float) -> None:
        """Sleep without losing the ticket."""
        slice_s = max(self.desk.config.timeout_s / 2, _LOOK_AGAIN_S)
        while seconds > 0:
            self.renew()
            self.desk.sleep(min(seconds, slice_s))
            seconds -= slice_s
        self.renew()


@contextlib.contextmanager
def claimed(desk: Desk, address: Address) -> Iterator[Lease]:
    """Take the ticket for the length of the block; wait while somebody else has it.

    :raises DeliveryPendingError: If it does not come free.
    """
    lease = _take(desk, address)
    try:
        yield lease
    finally:
        with desk.store.begin() as connection:
            claims.release(connection, lease.claim)


def _take(desk: Desk, address: Address) -> Lease:
    patience = min(desk.lease.total_seconds() * 2, LONGEST_SLEEP_S)
    started = desk.now()
    waited = False
    while True:
        now = desk.now()
        with desk.store.begin() as connection:
            taken = claims.take(connection, address, now=now, lease=desk.lease)
            if isinstance(taken, Claim):
                waiting = [entry.id for entry in outbox.waiting(connection, address)]
                return Lease(desk, taken, waited, waiting)
        if (now - started).total_seconds() >= patience:
            left = max((taken - now).total_seconds(), 0.0)
            raise DeliveryPendingError(f"{address.correlation_id} is being worked on by somebody else", left)
        waited = True
        desk.sleep(_LOOK_AGAIN_S)
