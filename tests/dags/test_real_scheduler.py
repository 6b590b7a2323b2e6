"""Everything that is scheduled, through a real scheduler with LocalExecutor."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from real_airflow import RealAirflow, running

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

DAGS = Path(__file__).parents[2] / "dags"
BETH = "beth.anglin"

#: The user's own DAGs: one waits for a ticket, one gets what people change.
OWN_DAGS = """
from airflow.sdk import Asset, dag, task

from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor


@dag(schedule=None, catchup=False, params={"incident": ""})
def wait_for_ticket():
    ServiceNowIncidentStateSensor(
        task_id="wait", incident="{{ params.incident }}", deferrable=True, poke_interval=5, retries=1
    )


CHANGES = Asset(name="servicenow_changes", uri="servicenow://servicenow_default/changes")


@dag(schedule=[CHANGES], catchup=False)
def on_changes():
    @task
    def keep(triggering_asset_events=None):
        return [event.extra for events in triggering_asset_events.values() for event in events]

    keep()


wait_for_ticket()
on_changes()
"""
ALL_DAGS = {
    "anomalies_to_asset",
    "approve_before_creating",
    "create_ticket",
    "on_changes",
    "servicenow_sync",
    "tickets_from_assets",
    "wait_for_ticket",
}


@pytest.fixture
def sandbox():
    with Sandbox(port=0) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def surroundings(sandbox, tmp_path, monkeypatch):
    """A connection and a store, for the processes of Airflow and for this one."""
    settings = sandbox.environment(timeout_s=5) | {
        "AIRFLOW__SERVICENOW_DQ__STORE": f"sqlite:///{tmp_path / 'store.db'}"
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def dags(tmp_path):
    """The examples, the sync every 20 seconds, and the user's own."""
    folder = tmp_path / "dags"
    folder.mkdir()
    for name in ("approve_before_creating", "create_ticket", "tickets_from_assets"):
        shutil.copy(DAGS / f"{name}.py", folder)
    sync = (DAGS / "servicenow_sync.py").read_text()
    assert sync.count("timedelta(minutes=5)") == 1
    (folder / "servicenow_sync.py").write_text(sync.replace("timedelta(minutes=5)", "timedelta(seconds=20)"))
    (folder / "own.py").write_text(OWN_DAGS)
    return folder


def ours(sandbox):
    rows = [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]
    return {row["short_description"]: row for row in rows}


def record_while_servicenow_is_down(sandbox):
    sandbox.stop()
    found = {"source": "custom", "dataset": "nyc.flights", "check_name": "reported in an outage"}
    operator = ServiceNowCreateIncidentOperator(
        task_id="open", anomalies=found, short_description="{check_name}"
    )
    with pytest.raises(DeliveryPendingError):
        operator.execute({})
    sandbox.start()


@pytest.mark.heavy(minutes=1)
@pytest.mark.timeout(900)  # a minute, but everything that a machine does meanwhile slows down five programs
def test_what_is_scheduled_keeps_both_sides_in_step(
    sandbox, surroundings, dags, tmp_path, new_airflow_database
):
    record_while_servicenow_is_down(sandbox)
    database = new_airflow_database(tmp_path)
    with running(tmp_path, dags, surroundings, database=database, user=BETH) as airflow:
        airflow.wait("the DAGs", lambda: airflow.dags() >= ALL_DAGS)
        number = see_what_was_pending_delivered(airflow, sandbox)
        by_hand = start_what_people_start(airflow)
        see_a_persons_change_arrive(airflow, sandbox, number)
        see_what_people_started_end(airflow, sandbox, by_hand)
        assert set(airflow.runs("servicenow_sync").values()) <= {"success", "running", "queued"}
    see_nothing_doubled(sandbox)
    assert programs_of(tmp_path) == []


def see_nothing_doubled(sandbox):
    titles = [row["short_description"] for row in sandbox.records("incident") if row["correlation_id"]]
    assert sorted(titles) == sorted(ours(sandbox))
    notes = [(row["element_id"], row["value"]) for row in sandbox.records("sys_journal_field")]
    assert len(notes) == len(set(notes))


