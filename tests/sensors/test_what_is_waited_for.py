"""Which tickets a sensor waits for: named by people, opened by a task, or those of anomalies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException
from sensing import Waiting, deferred, sensor, solve

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowLinkIncidentOperator


def anomaly(check="dep_time not null", **fields):
    return {"dataset": "nyc.flights", "check_name": check, "severity": "high", **fields}


def awaited(**parameters):
    """Return the tickets that a sensor waits for, which all are open."""
    return [ticket["number"] for ticket in deferred(sensor(deferrable=True, **parameters)).trigger.tickets]


def numbers(results):
    return [result["ticket"]["ticket_number"] for result in results]


def test_the_results_of_the_task_that_opened_them(sandbox, open_tickets):
    results = open_tickets(
        anomaly("one"), anomaly("two"), anomaly("info", severity="info"), min_severity="low"
    )

    assert [result["action"] for result in results] == ["created", "created", "suppressed"]
    assert awaited(incident=results) == numbers(results[:2])
    # As a mapped task returns them, and as a template renders them.
    assert awaited(incident=[results[:1], results[1:]]) == numbers(results[:2])
    assert awaited(incident=json.dumps(results)) == numbers(results[:2])
    assert awaited(incident=results[0]["ticket"]) == numbers(results[:1])


def test_no_ticket_at_all_is_nothing_to_wait_for(sandbox, open_tickets):
    results = open_tickets(anomaly(severity="info"), min_severity="low")

    assert sensor(incident=results).execute({}) == []
    assert sensor(incident=[]).execute({}) == []
    assert sensor(anomalies=[]).execute({}) == []
    assert sandbox.requests == []


def test_the_tickets_of_anomalies_are_those_that_the_store_knows(sandbox, open_tickets):
    results = open_tickets(anomaly("one"), anomaly("two"))

    assert awaited(anomalies=[anomaly("two"), anomaly("one"), anomaly("two")]) == numbers(results[::-1])


def test_all_tickets_that_an_anomaly_is_linked_to(sandbox, open_tickets, raised):
    (own,) = numbers(open_tickets(anomaly()))
    (other,) = raised()
    ServiceNowLinkIncidentOperator(task_id="link", anomalies=anomaly(), incident=other["number"]).execute({})

    assert sorted(awaited(anomalies=anomaly())) == sorted([own, other["number"]])


def test_without_a_store_the_instance_tells(sandbox, open_tickets, monkeypatch, tmp_path):
    results = open_tickets(*(anomaly(f"check {number:03}") for number in range(30)))
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'empty.db'}")
    sandbox.clear_requests()

    found = awaited(anomalies=[anomaly(f"check {number:03}") for number in range(30)])

    assert found == numbers(results)
    assert len(sandbox.requests) <= 3


def test_of_several_tickets_of_an_anomaly_the_newest_counts(sandbox, open_tickets, monkeypatch, tmp_path):
    (first,) = open_tickets(anomaly())
    solve(sandbox, first["ticket"]["ticket_id"], state="8")
    later = datetime.now(UTC) + timedelta(minutes=1)
    (second,) = open_tickets(anomaly(detected_at=later.isoformat()))
    assert second["action"] == "created"

    assert awaited(anomalies=anomaly()) == numbers([second])
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'empty.db'}")
    assert awaited(anomalies=anomaly()) == numbers([second])


def test_one_ticket_for_many_anomalies_is_waited_for_once(sandbox, open_tickets, connect):
    connect(sandbox.url, projects=[{"id": "grouped", "group_by": "dataset"}])
    results = open_tickets(anomaly("one"), anomaly("two"), project="grouped")

    assert awaited(anomalies=[anomaly("one"), anomaly("two")], project="grouped") == numbers(results[:1])
    assert awaited(anomalies=[anomaly("three")], project="grouped") == numbers(results[:1])


def test_an_anomaly_without_a_ticket_fails_the_task_unless_it_is_told_otherwise(sandbox, open_tickets):
    results = open_tickets(anomaly("one"))
    both = [anomaly("one"), anomaly("unheard of")]

    with pytest.raises(
        AirflowFailException, match=r"1 of the anomalies have no ticket: unheard of on nyc\.flights"
    ):
        sensor(anomalies=both).execute({})
    assert awaited(anomalies=both, without_ticket="ignore") == numbers(results)
    with pytest.raises(AirflowFailException, match="without_ticket must be fail or ignore"):
        sensor(anomalies=both, without_ticket="maybe").execute({})


def test_named_tickets_and_those_of_anomalies_together(sandbox, open_tickets, raised):
    (record,) = raised()
    (opened,) = numbers(open_tickets(anomaly()))

    assert awaited(incident=record["number"], anomalies=anomaly()) == [record["number"], opened]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "give incident, or anomalies"),
        ({"incident": "https://other.service-now.com/incident.do?sys_id=" + "a" * 32}, "another instance"),
        ({"incident": "the ticket of yesterday"}, "names no ticket"),
        ({"incident": 7}, "named by a text"),
        ({"incident": "[{"}, "incident is a text that is not JSON"),
        ({"anomalies": {"what": "is this"}}, "custom|recognised|payload"),
        ({"incident": "INC0010001", "target_states": ["fixed"]}, "no state of an incident"),
        ({"incident": "INC0010001", "wait_for": "most"}, "wait_for must be"),
    ],
)
def test_what_cannot_be_waited_for_fails_the_task_for_good(sandbox, parameters, words):
    with pytest.raises(AirflowFailException, match=words):
        sensor(**parameters).execute({})
    assert sandbox.requests == []


def test_a_ticket_of_another_table_is_found_by_its_number(sandbox, raised):
    (problem,) = raised(table="problem")

    with pytest.raises(AirflowFailException, match="No state of problem is known to wait for"):
        sensor(incident=problem["number"]).execute({})
    (ticket,) = deferred(
        sensor(incident=problem["number"], target_states=["107"], deferrable=True)
    ).trigger.tickets
    assert ticket == {"table": "problem", "sys_id": problem["sys_id"], "number": problem["number"]}


def test_the_project_says_what_the_states_of_its_table_mean(sandbox, raised, connect):
    status = {"inbound": {"106": "resolved", "107": "resolved", "108": "discarded"}}
    connect(sandbox.url, projects=[{"id": "problems", "table": "problem", "status": status}])
    (problem,) = raised(table="problem")

    trigger = deferred(sensor(incident=problem["number"], project="problems", deferrable=True)).trigger

    assert trigger.target_states == {"problem": ["106", "107"]}
    assert trigger.failure_states == {"problem": ["108"]}
    assert trigger.tickets[0]["table"] == "problem"


def test_a_projects_connection_is_the_one_that_the_trigger_uses(sandbox, raised, monkeypatch, connect):
    (record,) = raised()
    connect(sandbox.url, projects=[{"id": "sales", "servicenow_conn_id": "servicenow_sales"}])
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_SALES", sandbox.environment("servicenow_sales").popitem()[1])

    trigger = deferred(sensor(incident=record["number"], project="sales", deferrable=True)).trigger

    assert trigger.servicenow_conn_id == "servicenow_sales"


def test_a_store_that_cannot_be_used_is_no_reason_to_give_up_for_good(sandbox, monkeypatch):
    from airflow_provider_servicenow_dq.exceptions import StoreError

    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "sqlite:////nowhere/at/all.db")
    with pytest.raises(StoreError):
        sensor(anomalies=anomaly()).execute({"ti": Waiting()})
