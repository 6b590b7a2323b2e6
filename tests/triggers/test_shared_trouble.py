"""What goes wrong for one of many triggers that look together, and for all of them."""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from triggering import CONN, fired, looks, run, solve, waiting_for

from airflow_provider_servicenow_dq.triggers import polls
from airflow_provider_servicenow_dq.triggers.servicenow import ServiceNowIncidentStateTrigger

pytestmark = pytest.mark.usefixtures("all_come_together")


def test_a_refused_login_reaches_each_and_is_tried_once(sandbox, raised, connect, monkeypatch):
    monkeypatch.setattr(polls, "_GATHER_S", 1.0)  # whoever comes after the refusal tries it once more
    connect(sandbox.url, password="wrong")
    records = raised(250)

    async def all_of_them():
        return await asyncio.gather(*(fired(waiting_for(record)) for record in records))

    events = run(all_of_them())
    assert {event["outcome"] for event in events} == {"refused"}
    assert len(events) == 250
    assert looks(sandbox) == 1


def test_a_table_that_cannot_be_read_is_the_matter_of_those_who_wait_for_it(sandbox, raised):
    (record,) = raised()
    solve(sandbox, record)
    elsewhere = ServiceNowIncidentStateTrigger(
        CONN, [{"table": "u_nothing", "sys_id": "a" * 32}], target_states=["3"], poll_interval=0.2
    )

    async def both():
        return await asyncio.gather(fired(waiting_for(record)), fired(elsewhere))

    assert [event["outcome"] for event in run(both())] == ["reached", "refused"]


def test_what_breaks_the_shared_look_reaches_each(sandbox, raised, monkeypatch):
    def broken(table_api, part):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(polls, "read_part", broken)

    async def all_of_them():
        records = raised(20)
        return await asyncio.gather(
            *(fired(waiting_for(record)) for record in records), return_exceptions=True
        )

    failures = run(all_of_them())
    assert [type(failure) for failure in failures] == [ZeroDivisionError] * 20
    assert len({id(failure) for failure in failures}) == 20


def test_after_a_look_that_broke_there_is_a_new_one(sandbox, raised, monkeypatch):
    (record,) = raised()
    solve(sandbox, record)

    async def again():
        with monkeypatch.context() as patch:
            patch.setattr(polls, "read_part", None)
            with pytest.raises(TypeError):
                await fired(waiting_for(record))
        return await fired(waiting_for(record))

    assert run(again())["outcome"] == "reached"


def test_a_connection_that_is_not_there_is_no_others_matter(sandbox, raised):
    (record,) = raised()
    solve(sandbox, record)
    nowhere = ServiceNowIncidentStateTrigger("nowhere", ["INC0010001"])

    async def both():
        return await asyncio.gather(fired(waiting_for(record)), fired(nowhere), return_exceptions=True)

    event, failure = run(both())
    assert event["outcome"] == "reached"
    assert isinstance(failure, AirflowNotFoundException)
