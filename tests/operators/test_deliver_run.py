"""The recipe of the README in a real Airflow: what one DAG could not send, another delivers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from operating import incidents

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

REPORTING = """
from airflow.sdk import dag

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator


@dag(schedule=None, catchup=False)
def reporting():
    ServiceNowCreateIncidentOperator(
        task_id="open",
        anomalies=[{"dataset": "nyc.flights", "check_name": f"check {number}"} for number in range(3)],
    )


reporting()
"""


@pytest.fixture
def dags(airflow_database, tmp_path, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    (recipe,) = [
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "DeliverOperator" in block
    ]
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "reporting.py").write_text(REPORTING, encoding="utf-8")
    (folder / "recipe.py").write_text(recipe, encoding="utf-8")
    # A DAG can be tested only if it is in a bundle.
    bundle = {
        "name": "delivering",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    bag = DagBag(folder)
    assert bag.import_errors == {}
    return bag.dags


def test_what_one_dag_could_not_send_the_other_delivers(sandbox, dags):
    sandbox.fail_next("error_before", count=1000)
    assert str(dags["reporting"].test().state) == "failed"
    assert incidents(sandbox) == []
    sandbox.reset()

    run = dags["servicenow_deliver"].test()

    assert str(run.state) == "success"
    assert len(incidents(sandbox)) == 3
    (task,) = dags["servicenow_deliver"].task_ids
    counts = run.get_task_instance(task).xcom_pull(task_ids=task)
    assert (counts["delivered"], counts["waiting"]) == (3, 0)
