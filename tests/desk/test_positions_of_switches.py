"""What nobody knows of a real instance is a switch of the sandbox: opening works in each position."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.sandbox.switches import Switches

POSITIONS = {
    "names resolved": {"reference_names": "resolve"},
    "names discarded": {"reference_names": "discard"},
    "long strings refused": {"long_strings": "refuse"},
    "labels count as values": {"choice_labels": True},
    "priority looked up on change": {"priority_lookup": "on_change"},
    "dates of the user's zone": {"query_dates": "user", "time_zone": "Asia/Tokyo"},
    "dates as people write them": {"date_format": "dd/MM/yyyy", "time_format": "hh:mm:ss a"},
    "range queries denied": {"query_range": ["task.correlation_id", "task.short_description"]},
    "problems in any order": {"problem_transitions": "free"},
    "unique correlation ids": {"unique": ["incident.correlation_id"]},
}


@pytest.fixture(autouse=True)
def _as_it_was(sandbox):
    before = {name: getattr(Switches(), name) for positions in POSITIONS.values() for name in positions}
    yield
    sandbox.configure(**before, duplicate_status="403")


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS)
def test_a_problem_is_opened_once_and_noted_in_every_position(make_desk, sandbox, position):
    sandbox.configure(**position)
    long = {"fields": {"short_description": "rows are missing " * 20, "assignment_group": "Database"}}

    first = report(make_desk("first"), anomaly(hour=0), **long)
    again = report(make_desk("first"), anomaly(hour=1), **long)
    anew = report(make_desk("a store that knows nothing"), anomaly(hour=1), **long)

    (incident,) = incidents(sandbox)
    assert (actions(first), actions(again)) == (["created"], ["noted"])
    assert anew.failures == []
    assert incident["assignment_group"] == "287ee6fea9fe198100ada7950d0b1b73"
    assert len(sandbox.notes(incident["sys_id"])) == 1


@pytest.mark.parametrize("status", ["400", "403", "409", "500"])
def test_two_who_create_at_the_same_time_make_one_incident_whatever_the_refusal_is(
    make_desk, sandbox, status
):
    sandbox.configure(duplicate_status=status)
    desks = [make_desk("one"), make_desk("two")]
    for number, desk in enumerate(desks):
        report(desk, anomaly(f"before {number}"))
    sandbox.clear_requests()
    sandbox.barrier(2, method="GET", path="sys_id", timeout_s=0.3)

    with ThreadPoolExecutor(2) as pool:
        openings = list(pool.map(lambda desk: report(desk, anomaly()), desks))

    answers = [logged.status for logged in sandbox.requests if logged.method == "POST"]
    assert sorted(answers) == sorted([201, int(status)])
    assert [opening.failures for opening in openings] == [[], []]
    assert len(incidents(sandbox)) == 3
