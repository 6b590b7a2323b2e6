"""The notifier in real DAG runs, with Airflow's own SQL checks."""

from __future__ import annotations

import json
import sqlite3

import pytest
import structlog
from notifying import deliver, incidents, titles, writes

DAG_FILE = """
from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator
from airflow.sdk import Asset, dag, task

from airflow_provider_servicenow_dq.notifications.servicenow import send_servicenow_notification

tell = send_servicenow_notification(
    resolve_on_success=True, short_description="{{ dag.dag_id }}: {check_name}"
)
BOTH = {"on_failure_callback": tell, "on_success_callback": tell}


@dag(schedule=None, catchup=False, default_args=BOTH, **BOTH)
def told():
    @task(outlets=[Asset("sales.orders")])
    def load(dag_run):
        if dag_run.conf["broken"]:
            raise OSError("no space left on device")

    SQLColumnCheckOperator(
        task_id="check",
        conn_id="flights_db",
        table="flights",
        column_mapping={
            "dep_time": {"null_check": {"equal_to": 0}},
            "dep_delay": {"max": {"leq_to": 600}, "min": {"geq_to": -60}},
        },
    )
    load()


told()
"""
TITLES = ["told: dep_delay.max", "told: dep_time.null_check", "told: load"]


@pytest.fixture
def flights(tmp_path, monkeypatch):
    """A database of flights, some of them bad."""
    database = tmp_path / "flights.db"
    monkeypatch.setenv("AIRFLOW_CONN_FLIGHTS_DB", json.dumps({"conn_type": "sqlite", "host": str(database)}))
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE flights (dep_time INTEGER, dep_delay INTEGER)")
        connection.executemany("INSERT INTO flights VALUES (?, ?)", [(None, 1301), (517, 2), (533, -4)])
    yield connection
    connection.close()


@pytest.fixture
def run_dag(airflow_database, sandbox, flights, tmp_path, monkeypatch):
    """Run the DAG; return the state of the run."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "told.py").write_text(DAG_FILE, encoding="utf-8")
    bundle = {
        "name": "told",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    bag = DagBag(folder)
    assert bag.import_errors == {}

    def run(**conf):
        run.last = bag.dags["told"].test(run_conf=conf)
        return str(run.last.state)

    run.bag = bag
    return run


def states(sandbox):
    return {incident["short_description"]: incident["state"] for incident in incidents(sandbox)}


def test_each_failed_check_and_each_failed_task_has_one_ticket_until_it_is_well_again(
    sandbox, run_dag, flights
):
    assert run_dag(broken=True) == "failed"
    assert titles(sandbox) == TITLES
    assert writes(sandbox) == ["POST"] * 3, "the DAG's own callback tells nothing twice"

    with flights:
        flights.execute("DELETE FROM flights WHERE dep_time IS NULL")
    assert run_dag(broken=False) == "success"

    assert states(sandbox) == dict.fromkeys(TITLES, "6")


def test_the_dag_processor_tells_of_a_task_that_could_not_tell_itself(
    sandbox, run_dag, tmp_path, monkeypatch
):
    from airflow.dag_processing.processor import _execute_dag_callbacks
    from airflow.utils.session import create_session

    run_dag(broken=True)
    sandbox.reset()
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'other.db'}")
    for name in ("load", "load", None):
        with create_session() as session:
            run = session.merge(run_dag.last)
            decided_by = name and run.get_task_instance(name, session=session)
            request = run.produce_dag_callback(
                dag=run_dag.bag.dags["told"], success=False, relevant_ti=decided_by, reason="task_failure"
            )
        _execute_dag_callbacks(run_dag.bag, request, structlog.get_logger())

    assert titles(sandbox) == ["told: DAG run", "told: load"]
    assert writes(sandbox) == ["POST", "POST"]


def test_a_run_while_servicenow_is_down_ends_as_it_would_and_its_tickets_come_later(sandbox, run_dag):
    sandbox.fail_next("error_before", count=1000)

    assert run_dag(broken=False) == "failed"

    assert titles(sandbox) == []
    sandbox.service.faults.clear()
    deliver()
    assert titles(sandbox) == TITLES[:2]
