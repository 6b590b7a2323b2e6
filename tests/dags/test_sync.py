"""The DAG that keeps both sides in step, a run at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

DAG_FILE = Path(__file__).parents[2] / "dags" / "servicenow_sync.py"


@pytest.fixture(scope="module")
def sync():
    bag = DagBag(DAG_FILE)
    assert bag.import_errors == {}
    return bag.dags["servicenow_sync"]


def report(name):
    found = {"source": "custom", "dataset": "nyc.flights", "check_name": name}
    operator = ServiceNowCreateIncidentOperator(
        task_id="open", anomalies=found, short_description="{check_name}"
    )
    return operator.execute({})


def run(sync):
    dag_run = sync.test()
    tis = {ti.task_id: ti for ti in dag_run.get_task_instances()}
    return str(dag_run.state), {name: str(ti.state) for name, ti in tis.items()}, tis


def test_a_run_delivers_what_waits_and_then_tells_what_people_changed(sync, instance):
    number = report("one")[0]["ticket"]["ticket_number"]
    instance.stop()
    with pytest.raises(DeliveryPendingError):
        report("two")
    instance.start()
    (row,) = [row for row in instance.records("incident") if row["number"] == number]
    instance.act_as("beth.anglin", "incident", row["sys_id"], {"state": "2"})

    state, _, tis = run(sync)

    assert state == "success"
    assert tis["summarize"].xcom_pull(task_ids="summarize") == {
        "delivered": 1,
        "waiting": 0,
        "changes": 1,
        "more_changes": False,
    }
    assert [row["short_description"] for row in instance.records("incident") if row["correlation_id"]] == [
        "one",
        "two",
    ]
    (change,) = tis["pull"].xcom_pull(task_ids="pull")["changes"]
    assert (change["ticket"], change["field"], change["old"], change["new"]) == (number, "state", "1", "2")
    assert tis["refresh_form"].xcom_pull(task_ids="refresh_form")["is_live"] is True


def test_a_dead_letter_makes_the_run_red_and_holds_up_no_pull(sync, instance):
    number = report("one")[0]["ticket"]["ticket_number"]
    instance.configure(abort=("incident when short_description=two",))
    with pytest.raises(Exception, match="Refused"):
        report("two")
    (row,) = [row for row in instance.records("incident") if row["number"] == number]
    instance.act_as("beth.anglin", "incident", row["sys_id"], {"state": "2"})

    state, states, tis = run(sync)

    assert state == "failed"
    assert states == {
        "deliver": "failed",
        "pull": "success",
        "summarize": "upstream_failed",
        "refresh_form": "success",
    }
    assert tis["pull"].xcom_pull(task_ids="pull")["count"] == 1
    assert tis["deliver"].xcom_pull(task_ids="deliver")["dead"] == 1
