"""Outbox to ServiceNow: one ticket at a time, in order, each write at most once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.delivery import doubt, refusals, send, twins
from airflow_provider_servicenow_dq.desk.delivery.claimed import Lease, claimed
from airflow_provider_servicenow_dq.desk.delivery.journals import Journal, find_note
from airflow_provider_servicenow_dq.desk.delivery.sending import Sending, left_behind
from airflow_provider_servicenow_dq.desk.desk import LONGEST_SLEEP_S, Desk
from airflow_provider_servicenow_dq.desk.order import CORRELATION
from airflow_provider_servicenow_dq.desk.places import key_column
from airflow_provider_servicenow_dq.desk.writing import asking, linked, settle, steps
from airflow_provider_servicenow_dq.exceptions import (
    AuthenticationError,
    DeliveryPendingError,
    ForbiddenError,
    MayHaveHappenedError,
    NothingHappenedError,
    NotServiceNowError,
    RefusedError,
    ServiceNowError,
)
from airflow_provider_servicenow_dq.store import instances, outbox, tickets
from airflow_provider_servicenow_dq.tickets import notes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address, Entry

#: After so many attempts that may have happened and were not found, an entry is dead.
MOST_ATTEMPTS: Final = 20
#: How many of them one delivery makes before it leaves the rest to a later one.
_ATTEMPTS_AT_ONCE: Final = 3

_UNKNOWN: Final = (
    "unknown: whether the note arrived cannot be read, so it is not sent again. The account may not read "
    "sys_journal_field or the ticket's journals, or a note that was there is gone or has changed."
)

_IN_DOUBT: Final = (MayHaveHappenedError, ForbiddenError, NotServiceNowError)


def deliver(desk: Desk, address: Address, *, run: str, reports: Collection[int] = ()) -> Iterator[int]:
    """Deliver what waits at an address, in order; what is refused is dead at the end.

    Yields the ids of the entries that it has taken into its hands: nobody else delivers them meanwhile.

    The instance must have been looked at just before (:mod:`~airflow_provider_servicenow_dq.desk.lookup`).

    :param run: The DAG run that delivers.
    :param reports: Ids of the entries whose results the caller returns.
    :raises DeliveryPendingError: If something could not be delivered now; it stays in the outbox.
    :raises AuthenticationError: If the instance does not know us.
    """
    with claimed(desk, address) as lease:
        if lease.waited:
            lookup.look(desk, [address], run=run)
        yield from lease.waiting
        delivery = _Delivery(desk, lease, address, run, reports)
        while sending := delivery.next():
            yield from (entry.id for entry in sending.entries)  # some may have come since
            delivery.handle(sending)


@dataclass(slots=True)
class _Delivery:
    desk: Desk
    lease: Lease
    address: Address
    run: str
    reports: Collection[int]
    repeats: int = 0

    def next(self) -> Sending | None:
        """Settle what needs no request; return the next write, written down as being sent."""
        self.lease.make_time()
        with self.lease.deciding() as (connection, waiting):
            if under_way := left_behind(waiting):
                return under_way
            known = tickets.at(connection, [self.address]).get(self.address, [])
            wanted = asking.needs(waiting, known[0] if known else None)
            if not any(wanted):
                return self._start(connection, waiting, asking.Asked())
        asked = asking.ask(self.desk, self.address, wanted)
        self.lease.make_time()
        with self.lease.deciding() as (connection, waiting):
            return self._start(connection, waiting, asked)

    def _start(self, connection: Connection, waiting: Sequence[Entry], asked: asking.Asked) -> Sending | None:
        step = steps.plan(connection, self.desk, self.address, waiting, asked=asked, run=self.run)
        if step is None:
            return None
        now = self.desk.now()
        outbox.start(connection, [entry.id for entry in step.entries], write=step.write, now=now)
        attempt = max(entry.attempts for entry in step.entries) + 1
        return Sending(step.entries, step.write, now, attempt, left_behind=False)

    def handle(self, sending: Sending) -> None:
        """Send a write and write down what came of it; if it was sent before, find out what came of it."""
        if sending.left_behind:
            self._resolve_doubt(sending, None)
            return
        if self._stood_still(sending):
            return
        try:
            write = send.create if sending.creates else send.update
            record = write(self.desk, self.address, sending.write)
        except (NothingHappenedError, AuthenticationError) as error:
            with self.lease.transaction() as connection:
                settle.waits(connection, sending.entries, str(error), uncount=True)
            if isinstance(error, AuthenticationError):
                raise
            raise DeliveryPendingError(str(error), error.retry_after) from error
        except _IN_DOUBT as error:
            self._resolve_doubt(sending, error)
        except RefusedError as error:
            self._refuse(sending, str(error))
        else:
            lost = [] if sending.creates else send.lost_journal(sending.write["values"], record)
            self._done(sending, record, warnings=lost, is_answer=True)

    def _stood_still(self, sending: Sending) -> bool:
        """Put back a write that did not leave in time, as when the process was suspended.

        Others count the time that it may take from when it was written down, and may have sent it themselves:
        half a timeout until here, half a one until the last try begins, and the instance's own time for it.

        :raises LeaseLostError: If they have taken the ticket over.
        """
        if self.desk.now() - sending.tried_at <= timedelta(seconds=self.desk.config.timeout_s / 2):
            return False
        with self.lease.transaction() as connection:
            settle.waits(connection, sending.entries, None, uncount=True)
        return True

    def _resolve_doubt(self, sending: Sending, error: ServiceNowError | None) -> None:
        """Look whether the write happened; if not, let it be decided anew once it surely never will."""
        while True:
            self.lease.make_time()
            seen, record = self._look_for(sending, error)
            if seen is Journal.THERE:
                if sending.creates and record and sending.attempt == 1 and refusals.key_was_taken(error):
                    self._adopt(sending, record)
                else:
                    self._done(sending, record)
                return
            if seen is Journal.UNREADABLE:
                self._refuse(sending, _UNKNOWN, action=outbox.UNKNOWN)
                return
            if isinstance(error, ForbiddenError):
                self._accept_refusal(sending, error)
                return
            if sending.attempt >= MOST_ATTEMPTS:
                self._refuse(sending, f"given up after {sending.attempt} attempts: {error}")
                return
            if not self._wait_until_surely_lost(sending, error):
                break
        self._repeat(sending, error)

    def _look_for(
        self, sending: Sending, error: ServiceNowError | None
    ) -> tuple[Journal, dict[str, Any] | None]:
        try:
            if sending.creates:
                record = doubt.find_created(self.desk, self.address, sending.write)
                return (Journal.THERE if record else Journal.MISSING), record
            ticket = self._ticket(sending.write["ticket_id"])
            journal, text = notes.written(sending.write["values"])
            seen = find_note(self.desk, self.address, ticket, journal, text)
            changes_more = seen is Journal.THERE and len(sending.write["values"]) > 1
            return seen, doubt.current(self.desk, ticket) if changes_more else None
        except ServiceNowError as failed:
            # The write stays marked as being sent, so that whoever comes next looks first.
            raise DeliveryPendingError(
                f"{_cause(error)}; whether it happened could not be looked up: {failed}",
                getattr(failed, "retry_after", None),
            ) from failed

    def _wait_until_surely_lost(self, sending: Sending, error: ServiceNowError | None) -> bool:
        """Wait if the attempt may still be running on the instance; say whether to look again.

        :raises DeliveryPendingError: If that is too long for a worker to wait.
        """
        honours = self._honours_sys_id()
        if sending.creates and honours:
            return False  # the primary key refuses a twin, so it may be repeated at once
        left = (sending.tried_at + self.desk.doubt_wait - self.desk.now()).total_seconds()
        if left <= 0:
            return False
        if left > LONGEST_SLEEP_S or (sending.creates and honours is None):
            raise DeliveryPendingError(
                f"{_cause(error)}; it may still be running, so it is repeated only later", left
            )
        self.lease.sleep(left)
        return True

    def _repeat(self, sending: Sending, error: ServiceNowError | None) -> None:
        with self.lease.transaction() as connection:
            settle.waits(connection, sending.entries, str(error) if error else None)
        self.repeats += 1
        if self.repeats >= _ATTEMPTS_AT_ONCE:
            raise DeliveryPendingError(
                f"{_cause(error)}, {self.repeats} times", getattr(error, "retry_after", None)
            )

    def _accept_refusal(self, sending: Sending, error: ForbiddenError) -> None:
        if not sending.creates and self._has_moved_on(sending.write["ticket_id"]):
            self._repeat(sending, error)
            return
        if refusals.is_definite(error):
            hidden = sending.creates and refusals.may_hide_the_record(error) and not self._honours_sys_id()
            self._refuse(sending, str(error), action=outbox.HIDDEN if hidden else None)
            if hidden:
                raise twins.BlindAccountError(twins.MAY_BE_HIDDEN.format(error))
            return
        with self.lease.transaction() as connection:
            settle.waits(connection, sending.entries, str(error))
        raise DeliveryPendingError(f"{error} (this one often passes by itself)")

    def _has_moved_on(self, ticket_id: int) -> bool:
        """Look at a ticket again: somebody may have closed it after we had looked."""
        before = self._ticket(ticket_id)
        lookup.look(self.desk, [self.address], run=self.run)
        lookup.refresh(self.desk, before)
        return self._ticket(ticket_id).state != before.state

    def _ticket(self, ticket_id: int) -> tickets.Ticket:
        with self.desk.store.snapshot() as connection:
            return tickets.by_ids(connection, [ticket_id])[ticket_id]

    def _honours_sys_id(self) -> bool | None:
        with self.desk.store.snapshot() as connection:
            return instances.get(connection, self.desk.host).honours_sys_id

    def _refuse(self, sending: Sending, words: str, *, action: str | None = None) -> None:
        with self.lease.transaction() as connection:
            settle.refused(connection, sending.entries, words, now=self.desk.now(), action=action)

    def _adopt(self, sending: Sending, record: dict[str, Any]) -> None:
        """Take over what somebody else opened for the same problem at the same moment, and decide again."""
        with self.lease.transaction() as connection:
            lookup.adopt_found(connection, self.desk, self.address, record, run=self.run)
            settle.waits(connection, sending.entries, None, uncount=True)

    def _done(
        self,
        sending: Sending,
        record: dict[str, Any] | None,
        *,
        warnings: Sequence[str] = (),
        is_answer: bool = False,
    ) -> None:
        now = self.desk.now()
        if sending.write["op"] == linked.LINKS:
            with self.lease.settling(sending.entries) as connection:
                linked.linked(
                    connection,
                    sending.entries,
                    sending.write,
                    record,
                    now=now,
                    warnings=warnings,
                    is_answer=is_answer,
                )
            return
        if record is None or not sending.creates:
            with self.lease.settling(sending.entries) as connection:
                settle.noted(connection, sending.entries, sending.write, record, now=now, warnings=warnings)
            return
        with self.lease.settling(sending.entries) as connection:
            settle.created(
                connection,
                self.address,
                sending.entries,
                sending.write,
                record,
                now=now,
                reports=self.reports,
            )
        column = sending.write.get("key_column", CORRELATION)
        if not key_column.is_kept(self.address.table, column, sending.write["fields"], record):
            raise twins.BlindAccountError(
                twins.NOT_KEPT.format(record.get("number") or record["sys_id"], column, record.get(column))
            )


def _cause(error: ServiceNowError | None) -> str:
    return str(error) if error else "An earlier attempt was cut off"
