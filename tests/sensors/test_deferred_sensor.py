"""Waiting for tickets in a trigger: what the sensor hands over, and how it goes on."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from sensing import Waiting, deferred, event_of, reads, sensor, solve

from airflow_provider_servicenow_dq.links.servicenow import URL_KEY
from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor
from airflow_provider_servicenow_dq.tickets.ticket import record_url


def test_it_looks_once_before_it_defers(sandbox, raised):
    (record,) = raised()
    solve(sandbox, record["sys_id"])

    assert sensor(incident=record["number"], deferrable=True).execute({})[0]["state"] == "6"
    assert reads(sandbox) == 1


def test_deferred_it_goes_on_in_a_trigger_and_returns_what_that_has_seen(sandbox, raised):
    (record,) = raised()
    waiting = sensor(incident=record["number"], deferrable=True, timeout=3600)
    ti = Waiting()

    deferral = deferred(waiting, {"ti": ti})
    path, kwargs = deferral.trigger.serialize()
    solve(sandbox, record["sys_id"])
    event = event_of(deferral)

    assert path == "airflow_provider_servicenow_dq.triggers.servicenow.ServiceNowIncidentStateTrigger"
    ticket = {"table": "incident", "sys_id": record["sys_id"], "number": record["number"]}
    assert kwargs["tickets"] == [ticket]
    assert kwargs["target_states"] == {"incident": ["6", "7"]}
    assert "airflow-secret" not in json.dumps(kwargs)
    assert timedelta(seconds=3590) < deferral.timeout <= timedelta(seconds=3600)
    assert ti.xcom[URL_KEY] == record_url(sandbox.url, "incident", record["sys_id"])
    (returned,) = waiting.resume_execution(deferral.method_name, {"event": event}, {"ti": ti})
    assert (returned["ticket_number"], returned["state"]) == (record["number"], "6")


@pytest.mark.parametrize(("interval", "polled"), [(1, 5.0), (timedelta(seconds=90), 90.0)])
def test_a_trigger_polls_every_five_seconds_at_most(sandbox, raised, monkeypatch, interval, polled):
    monkeypatch.setattr("airflow_provider_servicenow_dq.sensors.servicenow.SHORTEST_POLL_S", 5.0)
    (record,) = raised()

    trigger = deferred(sensor(incident=record["number"], deferrable=True, poke_interval=interval)).trigger

    assert trigger.poll_interval == polled
    assert trigger.longest_interval is None


def test_waits_that_grow_go_on_growing_in_the_trigger(sandbox, raised):
    (record,) = raised()
    growing = {"incident": record["number"], "deferrable": True, "exponential_backoff": True, "timeout": 3600}

    assert deferred(sensor(**growing, max_wait=300)).trigger.longest_interval == 300
    assert deferred(sensor(**growing)).trigger.longest_interval == 3600


def test_deferred_a_failure_state_fails_the_task_for_good(sandbox, raised):
    (record,) = raised()
    waiting = sensor(incident=record["number"], deferrable=True)
    deferral = deferred(waiting)
    solve(sandbox, record["sys_id"], state="8")
    event = event_of(deferral)

    with pytest.raises(AirflowFailException, match=f"{record['number']} is Canceled"):
        waiting.resume_execution(deferral.method_name, {"event": event}, {})
    waiting.soft_fail = True
    with pytest.raises(AirflowSkipException):
        waiting.resume_execution(deferral.method_name, {"event": event}, {})


def test_looks_that_missed_a_ticket_are_counted_over_the_deferral(sandbox):
    waiting = sensor(incident="INC9999999", deferrable=True)
    deferral = deferred(waiting)
    sandbox.clear_requests()

    event = event_of(deferral)

    assert deferral.trigger.missed == {"INC9999999": 1}
    assert (event["outcome"], reads(sandbox)) == ("failed", 2)


def test_an_instance_that_is_away_when_it_defers_is_asked_by_the_trigger(sandbox, raised, impatient):
    (record,) = raised()
    solve(sandbox, record["sys_id"])
    sandbox.fail_next("rate_limited", count=1, retry_after=1)

    deferral = deferred(sensor(incident=record["number"], deferrable=True))

    assert event_of(deferral)["outcome"] == "reached"
    answers = [logged for logged in sandbox.requests if logged.method == "GET"]
    assert [logged.status for logged in answers] == [429, 200]
    assert answers[1].started - answers[0].finished > 0.5


def test_the_trigger_that_timed_out_is_a_sensor_that_timed_out(sandbox):
    waiting = sensor(incident="INC0010001", deferrable=True)
    with pytest.raises(AirflowSensorTimeout):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    with pytest.raises(TaskDeferralError):
        waiting.resume_execution("__fail__", {"error": "Trigger failure"}, {})


@pytest.mark.parametrize("event", [None, {}, {"outcome": "perhaps"}])
def test_an_event_that_says_nothing_is_no_success(sandbox, event):
    with pytest.raises(AirflowFailException, match="without saying how the tickets are"):
        sensor(incident="INC0010001").execute_complete({}, event)


def test_airflows_setting_decides_whether_it_defers(sandbox, raised):
    (record,) = raised()
    assert not ServiceNowIncidentStateSensor(task_id="wait", incident=record["number"]).deferrable
    with pytest.raises(TaskDeferred):
        sensor(incident=record["number"], deferrable=True).execute({})
