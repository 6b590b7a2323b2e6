"""What a thousand deferred sensors on one connection cost the instance and the triggerer.

Run it by hand: ``python tests/benchmarks/bench_sensors.py [count]``. A thousand triggers, made of what
Airflow keeps of them, run in one event loop as in a triggerer; the instance runs in a process of its own,
with 50 ms of service time and 4 semaphores. People then resolve all tickets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_servicenow_dq.client.batch import BatchRequest, send_batch
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl

INTERVAL_S = 5.0
INTERVALS = 3
MOST_REQUESTS = 10
SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}
LOGIN = {"login": "svc_airflow", "password": "airflow-secret"}


def in_batches(transport: Transport, requests: list[BatchRequest]) -> list[Any]:
    """Send requests a hundred at a time; return their bodies."""
    bodies = []
    for start in range(0, len(requests), 100):
        answers = send_batch(transport, requests[start : start + 100])
        if failed := [answer for answer in answers if answer.error]:
            raise SystemExit(f"refused: {failed[0]}")
        bodies += [answer.body for answer in answers]
    return bodies


def raise_tickets(transport: Transport, count: int) -> list[dict[str, str]]:
    """Let the instance have so many open incidents; return what triggers know of them."""
    url = "/api/now/table/incident?sysparm_fields=sys_id,number"
    bodies = in_batches(
        transport, [BatchRequest("POST", url, {"short_description": f"no. {n}"}) for n in range(count)]
    )
    return [{"table": "incident", **body["result"]} for body in bodies]


def solve_all(control: SandboxControl, tickets: list[dict[str, str]]) -> None:
    """Let people resolve all of them."""
    for ticket in tickets:
        control.act_as("beth.anglin", "incident", ticket["sys_id"], SOLVED)


async def lag(worst: list[float]) -> None:
    """Note by how much the loop is ever late, as a triggerer's own watchdog does."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.05)
        worst[0] = max(worst[0], time.monotonic() - began - 0.05)


async def fired(kwargs: str) -> Any:
    """Run a trigger as a triggerer does, from what Airflow keeps of it to its event."""
    from airflow_provider_servicenow_dq.triggers.servicenow import ServiceNowIncidentStateTrigger

    trigger = ServiceNowIncidentStateTrigger(**json.loads(kwargs))
    async for event in trigger.run():
        return event.payload
    raise SystemExit("a trigger ended without an event")


async def measure(control: SandboxControl, tickets: list[dict[str, str]]) -> None:
    """Let all triggers wait for some intervals, then for the people; print what it cost."""
    waiting = {"servicenow_conn_id": "servicenow_default", "poll_interval": INTERVAL_S}
    worst = [0.0]
    watchdog = asyncio.create_task(lag(worst))
    tasks = [asyncio.create_task(fired(json.dumps({**waiting, "tickets": [ticket]}))) for ticket in tickets]
    await until_all_have_looked(control)
    first = len(await asyncio.to_thread(lambda: control.requests))
    cpu = time.process_time()
    await asyncio.sleep(INTERVALS * INTERVAL_S)
    cpu_ms = (time.process_time() - cpu) / INTERVALS * 1000
    each = (len(await asyncio.to_thread(lambda: control.requests)) - first) / INTERVALS
    late = worst[0]
    await asyncio.to_thread(solve_all, control, tickets)
    solved = time.monotonic()
    events = await asyncio.gather(*tasks)
    took = time.monotonic() - solved
    watchdog.cancel()
    reached = sum(event["outcome"] == "reached" for event in events)
    print(f"first look of {len(tickets)} triggers: {first} requests")
    print(f"each interval: {each:.1f} requests (budget: {MOST_REQUESTS}), {cpu_ms:.0f} ms of CPU")
    print(f"all {reached} fired {took:.1f} s after the last was resolved")
    print(f"the loop was late by {late * 1000:.0f} ms at most, the first imports included")
    if each > MOST_REQUESTS:
        raise SystemExit("over the budget")


async def until_all_have_looked(control: SandboxControl) -> None:
    """Wait until the first look is over, and half of the first interval."""
    while not await asyncio.to_thread(lambda: control.requests):  # noqa: ASYNC110 (another process has it)
        await asyncio.sleep(0.1)
    await asyncio.sleep(INTERVAL_S / 2)


def main(count: int) -> None:
    # What a triggerer has loaded before it runs any trigger.
    import airflow.jobs.triggerer_job_runner  # noqa: F401

    command = [Path(sys.executable).with_name("servicenow-dq"), "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        connection = {"conn_type": "servicenow", "host": url, **LOGIN}
        os.environ["AIRFLOW_CONN_SERVICENOW_DEFAULT"] = json.dumps(connection)
        control = SandboxControl(url)
        try:
            with Transport(InstanceConfig(url, **LOGIN)) as transport:
                tickets = raise_tickets(transport, count)
            control.configure(service_ms=50)
            control.clear_requests()
            asyncio.run(measure(control, tickets))
        finally:
            process.send_signal(signal.SIGINT)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
