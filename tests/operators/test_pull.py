"""The task that tells what people did to tickets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetUniqueKey
from airflow.sdk.execution_time.context import OutletEventAccessors
from operating import ListeningTaskInstance, incidents

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowPullIncidentsOperator

ASSET = Asset("servicenow_changes")


@dataclass
class TaskInstance(ListeningTaskInstance):
    """One that can ask Airflow what became of earlier runs."""

    task_id: str = "pull"
    states: dict[str, Any] = field(default_factory=dict)

    def get_task_states(self, *, dag_id, map_index, task_ids, run_ids):
        assert (dag_id, map_index, task_ids) == ("dag", None, ["pull"])
        return {run: {"pull": self.states[run]} for run in run_ids if run in self.states}


def pull(ti=None, events=None, **parameters):
    operator = ServiceNowPullIncidentsOperator(task_id="pull", **parameters)
    context = {} if ti is None else {"ti": ti}
    if events is not None:
        context["outlet_events"] = events
    return operator.execute(context), operator


@pytest.fixture
def incident(sandbox, open_tickets):
    open_tickets([{"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}])
    return incidents(sandbox)[0]


def act(sandbox, incident, **values):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], values)


def fields(returned):
    return [change["field"] for change in returned["changes"]]


def test_it_works_outside_of_a_dag(sandbox, incident):
    act(sandbox, incident, state="2", work_notes="looking")

    returned, _ = pull()

    assert {name: value for name, value in returned.items() if name != "changes"} == {
        "schema_version": 1,
        "count": 2,
        "truncated": False,
    }
    assert fields(returned) == ["state", "work_notes"]
    assert returned == json.loads(json.dumps(returned))
    assert pull()[0]["count"] == 0


def test_a_retry_is_told_the_same_and_the_next_run_what_the_failed_one_was(sandbox, incident):
    states = {}
    act(sandbox, incident, state="2")
    first, _ = pull(TaskInstance(run_id="one", states=states))
    again, _ = pull(TaskInstance(run_id="one", states=states))
    states["one"] = "failed"
    second, _ = pull(TaskInstance(run_id="two", states=states))
    states["two"] = "success"
    third, _ = pull(TaskInstance(run_id="three", states=states))

    assert first == again == second
    assert fields(first) == ["state"]
    assert third["count"] == 0


def test_a_task_instance_that_cannot_ask_still_pulls(sandbox, incident):
    act(sandbox, incident, state="2")

    assert fields(pull(ListeningTaskInstance(run_id="one", task_id="pull"))[0]) == ["state"]
    assert pull(ListeningTaskInstance(run_id="two", task_id="pull"))[0]["count"] == 0


def test_all_changes_go_to_a_file_as_json_lines(sandbox, incident, tmp_path):
    act(sandbox, incident, state="2", work_notes="looking")
    path = tmp_path / "changes.jsonl"

    returned, _ = pull(output_path=f"file://{path}")

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["field"] for line in lines] == ["state", "work_notes"]
    assert (returned["changes"], returned["count"], returned["truncated"]) == ([], 2, False)
    assert returned["path"].endswith("changes.jsonl")


def test_the_event_of_an_outlet_lists_the_changes(sandbox, incident):
    act(sandbox, incident, short_description="x" * 150)
    events = OutletEventAccessors()
    alias = AssetAlias("servicenow")

    pull(TaskInstance(), events, outlets=[ASSET, alias])

    extra = events[ASSET].extra
    (change,) = extra["changes"]
    assert (extra["count"], extra["truncated"]) == (1, False)
    assert (change["field"], change["ticket"]) == ("short_description", incident["number"])
    assert len(change["new"]) == 100
    (event,) = events[alias].asset_alias_events
    assert event.extra == extra


def test_without_changes_there_is_no_event(sandbox, incident):
    events = OutletEventAccessors()

    returned, operator = pull(TaskInstance(), events, outlets=[ASSET])

    assert returned["count"] == 0
    assert operator.outlets == []


def test_the_event_of_an_outlet_that_is_only_named_lists_them_too(sandbox, incident, monkeypatch):
    act(sandbox, incident, state="2")
    events, named = OutletEventAccessors(), Asset.ref(name=ASSET.name)
    monkeypatch.setitem(events._asset_ref_cache, named, (AssetUniqueKey.from_asset(ASSET), {}))

    pull(TaskInstance(), events, outlets=[named])

    assert events[ASSET].extra["count"] == 1


def test_a_dry_run_tells_and_takes_nothing(sandbox, incident):
    act(sandbox, incident, state="2")

    rehearsed, operator = pull(TaskInstance(), OutletEventAccessors(), outlets=[ASSET], dry_run=True)

    assert (fields(rehearsed), rehearsed["dry_run"]) == (["state"], True)
    assert operator.outlets == []
    assert fields(pull()[0]) == ["state"]


def test_notes_can_be_left_out(sandbox, incident):
    act(sandbox, incident, work_notes="looking")

    assert pull(include_notes=False)[0]["count"] == 0
    assert fields(pull()[0]) == ["work_notes"]
