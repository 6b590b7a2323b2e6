"""The hook's form and its gate, with connections, projects and stores as Airflow has them."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.hooks.form import remembered_form
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

PROJECTS = [
    {"id": "sales", "key": "SALES", "fields": {"category": "database", "assignment_group": "Service Desk"}},
    {"id": "problems", "table": "problem"},
    {"id": "lenient", "status": {"inbound": {"3": "discarded"}}},
]


@pytest.fixture(scope="module")
def server():
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def sandbox(server, monkeypatch, tmp_path):
    server.reset()
    for name, value in server.environment(timeout_s=5, projects=PROJECTS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
    return server


def field(form, name):
    return next(each for each in form["fields"] if each["name"] == name)


def report(**fields):
    found = {"source": "custom", "dataset": "sales.orders", "check_name": "one", "severity": "critical"}
    return ServiceNowCreateIncidentOperator(task_id="open", anomalies=found | fields).execute({})[0]


def test_a_form_has_the_defaults_of_the_project_that_is_named(sandbox):
    form = ServiceNowHook().get_form_specification(project="SALES")
    assert (form["project"], form["table"], form["is_live"]) == ("sales", "incident", True)
    assert field(form, "category")["default"] == "database"
    group = field(form, "assignment_group")
    labels = {choice["value"]: choice["label"] for choice in group["choices"]}
    assert labels[group["default"]] == "Service Desk"
    assert field(ServiceNowHook().get_form_specification(), "category")["default"] is None


def test_a_forms_table_is_the_projects_unless_one_is_named(sandbox):
    hook = ServiceNowHook()
    assert hook.get_form_specification(project="problems")["table"] == "problem"
    assert hook.get_form_specification("change_request", "problems")["table"] == "change_request"


def test_what_makes_no_sense_is_an_error_and_no_form(sandbox):
    with pytest.raises(exceptions.ServiceNowConfigError):
        ServiceNowHook().get_form_specification(project="nobody's")
    with pytest.raises(exceptions.ServiceNowConfigError):
        ServiceNowHook().get_form_specification("no table")
    with pytest.raises(AirflowNotFoundException):
        ServiceNowHook("no_such_connection").get_form_specification()


def test_an_instance_that_is_down_gives_a_form_all_the_same(sandbox):
    sandbox.stop()
    try:
        form = ServiceNowHook().get_form_specification()
    finally:
        sandbox.start()
    assert (form["is_live"], field(form, "impact")["source"]) == (False, "built-in")
    assert any("could not be asked" in note for note in form["notes"])


def test_a_store_that_is_broken_gives_a_live_form_all_the_same(sandbox, monkeypatch, tmp_path):
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'broken.db'}")
    form = ServiceNowHook().get_form_specification()
    assert form["is_live"]
    assert any("store" in note for note in form["notes"])


def test_a_dag_file_finds_the_form_that_a_task_has_asked_for_and_asks_nothing(sandbox):
    assert remembered_form()["read_at"] is None
    asked = ServiceNowHook().get_form_specification()
    requests = len(sandbox.requests)
    found = remembered_form()
    assert len(sandbox.requests) == requests
    assert found["fields"] == asked["fields"]
    assert found["read_at"] == asked["read_at"]
    assert remembered_form("another_connection")["read_at"] is None


def test_a_dag_file_finds_it_also_where_a_connection_names_the_store(sandbox, monkeypatch, tmp_path):
    asked = ServiceNowHook().get_form_specification()
    store = {"conn_type": "sqlite", "host": str(tmp_path / "store.db")}
    monkeypatch.setenv("AIRFLOW_CONN_DQ_STORE", json.dumps(store))
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "dq_store")
    assert remembered_form()["fields"] == asked["fields"]


def test_the_gate_tells_of_one_dataset_or_several(sandbox):
    report()
    report(dataset="sales.prices")
    hook = ServiceNowHook()
    assert [item["dataset"] for item in hook.find_open_tickets("sales.orders")] == ["sales.orders"]
    both = hook.find_open_tickets(["sales.prices", "sales.orders"], "P3")
    assert {item["dataset"] for item in both} == {"sales.prices", "sales.orders"}
    assert hook.find_open_tickets("sales") == []


def test_the_gate_reads_states_as_the_project_does_and_looks_at_the_table_that_is_named(sandbox):
    ticket = report()["ticket"]
    sandbox.act_as("beth.anglin", "incident", ticket["ticket_id"], {"state": "3", "hold_reason": "1"})
    hook = ServiceNowHook()
    assert len(hook.find_open_tickets("sales.orders")) == 1
    assert hook.find_open_tickets("sales.orders", project="lenient") == []
    assert hook.find_open_tickets("sales.orders", table="problem") == []


def test_the_gate_wants_a_store_that_all_workers_share(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    with pytest.raises(exceptions.ServiceNowConfigError, match=r"\[servicenow_dq\] store"):
        ServiceNowHook().find_open_tickets("sales.orders")
