"""Dry runs: what a request about findings would send, by doing it where nothing is sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.desk.desk import utc_now
from airflow_provider_servicenow_dq.desk.rehearsal import empty_memory, stage
from airflow_provider_servicenow_dq.findings.parties import Side
from airflow_provider_servicenow_dq.findings.recording import key_of, know
from airflow_provider_servicenow_dq.store import anomalies, cases
from airflow_provider_servicenow_dq.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.rehearsal import Listener, Write
    from airflow_provider_servicenow_dq.findings.parties import Sides
    from airflow_provider_servicenow_dq.store.store import Store


class Rehearsal:
    """Sides whose writes go nowhere.

    :param memory: Thrown away afterwards.
    :param sides: The real ones.
    :param finding_ids: Of the findings that are asked about.
    """

    def __init__(self, memory: Store, sides: Sides, finding_ids: Collection[str], run: Run) -> None:
        self.memory = memory
        self._sides = sides
        self._finding_ids = finding_ids
        self._run = run
        self._staged: dict[str, tuple[Desk, Listener]] = {}

    def side(self, name: str) -> Side:
        """Return the side of a project."""
        desk, project = self._sides(name)
        if desk.host not in self._staged:
            keys = {key_of(finding, desk.namespace) for finding in self._finding_ids}
            self._staged[desk.host] = stage(desk, self.memory, keys=keys, correlations=set(), run=self._run)
        return Side(self._staged[desk.host][0], project)

    @property
    def writes(self) -> list[Write]:
        """What would have been sent."""
        return [write for _, listener in self._staged.values() for write in listener.writes]


@contextlib.contextmanager
def rehearsing(
    sides: Sides, store: Store, finding_ids: Collection[str], *, namespace: str, run: Run
) -> Iterator[Rehearsal]:
    """Rehearse for the length of the block, with what a store knows of findings and of their cases.

    :param store: It is read, and need not exist.
    """
    with empty_memory() as memory:
        rehearsal = Rehearsal(memory, sides, finding_ids, run)
        if store.revision() == HEAD:
            keys = [key_of(finding, namespace) for finding in finding_ids]
            with store.snapshot() as connection:
                known = anomalies.contents(connection, keys)
                owners = cases.owners(connection, keys)
                projects = {case.project_id for case in cases.by_ids(connection, owners.values()).values()}
            with memory.begin() as connection:
                know(connection, known.values(), namespace=namespace, now=utc_now())
            for project in projects:
                rehearsal.side(project)
        yield rehearsal
