"""The main job: a week of real flights, hundreds of failed checks, one ticket for each problem."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIVE_CHECKS = 5
AIRPORTS = {"EWR", "JFK", "LGA"}


@dataclass
class Stage:
    """What the instance holds after a run, what it was asked during it, and what the DAG says."""

    state: str
    summary: dict[str, Any]
    incidents: dict[str, dict[str, str]]
    journal: list[dict[str, str]]
    methods: list[str]


@pytest.fixture(scope="module")
def stages(sandbox, run_dag, tmp_path_factory):
    """Four runs: new, again, again with an empty store, and with one new failure."""

    def run(**conf):
        asked = len(sandbox.requests)
        state, summary = run_dag("flights_quality", "summarize", **conf)
        rows = [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]
        return Stage(
            state=state,
            summary=summary,
            incidents={row["number"]: row for row in rows},
            journal=sorted(sandbox.records("sys_journal_field"), key=lambda row: row["sys_id"]),
            methods=[request.method for request in sandbox.requests[asked:]],
        )

    found = {"new": run(), "again": run()}
    with pytest.MonkeyPatch.context() as patch:
        empty = tmp_path_factory.mktemp("empty") / "store.db"
        patch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{empty}")
        found["forgotten"] = run()
    default = found["new"].summary["checks"]
    found["one more"] = run(checks=[*default, "dep_delay over -20 min"])
    return found


def test_every_run_succeeds(stages):
    assert {name: stage.state for name, stage in stages.items()} == dict.fromkeys(stages, "success")


def test_hundreds_of_failures_end_as_one_open_ticket_for_each_airport_and_check(stages):
    first = stages["new"]
    assert first.summary["passed"] + first.summary["failed"] == 370 * FIVE_CHECKS
    assert first.summary["failed"] == 510
    assert len(first.incidents) == FIVE_CHECKS * len(AIRPORTS)
    assert len({row["correlation_id"] for row in first.incidents.values()}) == len(first.incidents)
    assert {row["short_description"].rpartition("/")[2] for row in first.incidents.values()} == AIRPORTS
    assert {row["state"] for row in first.incidents.values()} == {"1"}
    assert first.methods.count("POST") == len(first.incidents)


def test_notes_are_throttled(stages):
    """A problem that is seen 60 times is noted when it is seen 2, 4, 8, 16 and 32 times."""
    first = stages["new"]
    assert len(first.journal) == 64
    busiest = max(first.summary["tickets"].values(), key=lambda ticket: ticket["times_seen"])
    assert busiest["times_seen"] == 63


def test_the_summary_counts_every_failure_once(stages):
    first = stages["new"]
    assert sum(count for _, _, count in first.summary["outcomes"]) == first.summary["failed"]
    assert sum(ticket["times_seen"] for ticket in first.summary["tickets"].values()) == 510
    assert set(first.summary["tickets"]) == set(first.incidents)


@pytest.mark.parametrize("stage", ["again", "forgotten"])
def test_a_second_run_changes_nothing_on_the_instance(stages, stage):
    assert stages[stage].summary["failed"] == 510
    assert stages[stage].incidents == stages["new"].incidents
    assert stages[stage].journal == stages["new"].journal
    assert set(stages[stage].methods) <= {"GET"}


def test_a_run_with_one_new_failure_writes_exactly_that(stages):
    before, after = stages["forgotten"], stages["one more"]
    (number,) = set(after.incidents) - set(before.incidents)
    assert after.incidents[number]["short_description"] == "dep_delay over -20 min fails for nyc.flights/JFK"
    assert {key: row for key, row in after.incidents.items() if key != number} == before.incidents
    assert after.journal == before.journal
    assert [method for method in after.methods if method != "GET"] == ["POST"]


def test_the_flights_are_loaded_once(stages):
    assert [path.name for path in Path(os.environ["AIRFLOW_HOME"]).glob("flights.*")] == ["flights.db"]
