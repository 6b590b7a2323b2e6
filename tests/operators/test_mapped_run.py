"""A DAG in a real Airflow: mapped tasks, retries, XComs and the link."""

from __future__ import annotations

import json

import pytest
from operating import incidents

DAG_FILE = """
from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator


@dag(schedule=None, catchup=False)
def mapped():
    @task
    def find(name):
        return {"dataset": "nyc.flights", "check_name": name, "severity": "high"}

    @task
    def count(results):
        return sum(len(each) for each in results)

    found = find.expand(name=["one", "two", "one"])
    opened = ServiceNowCreateIncidentOperator.partial(
        task_id="open",
        short_description="{{ params.team }}: {check_name}",
        retries=5,
        retry_delay=timedelta(0),
        params={"team": "Ingest"},
    ).expand(anomalies=found)
    count(opened.output)


mapped()
"""


@pytest.fixture
def mapped(airflow_database, tmp_path, monkeypatch):
    """A DAG that opens three tickets by mapping; two of them are about the same problem."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "mapped.py").write_text(DAG_FILE, encoding="utf-8")
    # A DAG can be tested only if it is in a bundle.
    bundle = {
        "name": "mapped",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    bag = DagBag(folder)
    assert bag.import_errors == {}
    return bag.dags["mapped"]


def test_mapped_tasks_open_one_ticket_per_problem_through_a_failing_instance(sandbox, mapped):
    # So long a wait is for Airflow: the task fails, and its retry goes on.
    sandbox.fail_next("error_before", count=1, retry_after=3600)

    run = mapped.test()

    assert str(run.state) == "success"
    assert sorted(record["short_description"] for record in incidents(sandbox)) == [
        "Ingest: one",
        "Ingest: two",
    ]
    opened = [run.get_task_instance("open", map_index=index) for index in range(3)]
    assert sorted(ti.try_number for ti in opened) == [1, 1, 2]
    assert run.get_task_instance("count").xcom_pull(task_ids="count") == 3

    results = [ti.xcom_pull(task_ids="open", map_indexes=ti.map_index)[0] for ti in opened]
    assert sorted(result["action"] for result in results) == ["created", "created", "noted"]
    links = [
        ti.xcom_pull(task_ids="open", key="_link_ServiceNowRecordLink", map_indexes=ti.map_index)
        for ti in opened
    ]
    assert links == [result["ticket"]["url"] for result in results]
