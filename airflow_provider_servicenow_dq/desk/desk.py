"""What every piece of work needs at hand."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.client.config import InstanceConfig
    from airflow_provider_servicenow_dq.client.names import Names
    from airflow_provider_servicenow_dq.client.table import TableApi
    from airflow_provider_servicenow_dq.store.store import Store

#: A worker never sleeps longer than this in one go; a longer wait becomes a task retry.
LONGEST_SLEEP_S: Final = 60.0


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """Who works: a task instance, or somebody outside a DAG (all empty).

    :param unique: Tells this execution from any other when there is no DAG run.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    unique: str = ""

    @property
    def dag_run(self) -> str:
        """The DAG run, as one text."""
        return f"{self.dag_id}/{self.run_id}" if self.run_id else f"/{self.unique}"

    @property
    def task(self) -> str:
        """The task instance, as one text, the same for all its tries."""
        return f"{self.dag_run}/{self.task_id}/{self.map_index}"


@dataclass(frozen=True, slots=True)
class Desk:
    """One instance, one store, and the rules of time between them."""

    config: InstanceConfig
    table_api: TableApi
    names: Names
    store: Store
    namespace: str = ""
    now: Callable[[], datetime] = field(default=utc_now)
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def host(self) -> str:
        """The identity of the instance."""
        return self.config.host

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: two requests that use all their time."""
        return timedelta(seconds=2 * self.config.timeout_s)

    @property
    def doubt_wait(self) -> timedelta:
        """How old a lost attempt must be before it is repeated.

        A request that we gave up on may still be running: the instance's own quota for it is 60 seconds.
        """
        return timedelta(seconds=3 * self.config.timeout_s)
