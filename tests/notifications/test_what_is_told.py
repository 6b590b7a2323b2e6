"""What the notifier makes of a callback's context."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.log import mask_secret
from notifying import (
    COLUMN_CHECKS,
    dag_of,
    failed,
    from_payload,
    incidents,
    of_dag,
    text_of_the_ticket,
    titles,
    well,
)

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.notifications.servicenow import (
    ServiceNowNotifier,
    send_servicenow_notification,
)
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

PAYLOADS = Path(__file__).parents[1] / "payloads"
CALLBACKS = ("sql_column_check", "sql_table_check", "sql_check", "sql_check_broken")


def test_a_secret_in_what_a_task_failed_with_does_not_get_to_the_ticket(told, sandbox):
    mask_secret("of-a-connection")

    told(failed(ValueError("no login with of-a-connection at the warehouse")))

    assert "no login with *** at the warehouse" in text_of_the_ticket(sandbox)


def test_the_alias_is_the_notifier():
    assert send_servicenow_notification is ServiceNowNotifier


def test_each_failed_check_of_a_task_is_an_anomaly_with_the_way_to_its_log(told, sandbox):
    assert told(from_payload("sql_column_check")) == COLUMN_CHECKS
    assert all("tasks/sql_column_check" in each["description"] for each in incidents(sandbox))


@pytest.mark.parametrize("name", CALLBACKS)
def test_every_real_callback_of_a_sql_check_becomes_its_failed_checks_else_one_failed_task(told, name):
    seen = json.loads((PAYLOADS / f"airflow-callback-{name}.json").read_text(encoding="utf-8"))
    bad = [result for result in seen["check_results"] or [] if not result["success"]]

    found = told(from_payload(name))

    assert len(found) == max(len(bad), 1)
    assert all(title.startswith("Task failed: ") for title in found) == (not bad)


def test_before_there_were_check_results_the_mappings_of_the_operator_are_read(told):
    context = from_payload("sql_column_check")
    context["task"].check_results = []
    context["task"].table = "flights"

    assert told(context) == COLUMN_CHECKS


def test_the_checks_are_the_same_problems_as_for_the_operator_that_opens_tickets(told, sandbox):
    told(from_payload("sql_column_check"))
    seen = json.loads((PAYLOADS / "airflow-callback-sql_column_check.json").read_text(encoding="utf-8"))

    results = ServiceNowCreateIncidentOperator(
        task_id="open", anomalies={"check_results": seen["check_results"]}, source="airflow_sql"
    ).execute({})

    assert titles(sandbox) == COLUMN_CHECKS
    assert {result["ticket"]["ticket_id"] for result in results} == {r["sys_id"] for r in incidents(sandbox)}


def test_a_task_without_check_results_is_one_anomaly_that_says_what_happened_where_and_when(told, sandbox):
    context = failed("out of memory", map_index=3, end_date=datetime(2026, 1, 5, 6, tzinfo=UTC))

    assert told(context) == ["Task failed: load on etl"]
    text = text_of_the_ticket(sandbox)
    for words in (
        "ValueError: out of memory",
        "Run manual__1, map index 3, try 2 of 3",
        "**Type:** task_failed",
    ):
        assert words in text
    assert "**View in Airflow:** http://airflow.example/dags/etl/runs/manual__1/tasks/load" in text
    assert "**Detected:** 2026-01-05 06:00:00+00:00" in text


@pytest.mark.parametrize(
    ("task", "params", "parameters", "dataset"),
    [
        ({}, {}, {}, "etl"),
        ({"table": "orders"}, {}, {}, "orders"),
        ({"inlets": [Asset("raw.orders")], "table": "t"}, {}, {}, "raw.orders"),
        ({"outlets": [Asset(name="orders", uri="s3://b/o")], "inlets": [Asset("raw")]}, {}, {}, "orders"),
        ({"outlets": [Asset("orders")]}, {"dataset": "sales.orders"}, {}, "sales.orders"),
        ({"outlets": [Asset("orders")]}, {"dataset": "x"}, {"dataset": "{{ 'shop' }}.orders"}, "shop.orders"),
    ],
)
def test_the_dataset_is_what_the_dag_says_the_task_is_about(told, task, params, parameters, dataset):
    context = failed(task=SimpleNamespace(**task)) | {"params": params}

    assert told(context, **parameters) == [f"Task failed: load on {dataset}"]


def test_the_same_failure_is_one_ticket_in_every_run_try_and_mapped_instance(told, sandbox):
    for ti in ({}, {"try_number": 1}, {"map_index": 7}, {"run_id": "scheduled__2"}):
        told(failed("another text", **ti))

    assert titles(sandbox) == ["Task failed: load on etl"]
    assert told(failed(task_id="other")) == ["Task failed: load on etl", "Task failed: other on etl"]


def test_results_that_the_task_returned_before_it_failed_are_read(told):
    returned = json.loads((PAYLOADS / "airflow-xcom-gx_validate_dataframe.json").read_text(encoding="utf-8"))

    found = told(failed(returned=returned, task=SimpleNamespace(outlets=[Asset("penguins")])))

    assert len(found) == 3
    assert not any(title.startswith("Task failed") for title in found)


@pytest.mark.parametrize("returned", [None, "text", 7, {"rows": 3}, [{"a": 1}], {"dataset": "x", "odd": 1}])
def test_what_else_a_task_returned_is_no_check(told, returned):
    assert told(failed(returned=returned)) == ["Task failed: load on etl"]


def test_an_exception_that_carries_results_is_read(told):
    """Pandera's, as it is after it was pickled."""
    error = ValueError("schema errors")
    error.message = json.loads((PAYLOADS / "pandera-cars.json").read_text(encoding="utf-8"))["message"]
    error.failure_cases = ""

    found = told(failed(error))

    assert len(found) > 1
    assert all("cars" in title and not title.startswith("Task failed") for title in found)


