"""Running triggers, and looking at what came of them."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.triggers import lines, polls

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}
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