def programs_of(home):
    """Return the processes that live in an Airflow's home."""
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            try:
                found += [process] if process.environ().get("AIRFLOW_HOME") == str(home) else []
            except psutil.Error:
                continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def start_what_people_start(airflow: RealAirflow) -> dict[str, str]:
    """Trigger what waits for nobody, and an approval, which waits."""
    conf = {"short_description": "by hand", "dataset": "sales", "category": "software > email"}
    return {
        "create_ticket": airflow.trigger("create_ticket", **conf),
        "anomalies_to_asset": airflow.trigger("anomalies_to_asset"),
        "approve_before_creating": airflow.trigger("approve_before_creating"),
    }


def see_what_was_pending_delivered(airflow: RealAirflow, sandbox: Sandbox) -> str:
    """Scheduled runs overlap: any of those that are there by now may have delivered it, but one alone."""
    row = airflow.wait("the delivery", lambda: ours(sandbox).get("reported in an outage"))
    told = []
    for run in airflow.runs("servicenow_sync"):
        airflow.finish("servicenow_sync", run)
        told.append(airflow.xcom("servicenow_sync", run, "summarize")["delivered"])
    assert sorted(told) == [0] * (len(told) - 1) + [1]
    return row["number"]


def see_a_persons_change_arrive(airflow: RealAirflow, sandbox: Sandbox, number: str) -> None:
    """A person resolves the ticket: a sensor that waits for it goes on, a DAG is told, and told once."""
    waiting = airflow.trigger("wait_for_ticket", incident=number)
    airflow.wait("the deferral", lambda: airflow.tasks("wait_for_ticket", waiting).get("wait") == "deferred")
    (row,) = [row for row in sandbox.records("incident") if row["number"] == number]
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("fred.luddy", "incident", row["sys_id"], solved)
    overlapping = [airflow.trigger("servicenow_sync") for _ in range(2)]
    airflow.finish("wait_for_ticket", waiting)
    for run in overlapping:
        airflow.finish("servicenow_sync", run)
    # A run of the schedule may have got the change, and tell of it later than those two end.
    of_state = airflow.wait("the DAG that is told of the change", lambda: changes_of_state(airflow))
    assert [(change["ticket"], change["new"]) for change in of_state] == [(number, "6")]


def changes_of_state(airflow: RealAirflow) -> list[dict[str, Any]]:
    """Return what the DAG that is told of changes has been told of states."""
    runs = list(airflow.runs("on_changes"))
    for run in runs:
        airflow.finish("on_changes", run)
    events = [event for run in runs for event in airflow.xcom("on_changes", run, "keep")]
    changes = {change["sequence"]: change for event in events for change in event["changes"]}
    return [change for change in changes.values() if change["field"] == "state"]


def see_what_people_started_end(airflow: RealAirflow, sandbox: Sandbox, runs: dict[str, str]) -> None:
    approval = runs["approve_before_creating"]
    airflow.wait(
        "the question",
        lambda: (
            airflow.tasks("approve_before_creating", approval).get("approve")
            in {"awaiting_input", "deferred"}
        ),
    )
    assert "dep_time not null fails for nyc.flights" not in ours(sandbox)
    airflow.answer("approve_before_creating", approval, "approve", "Approve")
    for dag_id, run in runs.items():
        airflow.finish(dag_id, run)
    assert "dep_time not null fails for nyc.flights" in ours(sandbox)
    by_hand = ours(sandbox)["by hand"]
    (beth,) = [row["sys_id"] for row in sandbox.records("sys_user") if row["user_name"] == BETH]
    assert (by_hand["category"], by_hand["subcategory"], by_hand["caller_id"]) == ("software", "email", beth)
    airflow.wait(
        "tickets from assets",
        lambda: any("tailnum not null" in title for title in ours(sandbox)),
    )
    for run in airflow.runs("tickets_from_assets"):
        airflow.finish("tickets_from_assets", run)
