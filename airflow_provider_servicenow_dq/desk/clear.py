"""Delivering later what could not be delivered when it was recorded."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.delivery.refusals import is_definite
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.places import moves, rollup
from airflow_provider_servicenow_dq.exceptions import ServiceNowError, StoreError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import outbox, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.waiting import Place

log = logging.getLogger(__name__)

#: Entries in hand at once: enough for full look-ups, few enough for memory.
_AT_ONCE: Final = 500
#: Causes that are kept in words.
_MOST_CAUSES: Final = 10


@dataclass(slots=True)
class Clearing:
    """What came of it.

    :param delivered: How many entries are done now that were not.
    :param causes: Why something was not delivered, in words, each cause once and not more than ten.
    :param retry_after: Seconds until it makes sense to go on, where an error named them.
    :param refused: Whether all that failed was definitely refused, so that a later try fares no better.
    """

    delivered: int = 0
    causes: list[str] = field(default_factory=list)
    retry_after: float | None = None
    refused: bool = True

    def add(self, errors: Sequence[ServiceNowError]) -> None:
        """Take note of what failed."""
        for error in errors:
            self.refused = self.refused and is_definite(error)
            wait = getattr(error, "retry_after", None)
            if wait is not None:
                self.retry_after = max(wait, self.retry_after or 0.0)
        words = dict.fromkeys([*self.causes, *map(str, errors)])
        self.causes = list(words)[:_MOST_CAUSES]

    def join(self, other: Clearing) -> None:
        """Take what came of another delivery into account."""
        self.delivered += other.delivered
        self.causes = list(dict.fromkeys([*self.causes, *other.causes]))[:_MOST_CAUSES]
        self.refused = self.refused and other.refused
        if other.retry_after is not None:
            self.retry_after = max(other.retry_after, self.retry_after or 0.0)


def deliver_waiting(desk: Desk, run: Run) -> Clearing:
    """Deliver everything that waits for this instance, in the order in which it was recorded.

    What is recorded meanwhile is left to whoever records it. Tickets on which somebody else is at work come
    last, and are waited for.

    :param run: Who delivers.
    """
    clearing = Clearing()
    held: list[Address] = []
    with desk.store.snapshot() as connection:
        last, up_to = 0, waiting.newest_id(connection)
    while True:
        with desk.store.snapshot() as connection:
            batch = waiting.places(connection, desk.host, after=last, up_to=up_to, limit=_AT_ONCE)
            busy = waiting.held(connection, {place.address for place in batch}, now=desk.now())
        if not batch:
            break
        last = batch[-1].entry_id
        held += [address for address in busy if address not in held]
        free = [place for place in batch if place.address not in busy]
        if not _clear(desk, free, run, clearing):
            return clearing
        log.info("%s entries delivered, up to number %s of %s", clearing.delivered, last, up_to)
    for addresses in _by_table(held):
        crew = Crew(desk, run.dag_run)
        if crew.look(addresses):
            _deliver(crew, addresses, clearing)
        else:
            clearing.add(crew.failed)
    return clearing


def _clear(desk: Desk, batch: Sequence[Place], run: Run, clearing: Clearing) -> bool:
    """Deliver a batch; return whether it makes sense to go on with the next."""
    for addresses in _by_table([place.address for place in batch]):
        crew = Crew(desk, run.dag_run)
        if not crew.look(addresses):
            clearing.add(crew.failed)
            return False
        reports = [
            place.entry_id
            for place in batch
            if place.kind == outbox.REPORT and place.address.table == addresses[0].table
        ]
        try:
            homes, rest = _limited(desk, reports, addresses, run)
        except StoreError:
            raise
        except ServiceNowError as error:
            clearing.add([error])
            return False
        if not _deliver(crew, rest, clearing, first=homes):
            return False
    return True


def _limited(
    desk: Desk, ids: Sequence[int], addresses: Sequence[Address], run: Run
) -> tuple[list[Address], list[Address]]:
    """Keep the DAG runs that reported to their share of new tickets.

    :return: Where the roll-up tickets are, and where else to deliver, in order.
    """
    with desk.store.snapshot() as connection:
        entries = outbox.by_ids(connection, ids)
    by_run: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries.values():
        limit = entry.payload.get("max_new_tickets", Project().max_new_tickets)
        by_run.setdefault((entry.payload["run"], limit), []).append(entry)
    left = list(addresses)
    first: list[Address] = []
    for (dag_run, limit), reports in by_run.items():
        reported_at = list(dict.fromkeys(entry.address for entry in reports))
        rules = Project(table=addresses[0].table, max_new_tickets=limit)
        homes, kept = rollup.limit(
            desk, reports, reported_at, order=Order(rules), run=_run_of(dag_run), looking_in=run.dag_run
        )
        first += homes
        left = [address for address in left if address in kept or address not in reported_at]
    return first, [address for address in left if address not in first]


def _run_of(dag_run: str) -> Run:
    """Return the run whose name this is (the opposite of ``Run.dag_run``)."""
    dag_id, _, rest = dag_run.partition("/")
    return Run(dag_id, rest) if dag_id else Run(unique=rest)


def _deliver(
    crew: Crew, addresses: Sequence[Address], clearing: Clearing, *, first: Sequence[Address] = ()
) -> bool:
    """Deliver where it has been looked just before; return whether it makes sense to go on."""
    crew.deliver_all(addresses, first=first)
    moves.deliver(crew)
    clearing.add(crew.failed)
    with crew.desk.store.snapshot() as connection:
        clearing.delivered += waiting.count_done(connection, crew.handled)
    return not crew.stop.is_set()


def _by_table(addresses: Sequence[Address]) -> list[list[Address]]:
    """Return the addresses, each once, in a list for each table: that is how they can be looked at."""
    tables: dict[str, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        tables.setdefault(address.table, []).append(address)
    return list(tables.values())
