"""Airflow's own checks: what fails is ticketed, the run stays red, and a repetition opens nothing."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def runs(sandbox, run_dag):
    return [(*run_dag("sql_checks", "open_tickets"), sandbox.records("incident")) for _ in range(2)]


def ours(rows):
    return {row["short_description"]: row for row in rows if row["correlation_id"].startswith("dq:")}


def test_each_failed_check_has_its_ticket_and_no_passed_one_has(runs):
    _, results, incidents = runs[0]
    assert set(ours(incidents)) == {
        "dep_delay.max fails for blizzard_flights",
        "dep_time.null_check fails for blizzard_flights",
        "tailnum.null_check fails for blizzard_flights",
    }
    assert [result["action"] for result in results] == ["created"] * 3


def test_the_run_is_red_although_the_tickets_were_opened(runs):
    assert [state for state, _, _ in runs] == ["failed", "failed"]


def test_the_ticket_tells_what_was_measured_and_what_was_expected(runs):
    text = ours(runs[0][2])["dep_delay.max fails for blizzard_flights"]["description"]
    assert "853" in text
    assert "600" in text


def test_the_next_failing_run_opens_nothing(runs):
    first, second = (incidents for _, _, incidents in runs)
    assert set(ours(second)) == set(ours(first))
    assert {result["action"] for result in runs[1][1]} <= {"noted", "unchanged"}
