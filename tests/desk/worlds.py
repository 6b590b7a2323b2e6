"""Many small worlds at once: each an instance of its own and whoever works there.

What is waited for takes seconds and no work, so the cases of a test wait together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_servicenow_dq.desk.open import Opening


class PausedApi(TableApi):
    """The Table API of a process that stops right after its next write was answered, or was not."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.stops = threading.Event()
        self.stopped = threading.Event()
        self.goes_on = threading.Event()

    def create(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        with self._pause():
            return super().create(table, values)

    def update(self, table: str, sys_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        with self._pause():
            return super().update(table, sys_id, values)

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self.stops.is_set():
                self.stops.clear()
                self.stopped.set()
                self.goes_on.wait(60)


def desk_at(url: str, store: str, *, timeout_s: float, api: type[TableApi] = TableApi) -> Desk:
    """Open a desk at an instance with a store."""
    config = InstanceConfig(url, login="svc_airflow", password="airflow-secret", timeout_s=timeout_s)
    table_api = api(Transport(config))
    return Desk(config, table_api, Names(table_api), Store(store))


def hurried(desk: Desk) -> Desk:
    """Let all that a desk waits for be over at once: for where nothing of it is under way any more."""
    ahead = timedelta()

    def sleep(seconds: float) -> None:
        nonlocal ahead
        ahead += timedelta(seconds=seconds)

    return dataclasses.replace(desk, now=lambda: datetime.now(UTC) + ahead, sleep=sleep)


@contextlib.contextmanager
def sandbox_process() -> Iterator[SandboxControl]:
    """Run a sandbox in a process of its own: a fork must not copy a running server."""
    start = "from airflow_provider_servicenow_dq.cli import main; main(['sandbox', '--port', '0'])"
    command = [sys.executable, "-u", "-c", start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield SandboxControl(re.search(r"http://\S+", process.stdout.readline()).group())
        finally:
            process.terminate()


class World:
    """An instance of its own; the stores are those of all worlds of a test, each instance apart in them.

    :param store_url: Names a store; the same name is the same store.
    """

    def __init__(self, store_url: Callable[[str], str], *, timeout_s: float, **switches: Any) -> None:
        self.sandbox = Sandbox(port=0, **switches)
        self._urls = {name: store_url(name) for name in ("store", "empty")}
        self._timeout_s = timeout_s
        self._opened: list[Transport | Store] = []

    def desk(self, store: str = "store", api: type[TableApi] = TableApi) -> Desk:
        """Open a desk as another process would."""
        desk = desk_at(self.sandbox.url, self._urls[store], timeout_s=self._timeout_s, api=api)
        # What is known of an anomaly itself is known for all instances.
        desk = dataclasses.replace(desk, namespace=desk.host)
        self._opened += [desk.table_api.transport, desk.store]
        return desk

    def __enter__(self) -> Self:
        self.sandbox.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.__exit__()
        for each in self._opened:
            each.close()


#: More of them in one process would be late for each other's promises.
_AT_ONCE = 6


def all_at_once(cases: Mapping[Any, Callable[[], None]]) -> dict[Any, str]:
    """Run the cases in threads; return what went wrong, by case."""

    def run(case: Callable[[], None]) -> str:
        try:
            case()
        except BaseException:
            return traceback.format_exc()
        return ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        told = dict(zip(cases, pool.map(run, cases.values()), strict=True))
    return {name: words for name, words in told.items() if words}


def with_retries(
    attempt: Callable[[], Opening], tries: int = 8, sleep: Callable[[float], None] = time.sleep
) -> Opening:
    """Try as Airflow would: again after a wait, which an error may name."""
    for _ in range(tries):
        done = attempt()
        if not done.failures:
            return done
        waits = [error.retry_after for error in done.pending if isinstance(error, DeliveryPendingError)]
        sleep(max([wait for wait in waits if wait is not None], default=0.1))
    raise AssertionError(f"not delivered after {tries} tries: {done.failures}")
