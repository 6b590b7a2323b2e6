"""The ways from a triggerer to instances: one for each connection, shared by all triggers that use it.

A triggerer runs all its triggers in one event loop. Nothing here may block it: the connection is awaited, and
requests run in threads of the line's own, as many as the instance may be asked at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import Connection

    from airflow_provider_servicenow_dq.client.config import InstanceConfig
    from airflow_provider_servicenow_dq.client.table import TableApi

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that one request may spend until its last try starts: the next look is the better repetition, and
#: a thread that sleeps keeps others waiting, and the triggerer when it ends.
_PATIENCE_S: Final = 3.0


@dataclass(frozen=True, eq=False)
class Opened:
    """What a connection has led to.

    :param pool: Where requests run.
    """

    config: InstanceConfig
    table_api: TableApi
    pool: ThreadPoolExecutor

    def close(self) -> None:
        """Send nothing more; what is under way ends in its own time."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.table_api.transport.close()


class Line:
    """The way to the instance of one connection. Of one event loop, and used nowhere else.

    :param conn_id: The Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        self.users = 0
        self._conn_id = conn_id
        self._opening = asyncio.Lock()
        self._opened: Opened | None = None

    async def opened(self) -> Opened:
        """Return what the connection leads to; it is read the first time.

        :raises ServiceNowConfigError: If it cannot work as written.
        :raises AirflowNotFoundException: If there is none of this name.
        """
        async with self._opening:
            if self._opened is None:
                self._opened = await _open(self._conn_id)
            return self._opened

    async def ask(self, question: Callable[[TableApi], T]) -> T:
        """Return what a function reads from the instance; it runs in a thread of the line."""
        while True:
            opened = await self.opened()
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    opened.pool, question, opened.table_api
                )
            except asyncio.CancelledError:
                if opened is self._opened or _is_being_cancelled():
                    raise
                # It waited for a thread while another question found the login refused: it was never sent.

    async def renew(self, refused: Opened) -> bool:
        """Read the connection again, whose login was refused; return whether it says something else now."""
        async with self._opening:
            if self._opened is not refused:
                return self._opened is not None
            try:
                renewed = await _open(self._conn_id)
            except (ServiceNowConfigError, AirflowException) as error:
                log.warning("The connection %s cannot be read again: %s", self._conn_id, error)
                return False
            if renewed.config == refused.config:
                renewed.close()
                return False
            self._opened = renewed
            refused.close()
            return True

    def close(self) -> None:
        """Send nothing more."""
        if self._opened is not None:
            self._opened.close()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


#: Lines that are in use, by loop and connection. A process may have several loops, one after the other.
_LINES: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Line]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def line_to(conn_id: str) -> Iterator[Line]:
    """Use the line of a connection; whoever leaves it last closes it."""
    lines = _LINES.setdefault(asyncio.get_running_loop(), {})
    line = lines.setdefault(conn_id, Line(conn_id))
    line.users += 1
    try:
        yield line
    finally:
        line.users -= 1
        if not line.users:
            del lines[conn_id]
            line.close()


async def _open(conn_id: str) -> Opened:
    connection = await _connection(conn_id)
    # Reading the extra masks what is in it, which talks to the supervisor; and requests is slow to import.
    return await asyncio.to_thread(_opened_by, connection, conn_id)


async def _connection(conn_id: str) -> Connection:
    try:
        return await ServiceNowHook.aget_connection(conn_id)
    except AirflowNotFoundException:
        if _supervisor_can_be_awaited():
            raise
    return await asyncio.to_thread(ServiceNowHook.get_connection, conn_id)


def _supervisor_can_be_awaited() -> bool:
    """Whether whoever keeps the connections answers a loop.

    ``dag.test`` runs a trigger in its own process, where connections of the database can only be had by a
    plain call (Airflow 3.3.2).
    """
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 (only a running trigger needs it)

    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return comms is None or hasattr(comms, "asend")


def _opened_by(connection: Connection, conn_id: str) -> Opened:
    from airflow_provider_servicenow_dq.client.table import TableApi  # noqa: PLC0415 (off the loop)
    from airflow_provider_servicenow_dq.client.transport import Transport  # noqa: PLC0415 (loads requests)
    from airflow_provider_servicenow_dq.hooks.instance import config_of  # noqa: PLC0415 (off the loop)

    config = config_of(connection, conn_id)
    transport = Transport(config, on_secret=mask, patience_s=_PATIENCE_S)
    return Opened(config, TableApi(transport), ThreadPoolExecutor(config.max_concurrency, "servicenow-look"))
