"""A gate before publishing, and tickets for whatever an asset's event holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

DAGS = Path(__file__).parent.parent.parent / "dags"


def parse(file, name):
    bag = DagBag(DAGS / f"{file}.py")
    assert bag.import_errors == {}
    return bag.dags[name]


@pytest.fixture(scope="module")
def gate(sandbox):
    return parse("publish_gate", "publish_gate")


def states(dag_run):
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def report(**fields):
    found = {"source": "custom", "dataset": "nyc.flights", "check_name": "gate", "severity": "critical"}
    return ServiceNowCreateIncidentOperator(task_id="open", anomalies=found | fields).execute({})[0]


def test_nothing_is_published_while_a_p1_is_open_and_all_is_when_it_is_resolved(gate, sandbox):
    ticket = report()["ticket"]
    assert ticket["priority"] == "1"
    assert states(gate.test()) == {"may_publish": "success", "publish": "skipped"}
    # Another dataset is not held up.
    assert states(gate.test(run_conf={"datasets": ["nyc.weather"]}))["publish"] == "success"
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("beth.anglin", "incident", ticket["ticket_id"], solved)
    assert states(gate.test()) == {"may_publish": "success", "publish": "success"}


def test_a_question_that_fails_fails_the_task_and_does_not_publish(gate, sandbox):
    report(check_name="another")
    sandbox.configure(availability="hibernating")
    try:
        with pytest.raises(exceptions.ServiceNowError):
            gate.get_task("may_publish").python_callable(
                params={"datasets": ["nyc.flights"], "priority": "1"}
            )
    finally:
        sandbox.configure(availability="up")


def event(**extra):
    return SimpleNamespace(
        extra=extra, source_dag_id="maker", source_run_id="run", source_task_id="make", source_map_index=2
    )


def test_events_hold_payloads_or_name_the_xcom_that_does():
    asked = []
    ti = SimpleNamespace(xcom_pull=lambda **where: asked.append(where) or [{"check_name": "two"}])
    events = [event(anomalies={"check_name": "one"}), event(xcom="found"), event(anomalies=[]), event(rows=5)]
    read = parse("tickets_from_assets", "tickets_from_assets").get_task("read_events").python_callable
    assert read(triggering_asset_events={"asset": events}, ti=ti) == [
        {"check_name": "one"},
        [{"check_name": "two"}],
    ]
    where = {"dag_id": "maker", "run_id": "run", "task_ids": "make", "map_indexes": 2, "key": "found"}
    assert asked == [where]


def test_a_run_without_events_opens_nothing(sandbox):
    before = len(sandbox.requests)
    assert states(parse("tickets_from_assets", "tickets_from_assets").test()) == {
        "read_events": "success",
        "open_tickets": "skipped",
    }
    assert len(sandbox.requests) == before


def test_a_producer_puts_its_anomalies_into_the_asset_in_either_way(sandbox):
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    run = parse("tickets_from_assets", "anomalies_to_asset").test()
    with create_session() as session:
        found = session.query(AssetEvent).filter_by(source_run_id=run.run_id).all()
        extras = {each.source_task_id: each.extra for each in found}
    assert str(run.state) == "success"
    assert extras["tell"]["anomalies"][0]["check_name"] == "tailnum not null"
    assert extras["name"] == {"xcom": "return_value"}
