"""The line to an instance while its login is renewed."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from triggering import CONN, run

from airflow_provider_servicenow_dq.triggers.lines import line_to


@contextlib.asynccontextmanager
async def renewed_while_one_waits(sandbox, connect):
    """A question waits for the only thread of a line that is renewed; after the block the thread is free."""
    may_end = threading.Event()
    connect(sandbox.url, password="of-yesterday", max_concurrency=1)
    with line_to(CONN) as line:
        refused = await line.opened()
        busy = asyncio.create_task(line.ask(lambda _: may_end.wait(5)))
        waiting = asyncio.create_task(line.ask(lambda table_api: table_api))
        await asyncio.sleep(0.01)
        connect(sandbox.url, max_concurrency=1)
        assert await line.renew(refused)
        yield line, waiting
        may_end.set()
        assert await busy
        await asyncio.gather(waiting, return_exceptions=True)


def test_a_login_that_is_renewed_meanwhile_loses_no_question_that_waits_for_a_thread(sandbox, connect):
    async def renew():
        async with renewed_while_one_waits(sandbox, connect) as (line, waiting):
            pass
        return waiting.result() is (await line.opened()).table_api

    assert run(renew())


def test_who_stops_waiting_for_a_thread_has_stopped(sandbox, connect):
    async def stop():
        async with renewed_while_one_waits(sandbox, connect) as (_, waiting):
            waiting.cancel()
        return waiting.cancelled()

    assert run(stop())
