"""Dry runs: the real work, with writes that go nowhere and a memory that is thrown away.

Nothing is decided here: what a dry run says is what the same code would do, on a copy of what the store
knows, with the instance as it is now. The instance is read, the store too, and neither is written to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key, correlation_id
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.desk.clear import Clearing, deliver_waiting
from airflow_provider_servicenow_dq.desk.open import Opening, open_tickets
from airflow_provider_servicenow_dq.desk.passes import resolve_passed
from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.desk.result import MOST_BYTES, for_xcom
from airflow_provider_servicenow_dq.exceptions import DeliveryRefusedError
from airflow_provider_servicenow_dq.store import waiting
from airflow_provider_servicenow_dq.store.copying import copy_work
from airflow_provider_servicenow_dq.store.schema import HEAD
from airflow_provider_servicenow_dq.store.store import Store
from airflow_provider_servicenow_dq.tickets.incident import NEW
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS
from airflow_provider_servicenow_dq.tickets.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass
    from airflow_provider_servicenow_dq.client.table import Record
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.order import Order
    from airflow_provider_servicenow_dq.desk.push import Pushed
    from airflow_provider_servicenow_dq.desk.result import Result

#: Stands for the number of a ticket that there is not yet.
NUMBER: Final = "(new)"
#: Entries in hand at once while what waits is looked for.
_AT_ONCE: Final = 500
#: Lengths to which values are cut for an XCom, one after the other until it fits.
_SHORTER: Final = (160, 80, 40, 20, 10)
#: Writes that an XCom of a delivery names.
_MOST_WRITES: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """A request that would be sent.

    :param number: Number of the record; ``(new)`` for one that would be created.
    :param values: Columns that it would carry.
    :param before: What those columns hold now, as far as they can be read; journals hold nothing.
    """

    method: Literal["POST", "PATCH"]
    table: str
    sys_id: str
    number: str
    values: Mapping[str, str]
    before: Mapping[str, str]

    def shown(self, length: int = 0) -> dict[str, Any]:
        """Return it as plain JSON, its values cut to a length unless that is 0."""
        values = {name: cut(value, length) if length else value for name, value in self.values.items()}
        return {
            "method": self.method,
            "table": self.table,
            "sys_id": self.sys_id,
            "number": self.number,
            "values": values,
        }


class Listener(TableApi):
    """The Table API of an instance that is read, and to which nothing is written."""

    def __init__(self, table_api: TableApi) -> None:
        super().__init__(table_api.transport)
        self._lock = threading.Lock()
        self._made: dict[str, Record] = {}
        self.writes: list[Write] = []

    def create(self, table: str, values: Mapping[str, Any]) -> Record:
        """Write down what would be inserted, and return it as if it had been."""
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": "0"}
        record = {"number": NUMBER, "state": NEW, **stamps, **dict.fromkeys(JOURNALS, ""), **values}
        sent = {name: str(value) for name, value in values.items() if name != "sys_id"}
        self._note(Write("POST", table, record["sys_id"], NUMBER, sent, {}), record)
        return record

    def update(self, table: str, sys_id: str, values: Mapping[str, Any]) -> Record:
        """Write down what would be changed, and return the record as if it had been."""
        before = self._made.get(sys_id) or self.get(table, sys_id)
        record = {**before, **{name: "" if name in JOURNALS else value for name, value in values.items()}}
        columns = {name: str(before.get(name) or "") for name in values if name not in JOURNALS}
        sent = {name: str(value) for name, value in values.items()}
        self._note(Write("PATCH", table, sys_id, before.get("number") or sys_id, sent, columns), record)
        return record

    def delete(self, table: str, sys_id: str) -> None:
        """Refuse: the desk deletes nothing, and a dry run surely does not.

        :raises DeliveryRefusedError: Always.
        """
        raise DeliveryRefusedError(f"A dry run deletes nothing: {table} {sys_id}")

    def _note(self, write: Write, record: Record) -> None:
        with self._lock:
            self.writes.append(write)
            self._made[write.sys_id] = record


@dataclasses.dataclass(frozen=True, slots=True)
class Rehearsed:
    """What an opening, or a push, would do.

    :param opening: Its results, as if it had happened.
    :param writes: What would be sent, in order.
    :param shares: For each result the writes for its ticket; each stands with the first that it is for.
    """

    opening: Opening
    writes: Sequence[Write]
    shares: Sequence[Sequence[Write]]

    def for_xcom(self) -> list[Result]:
        """Return the results with what would be sent for each, small enough for an XCom."""
        return [
            _fitted(result, share) for result, share in zip(self.opening.results, self.shares, strict=True)
        ]


def rehearse_opening(
    desk: Desk, anomalies: Sequence[Anomaly], *, order: Order, run: Run, passes: Sequence[Pass] = ()
) -> Rehearsed:
    """Return what :func:`~airflow_provider_servicenow_dq.desk.open.open_tickets` would do.

    :param passes: Tickets that these would resolve are among the writes.
    :param desk: Its store need not exist yet.
    """
    keys = {anomaly_key(anomaly, desk.namespace): anomaly for anomaly in anomalies}
    correlations = {correlation_id(anomaly.source, key) for key, anomaly in keys.items()}
    if order.project.group_by:
        for anomaly in anomalies:
            shared = group.group_correlation(order.project.group_by, anomaly, run, namespace=desk.namespace)
            correlations.add(shared)
    counted = passes if order.project.resolve_after else ()
    keys_of_all = {*keys, *(anomaly_key(each, desk.namespace) for each in counted)}
    with _stage(desk, keys=keys_of_all, correlations=correlations, run=run) as (stage, listener):
        opening = open_tickets(stage, anomalies, order=order, run=run)
        resolved = resolve_passed(stage, counted, failed=anomalies, rules=order.project, run=run)
    return Rehearsed(
        Opening(
            [_rehearsed(result) for result in opening.results],
            list(dict.fromkeys([*opening.failures, *resolved.failures])),
            [*opening.pending, *resolved.pending],
        ),
        listener.writes,
        list(_shares(opening.results, listener.writes)),
    )


def rehearse_push(
    desk: Desk, anomalies: Sequence[Anomaly], pushing: Callable[[Desk], Pushed], *, run: Run
) -> Rehearsed:
    """Return what a push would do (:mod:`~airflow_provider_servicenow_dq.desk.push`).

    :param anomalies: Whose tickets are told something.
    :param pushing: Does it at the desk that it is given.
    """
    keys = {anomaly_key(anomaly, desk.namespace): anomaly for anomaly in anomalies}
    correlations = {correlation_id(anomaly.source, key) for key, anomaly in keys.items()}
    with _stage(desk, keys=keys, correlations=correlations, run=run) as (stage, listener):
        pushed = pushing(stage)
    results = [_rehearsed(result) for result in pushed.results]
    return Rehearsed(
        Opening(results, pushed.failures, pushed.pending),
        listener.writes,
        list(_shares(pushed.results, listener.writes)),
    )


def rehearse_delivery(desk: Desk, run: Run) -> tuple[Clearing, Sequence[Write]]:
    """Return what :func:`~airflow_provider_servicenow_dq.desk.clear.deliver_waiting` would do."""
    correlations = _waiting_at(desk)
    with _stage(desk, keys=(), correlations=correlations, run=run) as (stage, listener):
        clearing = deliver_waiting(stage, run)
    return clearing, listener.writes


@contextlib.contextmanager
def _stage(
    desk: Desk, *, keys: Collection[str], correlations: Collection[str], run: Run
) -> Iterator[tuple[Desk, Listener]]:
    with empty_memory() as memory:
        yield stage(desk, memory, keys=keys, correlations=correlations, run=run)


@contextlib.contextmanager
def empty_memory() -> Iterator[Store]:
    """Make a store that is thrown away at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="servicenow-dq-") as folder:
        memory = Store(f"sqlite:///{Path(folder) / 'rehearsal.db'}")
        try:
            yield memory
        finally:
            memory.close()


