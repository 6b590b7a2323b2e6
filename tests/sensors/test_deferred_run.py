"""A DAG in a real Airflow: a task opens a ticket, a sensor waits in a trigger, a person resolves it."""

from __future__ import annotations

import json
import threading
import time

import pytest
from sensing import solve

DAG_FILE = """
from airflow.sdk import dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor


@dag(schedule=None, catchup=False)
def waits():
    anomaly = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}
    opened = ServiceNowCreateIncidentOperator(
        task_id="open", anomalies=anomaly, servicenow_conn_id="CONNECTION"
    )

    @task
    def publish(tickets):
        return [ticket["status"] for ticket in tickets]

    solved = ServiceNowIncidentStateSensor(
        task_id="wait",
        incident=opened.output,
        deferrable=True,
        poke_interval=0,
        timeout=60,
        servicenow_conn_id="CONNECTION",
    )
    publish(solved.output)


waits()
"""


@pytest.fixture
def run(airflow_database, tmp_path, monkeypatch, sandbox):
    """Run the DAG with a connection, while a person resolves the ticket as soon as it was looked at twice."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path / "dags"
    folder.mkdir()
    bundle = {
        "name": "waits",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))

    def person():
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            looks = [
                each for each in sandbox.requests if each.method == "GET" and "sys_idIN" in str(each.query)
            ]
            tickets = sandbox.records("incident")
            if tickets and len(looks) >= 4:
                solve(sandbox, tickets[0]["sys_id"])
                return
            time.sleep(0.02)

    def test(connection):
        (folder / "waits.py").write_text(DAG_FILE.replace("CONNECTION", connection), encoding="utf-8")
        bag = DagBag(folder)
        assert bag.import_errors == {}
        thread = threading.Thread(target=person)
        thread.start()
        try:
            return bag.dags["waits"].test()
        finally:
            thread.join()

    return test


def check(dag_run, sandbox):
    assert str(dag_run.state) == "success"
    assert dag_run.get_task_instance("publish").xcom_pull(task_ids="publish") == ["Resolved"]
    (ticket,) = sandbox.records("incident")
    (waited,) = dag_run.get_task_instance("wait").xcom_pull(task_ids="wait")
    assert waited["ticket_number"] == ticket["number"]
    link = dag_run.get_task_instance("wait").xcom_pull(task_ids="wait", key="_link_ServiceNowRecordLink")
    assert link == waited["url"]


def test_a_deferred_sensor_goes_on_when_a_person_has_resolved_the_ticket(sandbox, run):
    check(run("servicenow_default"), sandbox)


def test_a_connection_of_the_database_serves_it_too(sandbox, run):
    """Airflow's own test of a DAG cannot await one (3.3.2), and says that it is not defined."""
    from airflow.models import connection
    from airflow.utils.db import merge_conn

    merge_conn(
        connection.Connection(
            conn_id="of_the_database",
            conn_type="servicenow",
            host=sandbox.url,
            login="svc_airflow",
            password="airflow-secret",
        )
    )

    check(run("of_the_database"), sandbox)