def test_checks_that_all_passed_do_not_hide_that_the_task_failed(told):
    passed = SimpleNamespace(name="a", check_type="x", success=True, severity="error", table="t")

    assert told(failed(task=SimpleNamespace(check_results=[passed]))) == ["Task failed: load on etl"]


def test_texts_columns_and_severity_are_the_authors_to_say(told, sandbox):
    told(
        failed(),
        short_description="{{ ti.task_id }} of {{ ti.dag_id }}: {check_name} on {dataset}",
        description="Call somebody.",
        severity="{{ 'CRITICAL' }}",
        additional_fields={"category": "software", "cause": "{{ exception }}"},
    )

    (incident,) = incidents(sandbox)
    assert incident["short_description"] == "load of etl: load on etl"
    assert incident["description"].startswith("Call somebody.\n\n## Airflow Anomaly Linked")
    assert (incident["impact"], incident["urgency"]) == ("1", "1")
    assert (incident["category"], incident["cause"]) == ("software", "out of memory")


@pytest.mark.parametrize("text", ['{"error": {"code": 7}}', "{", "}{", "{0}", "{missing}", "{dataset!r}"])
def test_braces_in_what_a_template_puts_in_cost_no_ticket(told, sandbox, text):
    assert told(failed(text), short_description="{{ exception }} in {dataset}") == [f"{text} in etl"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"severity": "urgent"}, "severity must be critical, high, medium, low, info, not 'urgent'"),
        ({"description": "a", "additional_fields": {"description": "b"}}, "description given twice"),
        ({"project": "none"}, "none"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_in_words(told, parameters, words):
    with pytest.raises(ServiceNowConfigError, match=words):
        told(failed(), **parameters)


def test_a_context_without_a_task_and_a_run_is_refused_in_words(told):
    with pytest.raises(ServiceNowConfigError, match="neither a task instance nor a DAG run"):
        told({})


@pytest.mark.parametrize("state", ["skipped", "running", "deferred"])
def test_what_neither_failed_nor_succeeded_is_not_told(told, sandbox, state):
    assert told(failed(state=state) | {"exception": None}, resolve_on_success=True) == []
    assert sandbox.requests == []


def test_a_task_whose_worker_was_lost_has_no_state_and_no_exception_and_has_failed(told):
    """The DAG processor calls for it."""
    assert told(failed(state=None) | {"exception": None}) == ["Task failed: load on etl"]


def test_one_notifier_serves_many_tasks_of_a_process(sandbox):
    notifier = ServiceNowNotifier(short_description="{{ ti.task_id }} failed")

    for name in ("one", "two"):
        notifier(failed(task_id=name))

    assert titles(sandbox) == ["one failed", "two failed"]


def test_owner_and_tags_of_the_dag_route_the_ticket(told, sandbox, connect):
    rules = {
        "assignees": {"Beth": "beth.anglin"},
        "routes": [{"match": {"tags": ["finance"]}, "fields": {"category": "software"}}],
    }
    connect(sandbox.url, projects={"default": rules})
    context = failed(task=SimpleNamespace(owner="Beth")) | {"dag": dag_of(tags=("finance",))}

    told(context)

    (incident,) = incidents(sandbox)
    (beth,) = [row["sys_id"] for row in sandbox.records("sys_user") if row["user_name"] == "beth.anglin"]
    assert (incident["assigned_to"], incident["category"]) == (beth, "software")


def test_whoever_triggered_the_run_is_the_caller_where_the_project_says_so(told, sandbox, connect):
    connect(sandbox.url, projects={"default": {"caller_from_user": True}})

    told(failed() | {"dag_run": SimpleNamespace(triggering_user_name="beth.anglin")})

    (incident,) = incidents(sandbox)
    (beth,) = [row["sys_id"] for row in sandbox.records("sys_user") if row["user_name"] == "beth.anglin"]
    assert incident["caller_id"] == beth


def test_a_success_is_told_to_nobody_unless_asked(told, sandbox):
    told(failed())
    sandbox.clear_requests()

    told(well())
    told(of_dag("success"))

    assert sandbox.requests == []
