"""Checks that pass again, as a task reports them."""

from __future__ import annotations

import pytest
from operating import incidents

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

NULLS = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}


def failed(day):
    return {**NULLS, "detected_at": f"2026-01-{day:02}T00:00:00Z"}


def passed(day):
    return {**failed(day), "status": "passed"}


def test_passes_resolve_a_ticket_and_have_no_results(sandbox, open_tickets, capsys):
    open_tickets([failed(5)])

    assert open_tickets([passed(6)], resolve_after=2) == []
    assert open_tickets([passed(7)], resolve_after=2) == []

    (incident,) = incidents(sandbox)
    assert incident["state"] == "6"
    assert f"Its check passes again: Ticket {incident['number']} resolved" in capsys.readouterr().out


def test_unless_asked_a_task_resolves_nothing(sandbox, open_tickets):
    open_tickets([failed(5)])

    open_tickets([passed(day) for day in range(6, 28)])

    assert incidents(sandbox)[0]["state"] == "1"


def test_what_fails_and_what_passes_come_in_one_payload(sandbox, open_tickets):
    open_tickets([failed(5)])
    other = {**failed(8), "check_name": "another"}

    (result,) = open_tickets([passed(7), other, passed(8)], resolve_after=2)

    assert (result["action"], result["ticket"]["title"]) == ("created", "another failed on nyc.flights")
    assert sorted(incident["state"] for incident in incidents(sandbox)) == ["1", "6"]


def test_a_dry_run_logs_what_would_be_resolved(sandbox, open_tickets, caplog):
    open_tickets([failed(5)])

    with caplog.at_level("INFO"):
        open_tickets([passed(7), passed(8)], resolve_after=2, dry_run=True)

    assert "passed 2 times in a row" in caplog.text
    assert incidents(sandbox)[0]["state"] == "1"


@pytest.mark.usefixtures("sandbox")
def test_fewer_than_no_passes_make_no_sense(open_tickets):
    with pytest.raises(ServiceNowConfigError, match="resolve_after"):
        open_tickets([failed(5)], resolve_after=-1)
