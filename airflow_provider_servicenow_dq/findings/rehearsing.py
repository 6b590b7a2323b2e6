"""Dry runs: what a request about findings would send, by doing it where nothing is sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.desk.desk import utc_now
from airflow_provider_servicenow_dq.desk.rehearsal import empty_memory, stage
from airflow_provider_servicenow_dq.findings import repeats
from airflow_provider_servicenow_dq.findings.parties import Side
from airflow_provider_servicenow_dq.findings.recording import key_of, know
from airflow_provider_servicenow_dq.store import anomalies, case_findings, cases
from airflow_provider_servicenow_dq.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.rehearsal import Listener, Write
    from airflow_provider_servicenow_dq.findings.asked import CreateCases, CreateTickets
    from airflow_provider_servicenow_dq.findings.parties import Caller, Sides
    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.store import Store


class Rehearsal:
    """Sides whose writes go nowhere.

    :param memory: Thrown away afterwards.
    :param sides: The real ones.
    :param finding_ids: Of the findings that are asked about.
    :param before: Cases with which the same request was answered before.
    """

    def __init__(
        self, memory: Store, sides: Sides, finding_ids: Collection[str], run: Run, before: Sequence[Case]
    ) -> None:
        self.memory = memory
        self._sides = sides
        self._finding_ids = finding_ids
        self._run = run
        self._correlations = {case.correlation_id for case in before}
        self._staged: dict[str, tuple[Desk, Listener]] = {}

    def side(self, name: str) -> Side:
        """Return the side of a project."""
        desk, project = self._sides(name)
        if desk.host not in self._staged:
            keys = {key_of(finding, desk.namespace) for finding in self._finding_ids}
            self._staged[desk.host] = stage(
                desk, self.memory, keys=keys, correlations=self._correlations, run=self._run
            )
        return Side(self._staged[desk.host][0], project)

    @property
    def writes(self) -> list[Write]:
        """What would have been sent."""
        return [write for _, listener in self._staged.values() for write in listener.writes]


@contextlib.contextmanager
def rehearsing(
    sides: Sides,
    store: Store,
    finding_ids: Collection[str],
    *,
    namespace: str,
    caller: Caller,
    body: CreateTickets | CreateCases | None = None,
) -> Iterator[Rehearsal]:
    """Rehearse for the length of the block, with what a store knows of findings and of their cases.

    :param store: It is read, and need not exist.
    :param body: Of a request that must not be answered twice.
    """
    keys = [key_of(finding, namespace) for finding in finding_ids]
    known: dict[str, Anomaly] = {}
    involved: list[Case] = []
    before: list[Case | None] = []
    request = _request(sides, body, caller) if body is not None else None
    if store.revision() == HEAD:
        with store.snapshot() as connection:
            known = anomalies.contents(connection, keys)
            before = repeats.known(connection, request, now=utc_now()) if request is not None else []
            owners = case_findings.owners(connection, keys).values()
            involved = [*cases.by_ids(connection, owners).values(), *filter(None, before)]
    with empty_memory() as memory:
        opened = list(filter(None, before))
        rehearsal = Rehearsal(memory, sides, finding_ids, caller.run, opened)
        with memory.begin() as connection:
            know(connection, known.values(), namespace=namespace, now=utc_now())
            if request is not None and opened and len(opened) == len(before):
                repeats.remember(connection, request, opened, now=utc_now())
        for project in {case.project_id for case in involved}:
            rehearsal.side(project)
        yield rehearsal


def _request(sides: Sides, body: CreateTickets | CreateCases, caller: Caller) -> repeats.Request:
    return repeats.Request.to([sides(item.relationships.project.data.id) for item in body.data], body, caller)
