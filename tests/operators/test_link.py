"""The operators that link and unlink, as a worker runs them."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException
from beside_an_instance import PASSWORD
from operating import ListeningTaskInstance, incidents

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, ServiceNowConfigError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowLinkIncidentOperator,
    ServiceNowUnlinkIncidentOperator,
)

ANOMALY = {
    "source": "custom",
    "dataset": "nyc.flights",
    "check_name": "dep_time not null",
    "severity": "high",
    "detected_at": "2026-01-05T00:00:00+00:00",
}
OTHER = {**ANOMALY, "check_name": "arr_time not null"}


@pytest.fixture
def ticket(sandbox):
    """A ticket that a person has opened."""
    with_hook = ServiceNowHook()
    record = with_hook.create_record("incident", {"short_description": "Flights look wrong"})
    with_hook.close()
    sandbox.clear_requests()
    return record


def link(incident, *anomalies, ti=None, **parameters):
    operator = ServiceNowLinkIncidentOperator(
        task_id="link", anomalies=list(anomalies) or ANOMALY, incident=incident, **parameters
    )
    return operator.execute({} if ti is None else {"ti": ti})


def unlink(*anomalies, ti=None, **parameters):
    operator = ServiceNowUnlinkIncidentOperator(
        task_id="unlink", anomalies=list(anomalies) or ANOMALY, **parameters
    )
    return operator.execute({} if ti is None else {"ti": ti})


def test_results_come_in_the_order_of_the_anomalies_and_fit_an_xcom(ticket, sandbox):
    ti = ListeningTaskInstance()
    results = link(ticket["number"], OTHER, ANOMALY, ti=ti)

    assert [result["action"] for result in results] == ["linked", "linked"]
    assert results[0]["anomaly_id"] != results[1]["anomaly_id"]
    assert all(result["ticket"]["ticket_number"] == ticket["number"] for result in results)
    assert all(result["ticket"]["description"] is None for result in results)
    assert all(len(json.dumps(result).encode()) < 1500 for result in results)
    assert {result["schema_version"] for result in results} == {1}
    assert any(ticket["sys_id"] in str(value) for value in ti.xcom.values())


def test_unlinking_returns_a_result_for_each_link(ticket, sandbox):
    link(ticket["number"])

    (result,) = unlink(incident=ticket["sys_id"])

    assert (result["action"], result["delivered"]) == ("unlinked", True)
    assert result["ticket"]["ticket_number"] == ticket["number"]


def test_a_dry_run_links_nothing_and_says_what_it_would_send(ticket, sandbox):
    (result,) = link(ticket["number"], dry_run=True)

    assert [logged.method for logged in sandbox.requests if logged.method != "GET"] == []
    (write,) = result["would_send"]
    assert (write["method"], write["number"]) == ("PATCH", ticket["number"])
    assert {"description", "work_notes"} == set(write["values"])
    assert link(ticket["number"])[0]["action"] == "linked"
    (rehearsed,) = unlink(dry_run=True)
    assert rehearsed["would_send"] == []
    assert link(ticket["number"])[0]["action"] == "unchanged"


def test_a_task_fails_for_good_when_the_ticket_is_not_there_or_locked(ticket, sandbox):
    with pytest.raises(AirflowFailException, match="no ticket INC9999999"):
        link("INC9999999")
    done = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", ticket["sys_id"], done)
    with pytest.raises(AirflowFailException, match="is Closed, and locked"):
        link(ticket["number"])
    with pytest.raises(ServiceNowConfigError, match="another instance"):
        link("https://other.service-now.com/incident.do?sys_id=" + ticket["sys_id"])


def test_an_instance_that_is_busy_makes_the_task_fail_for_a_retry_and_leaves_its_results(ticket, sandbox):
    ti = ListeningTaskInstance()
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=300)

    with pytest.raises(DeliveryPendingError):
        link(ticket["number"], ti=ti)

    (pushed,) = ti.xcom["return_value"]
    assert (pushed["action"], pushed["delivered"]) == ("unchanged", False)
    forget_limits()
    assert link(ticket["number"], ti=ti)[0]["action"] == "linked"


def test_the_incident_may_be_a_template():
    for operator in (ServiceNowLinkIncidentOperator, ServiceNowUnlinkIncidentOperator):
        assert {"anomalies", "incident", "project", "servicenow_conn_id"} <= set(operator.template_fields)


def test_a_report_in_the_same_run_goes_to_the_linked_ticket(ticket, sandbox, open_tickets):
    ti = ListeningTaskInstance()
    link(ticket["number"], ti=ti)

    (result,) = open_tickets(ANOMALY, ti=ti)

    assert incidents(sandbox) == []
    assert (result["action"], result["ticket"]["ticket_number"]) == ("unchanged", ticket["number"])


def test_a_store_of_one_machine_is_refused_where_tasks_run_on_many(ticket, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")

    for work in (lambda: link(ticket["number"]), unlink):
        with pytest.raises(ServiceNowConfigError, match="needs a store that all workers share"):
            work()


def test_no_password_stands_in_what_a_task_says(ticket, caplog):
    with caplog.at_level("DEBUG"):
        results = link(ticket["number"])

    assert PASSWORD not in caplog.text + json.dumps(results)


def test_the_hook_searches_tickets_and_gets_one(ticket, sandbox):
    hook = ServiceNowHook()

    found = hook.search_tickets("flights wrong")
    (one,) = found["items"]

    assert (found["total"], found["page"], found["size"], found["pages"]) == (1, 1, 50, 1)
    assert hook.get_ticket(one["ticket_number"])["ticket_id"] == ticket["sys_id"]
    hook.close()
