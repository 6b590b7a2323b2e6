"""An Airflow database, a ServiceNow and a store for the example DAGs to run with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_servicenow_dq.sandbox.server import Sandbox

DAGS = Path(__file__).parent.parent.parent / "dags"


@pytest.fixture(scope="module")
def sandbox(airflow_database, tmp_path_factory):
    """A ServiceNow that the DAGs of one module share, and the environment that leads them to it."""
    folder = tmp_path_factory.mktemp("dags")
    with Sandbox(port=0) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url))
        checked = {"conn_type": "sqlite", "host": str(folder / "checked.db")}
        patch.setenv("AIRFLOW_CONN_FLIGHTS_DB", json.dumps(checked))
        patch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{folder / 'first.db'}")
        yield sandbox


@pytest.fixture
def instance(airflow_database, monkeypatch, tmp_path):
    """An instance and a store of the test's own."""
    with Sandbox(port=0) as running:
        for name, value in running.environment(timeout_s=5).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
        yield running


def connection_to(url: str) -> str:
    return json.dumps(
        {
            "conn_type": "servicenow",
            "host": url,
            "login": "svc_airflow",
            "password": "airflow-secret",
        }
    )


@pytest.fixture(scope="module")
def run_dag(airflow_database):
    """Run a DAG of the folder as ``airflow dags test`` does; give the run and what a task of it returned."""
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(DAGS).dags

    def run(dag_id, returned_by, **conf):
        dag_run = dags[dag_id].test(run_conf=conf)
        task = dag_run.get_task_instance(returned_by)
        return str(dag_run.state), task.xcom_pull(task_ids=returned_by)

    return run