def stage(
    desk: Desk, memory: Store, *, keys: Collection[str], correlations: Collection[str], run: Run
) -> tuple[Desk, Listener]:
    """Return a desk whose writes go nowhere, and who hears them.

    :param memory: What the desk's store knows of some anomalies is copied there.
    :param keys: Of those anomalies.
    :param correlations: Of tickets that they may have.
    """
    listener = Listener(desk.table_api)
    if exists(desk):
        with desk.store.snapshot() as source, memory.begin() as target:
            copy_work(
                source, target, instance=desk.host, keys=keys, correlations=correlations, run=run.dag_run
            )
    return dataclasses.replace(desk, table_api=listener, names=Names(listener), store=memory), listener


def exists(desk: Desk) -> bool:
    """Whether the desk's store is there and can be read as it is: opening another one would change it."""
    return desk.store.revision() == HEAD


def _waiting_at(desk: Desk) -> set[str]:
    correlations: set[str] = set()
    if not exists(desk):
        return correlations
    with desk.store.snapshot() as connection:
        last, up_to = 0, waiting.newest_id(connection)
        while places := waiting.places(connection, desk.host, after=last, up_to=up_to, limit=_AT_ONCE):
            last = places[-1].entry_id
            correlations |= {place.address.correlation_id for place in places}
    return correlations


def few_for_xcom(writes: Sequence[Write]) -> list[dict[str, Any]]:
    """Return the first writes, small enough for an XCom."""
    return [write.shown(_SHORTER[0]) for write in writes[:_MOST_WRITES]]


def _fitted(result: Result, writes: Sequence[Write]) -> Result:
    fitted = for_xcom(result)
    for length in _SHORTER:
        fitted = {**fitted, "would_send": [write.shown(length) for write in writes]}
        if len(json.dumps(fitted).encode()) < MOST_BYTES:
            break
    return fitted


def _rehearsed(result: Result) -> Result:
    """Return a result as one that did not happen: a ticket that would be made is none."""
    ticket = result["ticket"]
    there = ticket is not None and ticket["ticket_number"] != NUMBER
    return {
        **result,
        "ticket": ticket if there else None,
        "message": f"Dry run, nothing was sent: {result['message']}",
        "delivered": False,
    }


def _shares(results: Sequence[Result], writes: Sequence[Write]) -> Iterator[list[Write]]:
    left = list(writes)
    for result in results:
        sys_id = result["ticket"]["ticket_id"] if result["ticket"] else None
        yield [write for write in left if write.sys_id == sys_id]
        left = [write for write in left if write.sys_id != sys_id]
