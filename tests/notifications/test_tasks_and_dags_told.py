"""What a DAG tells, and what its tasks have told already."""

from __future__ import annotations

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from notifying import (
    COLUMN_CHECKS,
    EndedTaskInstance,
    dag_of,
    failed,
    from_payload,
    of_dag,
    text_of_the_ticket,
    titles,
    writes,
)


@pytest.fixture
def states(monkeypatch):
    """Let Airflow tell the states of a run's tasks."""

    def tell(**of_tasks):
        answer = lambda *, dag_id, run_ids: {run_ids[0]: of_tasks}  # noqa: E731
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(answer))

    return tell


def test_fired_for_the_task_for_the_dag_and_again_it_makes_one_ticket_and_says_it_once(told, sandbox, states):
    states(load="failed", publish="upstream_failed")
    context = failed()
    told(context)
    sandbox.clear_requests()

    told(of_dag(ti=EndedTaskInstance(end_date=None)))
    told(context)

    assert titles(sandbox) == ["Task failed: load on etl"]
    assert writes(sandbox) == []


def test_a_dag_does_not_tell_again_what_its_task_has_told_check_by_check(told, states):
    states(sql_column_check="failed")
    context = from_payload("sql_column_check")
    run_id, dag = context["ti"].run_id, dag_of("dq_capture", ("sql_column_check",))
    told(context)

    assert told(of_dag(run_id=run_id, dag=dag)) == COLUMN_CHECKS


def test_a_dag_alone_tells_of_each_task_that_failed_and_of_no_other(told, states):
    states(load="failed", each_0="failed", each_12="failed", skipped="skipped", publish="upstream_failed")

    assert told(of_dag(dag=dag_of(tasks=("load", "each", "skipped", "publish", "each_9")))) == [
        "Task failed: each on etl",
        "Task failed: load on etl",
    ]


def test_where_airflow_tells_no_states_the_task_that_decided_the_run_is_told(told, sandbox):
    assert told(of_dag(ti=EndedTaskInstance(state=None))) == ["Task failed: load on etl"]
    assert "http://airflow.example" in text_of_the_ticket(sandbox)


@pytest.mark.parametrize("reason", ["timed_out", "all_tasks_deadlocked"])
def test_a_run_that_failed_without_a_failed_task_is_told_as_such(told, sandbox, states, reason):
    states(load="skipped")

    assert told(of_dag(reason)) == ["DAG failed: etl"]
    assert f"Run manual__1 ended: {reason}" in text_of_the_ticket(sandbox)
