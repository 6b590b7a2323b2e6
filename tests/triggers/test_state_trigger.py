"""Waiting for tickets in a triggerer."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from triggering import CONN, fired, looks, run, solve, stored, until

from airflow_provider_servicenow_dq.tickets.ticket import record_url
from airflow_provider_servicenow_dq.triggers import lines
from airflow_provider_servicenow_dq.triggers.servicenow import ServiceNowIncidentStateTrigger


def waiting_for(*tickets, **parameters):
    return ServiceNowIncidentStateTrigger(CONN, list(tickets), **{"poll_interval": 0.05, **parameters})


def by_id(record, table="incident"):
    return {"table": table, "sys_id": record["sys_id"], "number": record["number"]}


async def fired_after(trigger, act, *, sandbox, look=2):
    """Let something happen once the trigger has looked some times, and return its event."""
    task = asyncio.create_task(fired(trigger))
    await until(lambda: looks(sandbox) >= look or task.done())
    act()
    return await task


def test_it_fires_when_a_person_resolves_the_ticket(sandbox, raised):
    (record,) = raised(description="x" * 3000)

    event = run(fired_after(waiting_for(by_id(record)), lambda: solve(sandbox, record), sandbox=sandbox))

    assert (event["outcome"], event["message"]) == ("reached", f"{record['number']} is Resolved")
    (ticket,) = event["tickets"]
    assert ticket["ticket_number"] == record["number"]
    assert (ticket["status"], ticket["state"], ticket["table"]) == ("Resolved", "6", "incident")
    assert ticket["url"] == record_url(sandbox.url, "incident", record["sys_id"])
    assert ticket["schema_version"] == 1
    assert len(json.dumps(ticket)) < 1500


@pytest.mark.parametrize("form", ["number", "sys_id", "address"])
def test_a_ticket_may_be_named_as_people_name_it(sandbox, raised, form):
    (record,) = raised()
    address = record_url(sandbox.url, "incident", record["sys_id"])
    solve(sandbox, record)

    event = run(fired(waiting_for({"address": address, **record}[form])))

    assert event["outcome"] == "reached"


def test_a_failure_state_ends_the_wait_and_names_the_ticket(sandbox, raised):
    one, two = raised(2)

    event = run(
        fired_after(
            waiting_for(by_id(one), by_id(two)), lambda: solve(sandbox, two, state="8"), sandbox=sandbox
        )
    )

    assert (event["outcome"], event["message"]) == ("failed", f"{two['number']} is Canceled")


def test_any_waits_for_the_first(sandbox, raised):
    one, two = raised(2)
    trigger = waiting_for(by_id(one), by_id(two), wait_for="any")

    event = run(fired_after(trigger, lambda: solve(sandbox, two), sandbox=sandbox))

    assert event["outcome"] == "reached"
    assert {ticket["state"] for ticket in event["tickets"]} == {"1", "6"}


def test_a_ticket_that_is_gone_ends_the_wait_after_three_looks(sandbox, raised):
    (record,) = raised()

    def delete():
        sandbox.instance.delete(sandbox.instance.account("admin"), "incident", record["sys_id"])
        sandbox.clear_requests()

    event = run(fired_after(waiting_for(by_id(record)), delete, sandbox=sandbox))

    assert event["outcome"] == "failed"
    assert f"{record['number']} is not shown in incident, 3 looks in a row" in event["message"]
    assert looks(sandbox) == 3


def test_looks_that_missed_it_before_it_was_deferred_count(sandbox):
    event = run(fired(waiting_for("INC9999999", missed={"INC9999999": 1})))

    assert event["outcome"] == "failed"
    assert looks(sandbox) == 2


def test_a_ticket_that_is_shown_again_starts_anew(sandbox, raised):
    (record,) = raised()
    trigger = waiting_for(by_id(record), missed={record["number"]: 2})

    event = run(fired_after(trigger, lambda: solve(sandbox, record), sandbox=sandbox, look=3))

    assert event["outcome"] == "reached"


def test_an_instance_that_is_away_ends_no_wait(sandbox, raised, logged):
    (record,) = raised()
    trigger = waiting_for(by_id(record))

    async def outage():
        task = asyncio.create_task(fired(trigger))
        await until(lambda: looks(sandbox) >= 1)
        await asyncio.to_thread(sandbox.stop)
        await asyncio.sleep(0.3)
        assert not task.done()
        sandbox.start()
        solve(sandbox, record)
        return await task

    assert run(outage(), within_s=30)["outcome"] == "reached"
    said = logged()
    assert said.count("cannot be looked at now") == 1
    assert said.count("can be looked at again") == 1


@pytest.mark.parametrize(
    "page", ["hibernating", "offline", "error_before", "cancelled", "accepted", "api_acl"]
)
def test_what_passes_is_waited_out(sandbox, raised, page):
    (record,) = raised()
    solve(sandbox, record)
    sandbox.fail_next(page, count=1)

    assert run(fired(waiting_for(by_id(record))), within_s=30)["outcome"] == "reached"


@pytest.mark.parametrize("kind", ["rate_limited", "error_before"])
def test_a_wait_that_the_instance_asks_for_is_waited(sandbox, raised, kind):
    (record,) = raised()
    solve(sandbox, record)
    sandbox.fail_next(kind, count=1, retry_after=2)

    async def told_to_wait():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(fired(waiting_for(by_id(record))))
        await until(lambda: looks(sandbox))
        began = loop.time()
        await until(lambda: looks(sandbox) == 2)
        return await task, loop.time() - began

    event, waited = run(told_to_wait(), within_s=20)
    assert event["outcome"] == "reached"
    assert waited > 0.9  # one second may have been used up when the answer came


def test_a_refused_login_ends_the_wait_at_once_in_words(sandbox, raised, connect):
    (record,) = raised()
    connect(sandbox.url, password="wrong-Wort-4711")

    event = run(fired(waiting_for(by_id(record))))

    assert event["outcome"] == "refused"
    assert "401" in event["message"]
    assert "4711" not in json.dumps(event)
    assert looks(sandbox) == 1


def test_a_password_that_was_changed_meanwhile_is_taken(sandbox, raised, connect, monkeypatch):
    (record,) = raised()
    connect(sandbox.url, password="of-yesterday")
    solve(sandbox, record)
    open_by = lines._opened_by

    def opened_and_changed(connection, conn_id):
        opened = open_by(connection, conn_id)
        connect(sandbox.url)  # the connection is read, and nobody has looked yet
        return opened

    monkeypatch.setattr(lines, "_opened_by", opened_and_changed)

    assert run(fired(waiting_for(by_id(record))))["outcome"] == "reached"
    assert [logged.status for logged in sandbox.requests] == [401, 200]


def test_no_rights_on_the_table_end_the_wait_in_the_words_of_the_instance(sandbox):
    event = run(fired(waiting_for({"table": "no_such_table", "sys_id": "a" * 32}, target_states=["3"])))

    assert event["outcome"] == "refused"
    assert "no_such_table" in event["message"]


def test_what_will_not_go_better_is_told_before_what_may(sandbox, raised):
    (record,) = raised()
    sandbox.fail_next("error_before", path="/incident", count=1000)
    both = [by_id(record), {"table": "no_such_table", "sys_id": "a" * 32}]

    event = run(fired(waiting_for(*both, target_states={"incident": ["6"], "no_such_table": ["3"]})))

    assert event["outcome"] == "refused"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"target_states": ["fixed"]}, "'fixed' is no state"),
        ({"tickets": ["https://other.service-now.com/incident.do?sys_id=" + "a" * 32]}, "another instance"),
        ({"tickets": ["yesterday's"]}, "names no ticket"),
        ({"tickets": [{"table": "problem", "sys_id": "a" * 32}]}, "No state of problem is known"),
    ],
)
def test_what_cannot_be_waited_for_is_refused_and_breaks_no_triggerer(sandbox, parameters, words):
    # A triggerer dies of most errors in a trigger's __init__.
    trigger = ServiceNowIncidentStateTrigger(CONN, **{"tickets": ["INC0010001"], **parameters})

    event = run(fired(trigger))

    assert event["outcome"] == "refused"
    assert words in event["message"]
    assert looks(sandbox) == 0


def test_nothing_to_wait_for_is_reached(sandbox):
    assert run(fired(waiting_for()))["outcome"] == "reached"


def test_a_connection_that_is_not_there_fails_the_trigger(sandbox):
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        run(fired(ServiceNowIncidentStateTrigger("nowhere", ["INC0010001"])))


def test_the_connection_is_never_fetched_by_a_call_that_blocks(sandbox, raised, monkeypatch):
    (record,) = raised()
    solve(sandbox, record)

    def refuse(conn_id):
        raise AssertionError("that would block the loop")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    assert run(fired(waiting_for(by_id(record))))["outcome"] == "reached"


def test_what_airflow_keeps_of_it_is_plain_json_without_a_secret(sandbox, raised):
    (record,) = raised()
    trigger = ServiceNowIncidentStateTrigger(
        CONN,
        ({"table": "incident", "sys_id": record["sys_id"]},),
        target_states={"incident": ("6",)},
        failure_states=("8",),
        wait_for="any",
        poll_interval=30,
        longest_interval=600,
        first_look_at=1_800_000_000.5,
        missed={record["sys_id"]: 2},
    )
    path, kwargs = trigger.serialize()

    assert path == "airflow_provider_servicenow_dq.triggers.servicenow.ServiceNowIncidentStateTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert stored(trigger).serialize() == (path, kwargs)
    assert "airflow-secret" not in json.dumps(kwargs)


def test_no_line_shows_a_secret(sandbox, raised, caplog):
    (record,) = raised()
    solve(sandbox, record)

    with caplog.at_level(logging.DEBUG):
        run(fired(waiting_for(by_id(record))))
    ours = [line.getMessage() for line in caplog.records if "servicenow" in line.name]
    assert any("Looking at 1 tickets" in line for line in ours)
    assert not any("airflow-secret" in line or "Basic " in line for line in ours)
