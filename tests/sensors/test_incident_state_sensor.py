"""Waiting for tickets in a worker, poking and rescheduled."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.sdk import timezone
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from sensing import Memory, Waiting, reads, sensor, solve

from airflow_provider_servicenow_dq.links.servicenow import URL_KEY
from airflow_provider_servicenow_dq.tickets.ticket import record_url


def test_it_pokes_until_a_person_resolves_the_ticket_and_returns_it(sandbox, raised, between_looks):
    (record,) = raised(description="x" * 3000)
    between_looks(lambda: None)
    between_looks(lambda: solve(sandbox, record["sys_id"]))
    ti = Waiting()

    returned = sensor(incident=record["number"]).execute({"ti": ti})

    (ticket,) = json.loads(json.dumps(returned))
    assert (ticket["ticket_number"], ticket["status"], ticket["state"]) == (record["number"], "Resolved", "6")
    assert ticket["schema_version"] == 1
    assert ticket["description"] is None
    assert len(json.dumps(ticket)) < 1500
    assert reads(sandbox) == 3
    assert ti.xcom == {URL_KEY: record_url(sandbox.url, "incident", record["sys_id"])}


def test_all_of_several_are_waited_for_or_any(sandbox, raised, between_looks):
    one, two = raised(2)
    both = [one["sys_id"], record_url(sandbox.url, "incident", two["sys_id"])]
    solve(sandbox, one["sys_id"])

    assert len(sensor(incident=both, wait_for="any").execute({})) == 2
    between_looks(lambda: solve(sandbox, two["sys_id"]))
    assert [ticket["state"] for ticket in sensor(incident=both).execute({})] == ["6", "6"]


def test_a_failure_state_fails_the_task_for_good_and_names_the_ticket(sandbox, raised):
    (record,) = raised()
    solve(sandbox, record["sys_id"], state="8")

    with pytest.raises(AirflowFailException, match=f"{record['number']} is Canceled"):
        sensor(incident=record["number"]).execute({})
    with pytest.raises(AirflowSkipException):
        sensor(incident=record["number"], soft_fail=True).execute({})


def test_other_states_can_be_waited_for(sandbox, raised):
    (record,) = raised()
    waiting = sensor(incident=record["number"], target_states=["in progress", "3"], failure_states=["new"])
    with pytest.raises(AirflowFailException, match="is New"):
        waiting.execute({})

    solve(sandbox, record["sys_id"], state="2")
    assert waiting.execute({})[0]["status"] == "In Progress"


def test_the_timeout_is_airflows(sandbox, raised, between_looks):
    (record,) = raised()

    with pytest.raises(AirflowSensorTimeout):
        sensor(incident=record["number"], timeout=0).execute({})
    with pytest.raises(AirflowSkipException):
        sensor(incident=record["number"], timeout=0, soft_fail=True).execute({})


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_waits_that_grow_are_airflows_too_but_five_seconds_at_least(sandbox, raised, mode, monkeypatch):
    (record,) = raised()
    monkeypatch.setattr("airflow_provider_servicenow_dq.sensors.servicenow.SHORTEST_POLL_S", 5.0)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 5:
            solve(sandbox, record["sys_id"])

    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", sleep)
    growing = sensor(
        incident=record["number"],
        poke_interval=4,
        exponential_backoff=True,
        max_wait=30,
        timeout=1000,
        mode=mode,
    )
    if mode == "reschedule":
        with pytest.raises(AirflowRescheduleException) as later:
            growing.execute({"ti": Waiting()})
        assert later.value.reschedule_date > timezone.utcnow() + timedelta(seconds=4)
        return
    growing.execute({})
    assert len(slept) == 5
    assert slept[0] == 5.0
    assert slept[-1] == 30
    assert slept == sorted(slept)


def test_rescheduled_it_looks_once_each_time(sandbox, raised):
    (record,) = raised()
    with pytest.raises(AirflowRescheduleException):
        sensor(incident=record["number"], mode="reschedule").execute({"ti": Waiting()})
    assert reads(sandbox) == 1

    solve(sandbox, record["sys_id"])
    assert sensor(incident=record["number"], mode="reschedule").execute({"ti": Waiting()})


def test_a_ticket_that_is_gone_fails_the_task_after_three_looks(sandbox, between_looks):
    with pytest.raises(AirflowFailException, match="INC9999999 is not shown in incident, 3 looks in a row"):
        sensor(incident="INC9999999").execute({})

    # The first look has looked among all tasks as well.
    assert [logged.path for logged in sandbox.requests if "task" in logged.path] == ["/api/now/table/task"]
    assert reads(sandbox) == 4


def test_another_try_in_the_same_process_starts_anew(sandbox):
    waiting = sensor(incident="INC9999999", timeout=0)

    for _ in range(4):
        with pytest.raises(AirflowSensorTimeout):
            waiting.execute({})


def test_looks_that_missed_a_ticket_are_counted_over_reschedules(sandbox):
    memory, ti = Memory(), Waiting()

    def look():
        sensor(incident="INC9999999", mode="reschedule").execute({"ti": ti, "task_state_store": memory})

    for _ in range(2):
        with pytest.raises(AirflowRescheduleException):
            look()
    with pytest.raises(AirflowFailException, match="3 looks in a row"):
        look()

    # Another try of the task starts anew.
    ti.try_number = 2
    with pytest.raises(AirflowRescheduleException):
        look()


def test_a_ticket_that_is_shown_again_is_counted_anew_over_reschedules(sandbox, raised):
    (record,) = raised()
    memory, ti = Memory(), Waiting()
    context = {"ti": ti, "task_state_store": memory}
    memory.set("servicenow_missed", {"try": 1, "missed": {record["number"]: 2}})

    with pytest.raises(AirflowRescheduleException):
        sensor(incident=record["number"], mode="reschedule").execute(context)
    assert memory.get("servicenow_missed") == {"try": 1, "missed": {}}


def test_where_nothing_survives_a_reschedule_the_three_looks_are_made_at_once(sandbox):
    with pytest.raises(AirflowFailException, match="3 looks in a row"):
        sensor(incident="INC9999999", mode="reschedule").execute({"ti": Waiting()})


def test_an_instance_that_is_away_fails_no_task_before_its_timeout(sandbox, raised, between_looks, impatient):
    (record,) = raised()
    solve(sandbox, record["sys_id"])
    sandbox.fail_next("offline", count=1)
    sandbox.fail_next("error_before", count=1, skip=1)

    assert sensor(incident=record["number"]).execute({})
    sandbox.fail_next("error_before", count=100)
    with pytest.raises(AirflowSensorTimeout):
        sensor(incident=record["number"], timeout=0).execute({})
    with pytest.raises(AirflowRescheduleException):
        sensor(incident=record["number"], mode="reschedule").execute({"ti": Waiting()})


def test_a_429_is_waited_out_as_told(sandbox, raised):
    (record,) = raised()
    sandbox.fail_next("rate_limited", count=1, retry_after=600)
    with pytest.raises(AirflowRescheduleException) as later:
        sensor(incident=record["number"], mode="reschedule").execute({"ti": Waiting()})

    assert timedelta(seconds=590) < later.value.reschedule_date - timezone.utcnow() <= timedelta(seconds=600)
    # And in this process nothing is sent until then.
    with pytest.raises(AirflowSensorTimeout):
        sensor(incident=record["number"], timeout=0).execute({})
    assert reads(sandbox) == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_a_refused_login_fails_the_task_at_once_in_words(sandbox, raised, connect, mode):
    (record,) = raised()
    connect(sandbox.url, password="wrong-Wort-4711")
    how = {"deferrable": True} if mode == "deferrable" else {"mode": mode}

    with pytest.raises(AirflowFailException, match="401") as failure:
        sensor(incident=record["number"], **how).execute({"ti": Waiting()})
    assert "4711" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert reads(sandbox) == 1
