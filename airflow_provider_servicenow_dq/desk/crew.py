"""Delivering to many tickets: a few at a time, and no further once there is no point in going on."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.desk.deliver import deliver
from airflow_provider_servicenow_dq.desk.delivery import twins
from airflow_provider_servicenow_dq.desk.delivery.refusals import is_definite
from airflow_provider_servicenow_dq.desk.lookup import look
from airflow_provider_servicenow_dq.exceptions import (
    AuthenticationError,
    NothingHappenedError,
    ServiceNowError,
    StoreError,
)
from airflow_provider_servicenow_dq.store import instances, outbox, recorded, tickets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address

log = logging.getLogger(__name__)

_PROGRESS_EVERY: Final = 100

#: How long an account that may not see what it creates creates nothing more.
_BLIND_FOR: Final = timedelta(hours=24)


@dataclass(slots=True)
class Crew:
    """Delivers what waits at many addresses, from several threads.

    :param run: The DAG run that delivers.
    :param reports: Ids of the entries whose results whoever delivers returns.
    :param failed: What stopped a delivery.
    :param handled: Ids of the entries that were in our hands.
    """

    desk: Desk
    run: str
    reports: Collection[int] = ()
    failed: list[ServiceNowError] = field(default_factory=list)
    handled: set[int] = field(default_factory=set)
    stop: Event = field(default_factory=Event)

    @property
    def pending(self) -> list[ServiceNowError]:
        """What stopped a delivery, but for what the instance refused: a later try can succeed."""
        return [error for error in self.failed if not is_definite(error)]

    def look(self, addresses: Sequence[Address]) -> bool:
        """Look at the tickets of these addresses; return whether it worked."""
        try:
            look(self.desk, addresses, run=self.run)
        except StoreError:
            raise
        except ServiceNowError as error:
            self.failed.append(error)
            return False
        return True

    def deliver_all(self, addresses: Sequence[Address], *, first: Sequence[Address] = ()) -> None:
        """Deliver to all of them, in this order as far as it goes; they have been looked at just before.

        :param first: Where it has to be delivered before the others begin.
        """
        self._prove_that_we_see()
        for address in self._without_riddles(first):
            self.deliver(address)
        rest = self._alone_until_known(self._without_riddles(addresses))
        with ThreadPoolExecutor(max_workers=self.desk.config.max_concurrency) as pool:
            for number, _ in enumerate(pool.map(self.deliver, rest), start=1):
                if number % _PROGRESS_EVERY == 0:
                    log.info("Delivered to %s of %s tickets", number, len(rest))

    def deliver(self, address: Address) -> None:
        """Deliver to one."""
        if self.stop.is_set():
            return
        try:
            for entry_id in deliver(self.desk, address, run=self.run, reports=self.reports):
                self.handled.add(entry_id)
        except StoreError:
            self.stop.set()
            raise
        except ServiceNowError as error:
            self.failed.append(error)
            hopeless = isinstance(error, AuthenticationError | twins.BlindAccountError)
            if hopeless or isinstance(error.__cause__, NothingHappenedError):
                self.stop.set()  # the next ones would fare no better

    def _alone_until_known(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """Deliver one by one until it is known what the instance does with our sys_id; return the rest.

        That decides how the others are protected against twins. Where it is ignored, the first ticket of a
        run always goes alone: it shows whether the account sees what it creates.
        """
        for number, address in enumerate(addresses):
            with self.desk.store.snapshot() as connection:
                honours = instances.get(connection, self.desk.host).honours_sys_id
            if honours or (honours is False and number > 0):
                return addresses[number:]
            self.deliver(address)
        return []

    def _prove_that_we_see(self) -> None:
        """Look for what an earlier run has created and not found again, before anything more is created."""
        with self.desk.store.snapshot() as connection:
            unproven = recorded.addresses_of(connection, self.desk.host, outbox.TWINS)
        for address in unproven:
            try:
                self.handled.update(deliver(self.desk, address, run=self.run, reports=self.reports))
            except twins.BlindAccountError as error:
                self.failed.append(error)
                self.stop.set()
                return
            except StoreError:
                raise
            except ServiceNowError as error:
                log.info("Left to whoever works on it: %s", error)

    def _without_riddles(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """Leave out what would open a ticket while it is not known whether we see what we open."""
        now = self.desk.now()
        with self.desk.store.snapshot() as connection:
            if instances.get(connection, self.desk.host).honours_sys_id:
                return addresses
            hidden = recorded.hidden_creates(connection, self.desk.host, since=now - _BLIND_FOR)
            if not hidden:
                return addresses
            known = tickets.at(connection, addresses)
        until = (hidden[0].settled_at or now) + _BLIND_FOR
        if all(address in known for address in addresses):
            return addresses
        words = twins.MAY_BE_HIDDEN.format(hidden[0].message or "An earlier ticket was refused")
        ways_out = f"after {until:%Y-%m-%d %H:%M} UTC, or after servicenow-dq outbox replay {hidden[0].id}"
        self.failed.append(twins.BlindAccountError(f"{words} It is tried again {ways_out}"))
        return [address for address in addresses if address in known]
