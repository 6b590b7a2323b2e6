"""Reading the tickets of which somebody has told us that they have changed."""

from __future__ import annotations

from pulls import by_hand, in_short, take, told
from reporting import anomaly, incidents, report

from airflow_provider_servicenow_dq.desk.pull import pull_some
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.projects.project import Project


def test_what_was_told_of_is_known_at_once_and_the_next_pull_tells_it_no_second_time(desk, sandbox):
    report(desk, anomaly(), anomaly("another"))
    assert told(desk) == []
    one, another = incidents(sandbox)
    by_hand(sandbox, one, state="2")
    by_hand(sandbox, another, state="2")

    outcome = pull_some(desk, Project(), [one["sys_id"], "f" * 32])

    assert (outcome.tickets, outcome.changes) == (1, 1)
    changes = list(taking.read(desk, taken := take(desk)))
    taking.returned(desk, taken)
    assert [(change["ticket"], change["new"]) for change in changes] == [(one["number"], "2")]
    assert [change["ticket"] for change in told(desk)] == [another["number"]]


def test_a_record_that_is_no_ticket_of_ours_costs_no_request(desk, sandbox):
    report(desk, anomaly())
    before = len(sandbox.requests)

    assert pull_some(desk, Project(), ["f" * 32]).tickets == 0
    assert len(sandbox.requests) == before


def test_a_note_is_told_as_well(desk, sandbox):
    report(desk, anomaly())
    assert told(desk) == []
    (incident,) = incidents(sandbox)
    by_hand(sandbox, incident, work_notes="I look at it")

    pull_some(desk, Project(), [incident["sys_id"]])

    assert in_short(told(desk)) == [("work_notes", None, "I look at it")]
