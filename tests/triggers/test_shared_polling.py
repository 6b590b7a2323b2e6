"""Many triggers of one connection look together, and none of them is in another's way."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest
from triggering import fired, looks, run, solve, until, waiting_for

from airflow_provider_servicenow_dq.triggers import polls, servicenow
from airflow_provider_servicenow_dq.triggers.polls import Subscriber

pytestmark = pytest.mark.usefixtures("all_come_together")

SYS_ID = re.compile(r"[0-9a-f]{32}")


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("servicenow-look")]


def test_250_triggers_are_three_requests_for_each_look(sandbox, raised, monkeypatch):
    monkeypatch.setattr(polls, "_GATHER_S", 1.0)  # on a slow machine so many take their time
    records = raised(250)

    async def many():
        tasks = [asyncio.create_task(fired(waiting_for(record, poll_interval=0.5))) for record in records]
        await until(lambda: looks(sandbox) >= 6)
        asked = sandbox.requests
        for record in records:
            solve(sandbox, record)
        return asked, await asyncio.gather(*tasks)

    asked, events = run(many())
    meant = {record["sys_id"] for record in records}
    for look in (asked[:3], asked[3:6]):
        ids = [found for each in look for found in SYS_ID.findall(each.query["sysparm_query"])]
        assert (set(ids), len(ids)) == (meant, len(meant))
    assert asked[3].started - asked[0].started > 0.4
    assert {event["outcome"] for event in events} == {"reached"}
    assert [event["tickets"][0]["ticket_number"] for event in events] == [each["number"] for each in records]


def test_triggers_that_wait_for_the_same_ticket_ask_for_it_once(sandbox, raised, monkeypatch):
    monkeypatch.setattr(polls, "_GATHER_S", 1.0)
    (record,) = raised()
    solve(sandbox, record)

    async def same():
        return await asyncio.gather(*(fired(waiting_for(record)) for _ in range(150)))

    assert len(run(same())) == 150
    assert looks(sandbox) == 1


def test_a_newcomer_looks_with_the_others_at_the_next_look(sandbox, raised, monkeypatch):
    monkeypatch.setattr(polls, "_GATHER_S", 0.02)
    early, late = raised(2)
    solve(sandbox, late)

    async def join():
        first = asyncio.create_task(fired(waiting_for(early, poll_interval=0.5)))
        await until(lambda: looks(sandbox) == 1)
        await asyncio.sleep(0.35)
        # Its sensor has just looked.
        second = await fired(waiting_for(late, poll_interval=0.5, first_look_at=time.time() + 0.5))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return second

    assert run(join())["outcome"] == "reached"
    assert looks(sandbox) == 2


def test_a_newcomer_who_was_told_to_wait_longer_does(sandbox, raised):
    early, late = raised(2)
    solve(sandbox, late)

    async def join():
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(fired(waiting_for(early)))
        await until(lambda: looks(sandbox) == 1)
        began = loop.time()
        await fired(waiting_for(late, first_look_at=time.time() + 1))
        waited = loop.time() - began
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return waited

    assert run(join()) > 0.8


def test_a_newcomer_whose_look_is_overdue_waits_for_nobody(sandbox, raised):
    early, late = raised(2)
    solve(sandbox, late)

    async def join():
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(fired(waiting_for(early, poll_interval=60)))
        await until(lambda: looks(sandbox) == 1)
        began = loop.time()
        await fired(waiting_for(late, poll_interval=60, first_look_at=0.0))
        waited = loop.time() - began
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return waited

    assert run(join()) < 1


def test_one_that_is_cancelled_stops_no_other_and_the_last_gives_everything_back(sandbox, raised):
    records = raised(5)

    async def cancel():
        tasks = [asyncio.create_task(fired(waiting_for(record))) for record in records]
        await until(lambda: looks(sandbox) == 1)
        for task in tasks[:4]:
            task.cancel()
        await asyncio.gather(*tasks[:4], return_exceptions=True)
        solve(sandbox, records[4])
        event = await tasks[4]
        return event, [task.cancelled() for task in tasks[:4]]

    event, cancelled = run(cancel())
    assert event["outcome"] == "reached"
    assert cancelled == [True] * 4
    for thread in threads():
        thread.join(5)
    assert threads() == []


def test_one_that_is_cancelled_in_the_middle_of_a_look_stops_no_other(sandbox, raised):
    one, two = raised(2)
    sandbox.fail_next("delay", count=1, seconds=0.3)

    async def cancel():
        tasks = [asyncio.create_task(fired(waiting_for(record))) for record in (one, two)]
        await asyncio.sleep(0.15)
        tasks[0].cancel()
        solve(sandbox, two)
        return await tasks[1]

    assert run(cancel())["outcome"] == "reached"


def test_waits_grow_to_the_longest_where_that_is_asked_for():
    growing = Subscriber((), due=0.0, wait_s=5.0, longest_s=30.0)
    steady = Subscriber((), due=0.0, wait_s=5.0, longest_s=5.0)

    assert [growing.wait_s() for _ in range(5)] == [5, 10, 20, 30, 30]
    assert [steady.wait_s() for _ in range(3)] == [5, 5, 5]


def test_one_whose_waits_grow_looks_less_often_than_the_others(sandbox, raised):
    patient, other = raised(2)

    async def both():
        tasks = [
            asyncio.create_task(fired(waiting_for(patient, poll_interval=0.1, longest_interval=100))),
            asyncio.create_task(fired(waiting_for(other, poll_interval=0.1))),
        ]
        await until(lambda: looks(sandbox) >= 8)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(both())
    asked = [logged.query for logged in sandbox.requests]
    assert sum(patient["sys_id"] in str(each) for each in asked) <= 4
    assert all(other["sys_id"] in str(each) for each in asked)


def test_the_instance_is_asked_no_more_at_once_than_the_connection_allows(sandbox, raised, connect):
    connect(sandbox.url, max_concurrency=2)
    records = raised(450)
    for record in records:
        solve(sandbox, record)
    most = 0

    async def count():
        nonlocal most
        tasks = [asyncio.create_task(fired(waiting_for(record))) for record in records]
        while not all(task.done() for task in tasks):
            most = max(most, len(threads()))
            await asyncio.sleep(0.002)
        return await asyncio.gather(*tasks)

    assert len(run(count())) == 450
    assert most == 2


def test_nobody_looks_more_often_than_every_five_seconds(sandbox, raised, monkeypatch):
    monkeypatch.undo()
    (record,) = raised()
    assert servicenow.SHORTEST_POLL_S == 5.0

    async def look():
        loop = asyncio.get_running_loop()
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        task = asyncio.create_task(fired(waiting_for(record, poll_interval=0)))
        await until(lambda: polls._POLLS.get(loop))
        intervals = [interval for _, interval in polls._POLLS[loop]]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return intervals

    assert run(look()) == [5.0]
