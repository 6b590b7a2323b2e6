"""Missed deadlines, of which the notifier is told in a loop that others share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import pytest
from airflow.sdk import BaseHook
from notifying import deliver, failed, incidents, notes, titles

from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier

ONE = ["Task failed: load on etl"]


async def on_a_loop(notifier, ticks):
    """Await a notifier beside something that ticks."""

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    try:
        await notifier
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


DEADLINE = {
    "dag_run": {"dag_id": "etl", "dag_run_id": "scheduled__1"},
    "deadline": {"id": "1", "deadline_time": "2026-01-05T06:00:00Z"},
}


def test_a_missed_deadline_is_told_beside_the_loop_with_connections_awaited_on_it(
    sandbox, monkeypatch, tmp_path
):
    """As the triggerer does it: the class, its parameters and a context of plain JSON."""
    store = f'{{"conn_type": "sqlite", "host": "{tmp_path / "store.db"}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_THE_STORE", store)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "the_store")
    awaited = []
    look_up = BaseHook.aget_connection

    async def remember(conn_id):
        awaited.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(BaseHook, "aget_connection", remember)
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: pytest.fail("it would block the loop"))
    sandbox.fail_next("delay", seconds=0.5, count=1)
    ticks = []

    asyncio.run(on_a_loop(ServiceNowNotifier(context=dict(DEADLINE)), ticks))

    assert titles(sandbox) == ["Deadline missed: etl"]
    (incident,) = incidents(sandbox)
    assert "Run scheduled__1 was not done by 2026-01-05T06:00:00Z" in incident["description"]
    assert set(awaited) == {"servicenow_default", "the_store"}
    assert max(b - a for a, b in itertools.pairwise(ticks)) < 0.4


def test_deadlines_of_later_runs_are_the_same_problem_and_the_same_run_is_told_once(sandbox):
    later = {"dag_run": {"dag_id": "etl", "dag_run_id": "scheduled__2"}, "deadline": {"deadline_time": None}}
    for context in (DEADLINE, DEADLINE, later):
        asyncio.run(on_a_loop(ServiceNowNotifier(context=dict(context)), []))

    assert titles(sandbox) == ["Deadline missed: etl"]
    assert len(notes(sandbox)) == 1


def test_a_loop_is_held_up_no_longer_than_a_task(sandbox, short, caplog):
    sandbox.fail_next("delay", method="POST", seconds=2)
    began = time.monotonic()

    asyncio.run(on_a_loop(ServiceNowNotifier(context=failed()), []))

    assert time.monotonic() - began < 2
    assert "has not taken everything within 1 s" in caplog.text
    deliver()
    assert titles(sandbox) == ONE
