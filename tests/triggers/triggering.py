"""Running triggers, and looking at what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from beside_an_instance import SOLVED

from airflow_provider_servicenow_dq.triggers import lines, polls
from airflow_provider_servicenow_dq.triggers.servicenow import (
    ServiceNowIncidentStateTrigger,
    ServiceNowTicketChangeTrigger,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

CONN = "servicenow_default"


def stored(trigger: BaseTrigger) -> BaseTrigger:
    """Return a trigger as a triggerer gets it: made anew of what Airflow has kept of it."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))


async def fired(trigger: BaseTrigger) -> Any:
    """Run a trigger to its first event as a triggerer does, and return the payload."""
    trigger = stored(trigger)
    try:
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))
    finally:
        await trigger.cleanup()
    raise AssertionError("it ended without an event")


def run(work: Coroutine[Any, Any, Any], *, within_s: float = 10) -> Any:
    """Run work in a loop of its own, and check that nothing of it is left in use."""

    async def bounded() -> Any:
        try:
            return await asyncio.wait_for(work, within_s)
        finally:
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            assert not lines._LINES.get(loop)
            assert not polls._POLLS.get(loop)

    return asyncio.run(bounded())


def solve(sandbox: Sandbox, record: dict[str, str], **values: str) -> None:
    """Let a person resolve a ticket, or change it otherwise."""
    sandbox.act_as("beth.anglin", "incident", record["sys_id"], values or SOLVED)


def looks(sandbox: Sandbox) -> int:
    """Return how many queries came so far."""
    return len(sandbox.requests)


async def until(condition: Any) -> None:
    """Wait until something is the case."""
    while not condition():  # noqa: ASYNC110 (what a sandbox in other threads has seen, sets no event)
        await asyncio.sleep(0.005)


class Memory:
    """Stands for what Airflow 3.3 keeps for the asset of a watcher."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)


def waiting_for(*records: dict[str, str], **parameters: Any) -> ServiceNowIncidentStateTrigger:
    """Return a trigger that waits for tickets to be resolved, and looks often."""
    tickets = [{"table": "incident", "sys_id": each["sys_id"], "number": each["number"]} for each in records]
    return ServiceNowIncidentStateTrigger(CONN, tickets, **{"poll_interval": 0.2, **parameters})


def watching(query: Any = None, **parameters: Any) -> ServiceNowTicketChangeTrigger:
    """Return a trigger that looks often."""
    return ServiceNowTicketChangeTrigger(CONN, query or {}, **{"poll_interval": 0.05, **parameters})


class Heard:
    """A trigger that runs as a triggerer runs it, and the changes that it has told."""

    def __init__(self, trigger: BaseTrigger, memory: Memory | None = None) -> None:
        self.trigger: Any = stored(trigger)
        self.trigger.asset_state_store = memory
        self.payloads: list[dict[str, Any]] = []
        self.reads = 0

    async def listen(self) -> None:
        try:
            async for event in self.trigger.run():
                self.payloads.append(json.loads(json.dumps(event.payload)))
        finally:
            await self.trigger.cleanup()

    def told(self) -> list[tuple[str, str]]:
        return [(payload["number"], payload["state"]) for payload in self.payloads]


@contextlib.asynccontextmanager
async def heard(
    sandbox: Sandbox, query: Any = None, memory: Memory | None = None, **parameters: Any
) -> AsyncIterator[Heard]:
    """Listen while the block runs; begin when the trigger has found out where it is."""
    listener = Heard(watching(query, **parameters), memory)
    task = asyncio.create_task(listener.listen())
    await looked(sandbox, 3 if memory is None or not memory.kept else 1)
    try:
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def looked(sandbox: Sandbox, more: int = 1) -> None:
    """Wait until changes were read so often."""
    before = reads(sandbox)
    await until(lambda: reads(sandbox) >= before + more)


def reads(sandbox: Sandbox) -> int:
    """Return how often changes were read."""
    return sum(
        logged.status == 200 and "sys_updated_on" in str(logged.query.get("sysparm_query", ""))
        for logged in sandbox.requests
    )
