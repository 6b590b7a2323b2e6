"""Whoever reports a problem that has joined a roll-up ticket meanwhile finds it there."""

from __future__ import annotations

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run


@pytest.fixture
def waiting_report(desk, sandbox):
    """A report of *b* that could not be delivered, and a storm since then in which *b* joined a roll-up."""
    sandbox.fail_next("error_before", method="GET", path="table/incident", count=100)
    assert report(desk, anomaly("b", hour=1), run="early", max_new_tickets=1).pending
    sandbox.service.faults.clear()
    storm = report(desk, anomaly("a", severity="critical"), anomaly("b"), run="storm", max_new_tickets=1)
    assert actions(storm) == ["created", "created"]
    assert len(incidents(sandbox)) == 2


def test_the_task_that_reported_before_finds_the_roll_up_when_it_runs_again(desk, sandbox, waiting_report):
    again = report(desk, anomaly("b", hour=1), run="early", max_new_tickets=1)

    assert actions(again) == ["noted"]
    assert len(incidents(sandbox)) == 2
    assert len({incident["correlation_id"] for incident in incidents(sandbox)}) == 2


def test_whoever_delivers_later_finds_the_roll_up(desk, sandbox, waiting_report):
    clearing = deliver_waiting(desk, Run("sync", "run", "deliver"))

    assert clearing.delivered == 1
    assert len(incidents(sandbox)) == 2
