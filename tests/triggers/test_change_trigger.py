"""Changes of tickets for asset watchers: each once, and none left out."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.triggers.base import BaseEventTrigger
from triggering import Heard, heard, looked, reads, run, solve, stored, until, watching

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.tickets.ticket import record_url
from airflow_provider_servicenow_dq.triggers import changes
from airflow_provider_servicenow_dq.triggers.servicenow import ServiceNowTicketChangeTrigger


def test_every_change_of_a_ticket_is_one_event(sandbox, raised):
    (record,) = raised()

    async def work():
        async with heard(sandbox) as listener:
            solve(sandbox, record, state="2")
            await until(lambda: listener.payloads)
            solve(sandbox, record)
            await until(lambda: len(listener.payloads) > 1)
            await looked(sandbox, 3)
            return listener

    listener = run(work())
    assert listener.told() == [(record["number"], "2"), (record["number"], "6")]
    assert listener.payloads[1] == {
        "schema_version": 1,
        "table": "incident",
        "sys_id": record["sys_id"],
        "number": record["number"],
        "state": "6",
        "status": "Resolved",
        "priority": listener.payloads[1]["priority"],
        "short_description": "no. 0",
        "updated_at": listener.payloads[1]["updated_at"],
        "updated_by": "beth.anglin",
        "changes": "2",
        "url": record_url(sandbox.url, "incident", record["sys_id"]),
    }


def test_what_was_there_before_is_no_change_and_a_new_ticket_is_one(sandbox, raised):
    raised(20)

    async def work():
        async with heard(sandbox) as listener:
            (new,) = raised()
            await until(lambda: listener.payloads)
            await looked(sandbox, 2)
            return listener.told(), new

    told, new = run(work())
    assert told == [(new["number"], "1")]


def test_only_tickets_of_the_query_are_told(sandbox, raised):
    (grave,) = raised(impact="1", urgency="1")
    (slight,) = raised(impact="3", urgency="3")

    async def work(query):
        async with heard(sandbox, query) as listener:
            solve(sandbox, slight, work_notes="looking")
            solve(sandbox, grave, work_notes="looking")
            await until(lambda: listener.payloads)
            await looked(sandbox, 2)
            return listener.told()

    assert run(work({"priority": "1"})) == [(grave["number"], "1")]
    # A text is an encoded query, given on purpose.
    assert run(work("priority=1^ORDERBYDESCnumber")) == [(grave["number"], "1")]


def test_changes_of_one_second_are_told_each(sandbox, raised):
    records = raised(300)

    async def work():
        async with heard(sandbox) as listener:
            for record in records:
                solve(sandbox, record, state="2")
            await until(lambda: len(listener.payloads) >= 300)
            await looked(sandbox, 3)
            return listener.told()

    told = run(work(), within_s=30)
    assert sorted(told) == [(record["number"], "2") for record in records]


def test_a_transaction_that_shows_late_is_not_missed(sandbox, raised, table_api):
    """An instance stamps a change when it begins, and shows it when it is done."""
    early, late = raised(2)
    position = changes.begin(table_api, "incident", Query())
    solve(sandbox, early, state="2")
    _, position = changes.read(table_api, "incident", Query(), position)

    sandbox.configure(clock_offset_s=-100)
    solve(sandbox, late, state="2")
    sandbox.configure(clock_offset_s=0)

    changed, position = changes.read(table_api, "incident", Query(), position)
    assert [record["number"] for record in changed] == [late["number"]]
    assert changes.read(table_api, "incident", Query(), position)[0] == []


@pytest.mark.parametrize("ahead_s", [-7200, 7200])
def test_an_instance_whose_clock_is_another_is_read_by_its_own(sandbox, raised, table_api, ahead_s):
    sandbox.configure(clock_offset_s=ahead_s)
    try:
        (record,) = raised()
        position = changes.begin(table_api, "incident", Query())
        solve(sandbox, record, state="2")
        changed, position = changes.read(table_api, "incident", Query(), position)
        again, _ = changes.read(table_api, "incident", Query(), position)
    finally:
        sandbox.configure(clock_offset_s=0)

    assert [each["number"] for each in changed] == [record["number"]]
    assert again == []


def test_an_instance_that_is_away_ends_nothing_and_loses_nothing(sandbox, raised, logged):
    (record,) = raised()

    async def work():
        async with heard(sandbox) as listener:
            sandbox.fail_next("hibernating", count=3)
            solve(sandbox, record, state="2")
            await until(lambda: listener.payloads)
            return listener.told()

    assert run(work()) == [(record["number"], "2")]
    assert logged().count("cannot be read now") == 1


def test_a_refused_login_is_tried_again_ever_more_slowly(sandbox, raised, connect):
    connect(sandbox.url, password="wrong")

    async def work():
        listener = Heard(watching())
        task = asyncio.create_task(listener.listen())
        await asyncio.sleep(1)
        refused = len(sandbox.requests)
        connect(sandbox.url)
        await until(lambda: reads(sandbox))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return refused

    # Of twenty times that it would have been asked otherwise.
    assert 2 <= run(work()) <= 6
    assert {logged.status for logged in sandbox.requests} == {401, 200}


def test_a_condition_that_the_instance_ignores_makes_not_every_change_an_event(sandbox, raised, logged):
    (record,) = raised()

    async def work():
        listener = Heard(watching({"u_no_such_column": "x"}))
        task = asyncio.create_task(listener.listen())
        await until(lambda: sandbox.requests)
        solve(sandbox, record, state="2")
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return listener.told()

    assert run(work()) == []
    assert "u_no_such_column" in logged()


def test_a_connection_that_is_not_there_is_no_end(sandbox, monkeypatch, raised, logged):
    environment = sandbox.environment("late_connection")["AIRFLOW_CONN_LATE_CONNECTION"]

    async def work():
        listener = Heard(ServiceNowTicketChangeTrigger("late_connection", {}, 0.05))
        task = asyncio.create_task(listener.listen())
        await asyncio.sleep(0.1)
        assert not task.done()
        monkeypatch.setenv("AIRFLOW_CONN_LATE_CONNECTION", environment)
        await until(lambda: reads(sandbox))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(work())
    assert "late_connection" in logged()


def test_what_airflow_keeps_of_it_is_plain_json_and_always_the_same(sandbox):
    trigger = watching({"priority": "1", "active": True}, poll_interval=30, table="sn_si_incident")
    path, kwargs = trigger.serialize()

    assert path == "airflow_provider_servicenow_dq.triggers.servicenow.ServiceNowTicketChangeTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert stored(trigger).serialize() == (path, kwargs)
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(*stored(trigger).serialize())


def test_an_asset_can_be_watched_by_it(sandbox):
    from airflow.sdk import Asset, AssetWatcher

    asset = Asset(
        "grave tickets", watchers=[AssetWatcher(name="servicenow", trigger=watching({"priority": "1"}))]
    )
    assert asset.watchers[0].trigger.serialize()[1]["query"] == {"priority": "1"}
