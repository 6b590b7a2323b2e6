"""Tickets of anomalies whose checks pass again."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Pass
from airflow_provider_servicenow_dq.desk import passes as desk_passes
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.passes import resolve_passed
from airflow_provider_servicenow_dq.desk.rehearsal import rehearse_opening
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import schema


def passed(desk, *hours, check="dep_time not null", run="passes", failed=(), **rules):
    """Report passes of a check at these hours."""
    found = [Pass.of(anomaly(check, hour)) for hour in hours]
    project = Project(**{"resolve_after": 2, **rules})
    return resolve_passed(desk, found, failed=failed, rules=project, run=Run("dag", run, "open"))


def the_state(sandbox):
    (incident,) = incidents(sandbox)
    return incident["state"]


def notes(sandbox):
    return sandbox.notes(incidents(sandbox)[0]["sys_id"])


def rows(desk):
    with desk.store.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.check_pass)).scalar_one()


def later(desk, hours):
    """Return the same desk with a clock that is so far ahead."""
    return dataclasses.replace(desk, now=lambda: datetime.now(UTC) + timedelta(hours=hours))


def test_passes_in_a_row_resolve_a_ticket_in_one_request(desk, sandbox):
    report(desk, anomaly())
    sandbox.clear_requests()

    came = passed(desk, 20, 24)

    (incident,) = incidents(sandbox)
    assert actions(came) == ["resolved"]
    assert (incident["state"], incident["close_code"]) == ("6", "Solution provided")
    assert notes(sandbox) == [incident["close_notes"]]
    assert (
        "Custom Anomaly Status: Resolved\ndep_time not null on nyc.flights passed 2 times"
        in notes(sandbox)[0]
    )
    assert notes(sandbox)[0].endswith("in a row, and did not fail since [2026-01-05 00:00:00 UTC]")
    assert writes(sandbox) == ["PATCH"]


def test_passes_of_several_runs_are_counted_together(desk, sandbox):
    report(desk, anomaly())

    assert [actions(passed(desk, hour, run=f"run {hour}")) for hour in (8, 16, 24)] == [[], [], ["resolved"]]


def test_one_pass_too_few_resolves_nothing(desk, sandbox):
    report(desk, anomaly())
    sandbox.clear_requests()

    assert passed(desk, 30, 40, resolve_after=3).results == []
    assert (the_state(sandbox), writes(sandbox), sandbox.requests[:-1]) == ("1", [], [])


@pytest.mark.parametrize(("last", "state"), [(23, "1"), (24, "6")])
def test_passes_resolve_nothing_before_a_day_is_quiet(desk, sandbox, last, state):
    report(desk, anomaly())

    passed(desk, *range(1, last + 1))

    assert the_state(sandbox) == state


def test_a_failure_begins_the_count_anew(desk, sandbox):
    report(desk, anomaly())
    passed(desk, 20)
    report(desk, anomaly(hour=21), run="fails")

    passed(desk, 46)
    assert the_state(sandbox) == "1"
    passed(desk, 47)

    assert the_state(sandbox) == "6"
    assert "since [2026-01-05 21:00:00 UTC]" in notes(sandbox)[-1]


def test_a_failure_of_before_that_comes_late_begins_nothing_anew(desk, sandbox):
    report(desk, anomaly(hour=1))
    passed(desk, 20)
    report(desk, anomaly(hour=0), run="backfill")

    passed(desk, 25)

    assert the_state(sandbox) == "6"


def test_a_pass_from_before_the_failure_does_not_count(desk, sandbox):
    report(desk, anomaly(hour=10))

    passed(desk, 8, 9, 10, 40)

    assert the_state(sandbox) == "1"
    assert rows(desk) == 1


def test_the_same_pass_counts_once(desk, sandbox):
    report(desk, anomaly())

    passed(desk, 30, 30)
    passed(desk, 30, run="again")

    assert the_state(sandbox) == "1"


def test_without_times_a_run_counts_once_and_our_clock_tells_how_long_it_was_quiet(desk, sandbox):
    report(desk, anomaly(hour=None))

    passed(later(desk, 23), None, run="first")
    passed(later(desk, 25), None, run="first")
    assert the_state(sandbox) == "1"
    passed(later(desk, 26), None, run="second")

    assert the_state(sandbox) == "6"


def test_a_source_whose_clock_is_ahead_has_not_passed_in_the_future(desk, sandbox):
    report(desk, anomaly(hour=None))
    tomorrow = datetime.now(UTC) + timedelta(days=3)
    found = [Pass.of(anomaly(detected_at=tomorrow + timedelta(hours=hour))) for hour in (0, 1)]

    resolve_passed(desk, found, failed=(), rules=Project(resolve_after=2), run=Run("dag", "run", "open"))

    assert the_state(sandbox) == "1"


def test_a_check_that_failed_in_the_same_report_has_not_passed(desk, sandbox):
    report(desk, anomaly())

    passed(desk, 30, 40, failed=[anomaly(hour=40)])

    assert (the_state(sandbox), rows(desk)) == ("1", 0)


@pytest.mark.parametrize("rules", [{"resolve_after": 0}, {"sync": "none"}, {"sync": "inbound"}])
def test_passes_resolve_nothing_where_the_project_says_so(desk, sandbox, rules):
    report(desk, anomaly())

    assert passed(desk, *range(20, 60), **rules).results == []
    assert (the_state(sandbox), rows(desk)) == ("1", 0)


def test_without_being_asked_passes_resolve_nothing():
    assert Project().resolve_after == 0


def test_of_what_has_no_open_ticket_no_pass_is_kept(desk, sandbox):
    report(desk, anomaly())
    passed(desk, 20, 30)
    kept = rows(desk)
    sandbox.clear_requests()

    assert passed(desk, 31, 32, check="another").results == []
    assert passed(desk, 40, 50, run="next").results == []
    assert (rows(desk), sandbox.requests) == (kept, [])


def test_a_task_that_runs_again_tells_the_same_and_sends_nothing(desk, sandbox):
    report(desk, anomaly())
    first = passed(desk, 20, 30)
    sandbox.clear_requests()

    again = passed(desk, 20, 30)

    assert [result["message"] for result in again.results] == [result["message"] for result in first.results]
    assert (writes(sandbox), len(notes(sandbox))) == ([], 1)


def test_the_next_failure_reopens_and_the_next_passes_resolve_again(desk, sandbox):
    report(desk, anomaly())
    passed(desk, 20, 30)

    refired = report(later(desk, 1), anomaly(hour=None), run="fails")
    assert actions(refired) == ["reopened"]
    for hours in (20, 26):
        passed(later(desk, hours), None, run=f"passes at {hours}")

    assert the_state(sandbox) == "6"
    assert len(notes(sandbox)) == 3


def test_a_ticket_of_several_is_resolved_when_the_last_of_them_passes(desk, sandbox):
    report(desk, anomaly("a"), anomaly("b"), group_by="dataset")

    first = passed(desk, 20, 30, check="a")
    assert (actions(first), the_state(sandbox)) == (["noted"], "1")
    second = passed(desk, 20, 30, check="b", run="next")

    assert (actions(second), the_state(sandbox)) == (["resolved"], "6")


def test_a_ticket_that_waits_for_somebody_gets_a_note_once(desk, sandbox):
    report(desk, anomaly())
    held = {"state": "3", "hold_reason": "1"}
    sandbox.act_as("beth.anglin", "incident", incidents(sandbox)[0]["sys_id"], held)

    came = passed(desk, 20, 30)
    passed(desk, 31, 32, run="next")

    assert (actions(came), the_state(sandbox), len(notes(sandbox))) == (["noted"], "3", 1)


def test_what_fails_while_it_is_decided_keeps_its_ticket_open(desk, make_desk, sandbox, monkeypatch):
    report(desk, anomaly())
    other, real = make_desk(), desk_passes.push

    def fail_first(*args, **options):
        report(other, anomaly(hour=31), run="meanwhile")
        return real(*args, **options)

    monkeypatch.setattr(desk_passes, "push", fail_first)
    passed(desk, 20, 30)

    assert the_state(sandbox) == "1"
    assert not any("Resolved" in note for note in notes(sandbox))


def test_the_projects_close_code_goes_before(desk, sandbox):
    report(desk, anomaly())

    passed(desk, 20, 30, close_code="Known error")

    assert incidents(sandbox)[0]["close_code"] == "Known error"


def test_a_lost_store_resolves_nothing(desk, make_desk, sandbox):
    report(desk, anomaly())
    sandbox.clear_requests()

    assert passed(make_desk("another"), 20, 30).results == []
    assert (the_state(sandbox), writes(sandbox)) == ("1", [])


def test_an_instance_that_is_down_is_told_by_the_next_try(desk, sandbox):
    report(desk, anomaly())
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=0)

    came = passed(desk, 20, 30)
    while came.pending:
        came = passed(desk, 20, 30)

    assert (actions(came), the_state(sandbox), len(notes(sandbox))) == (["resolved"], "6", 1)


def test_a_dry_run_says_what_would_be_resolved_and_resolves_nothing(desk, sandbox):
    report(desk, anomaly())
    passed(desk, 20)
    sandbox.clear_requests()

    found = [Pass.of(anomaly(hour=30))]
    order = Order(Project(resolve_after=2))
    rehearsed = rehearse_opening(desk, [], order=order, run=Run("dag", "dry", "open"), passes=found)

    (write,) = rehearsed.writes
    assert (write.method, write.values["state"]) == ("PATCH", "6")
    assert (the_state(sandbox), writes(sandbox), rows(desk)) == ("1", [], 1)
