"""Tickets in other tables than incident go through the states that their project tells of."""

from __future__ import annotations

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment, Pass
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.passes import resolve_passed
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.projects.project import Project

TASKS = "u_data_task"
STATUS = {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"4": "invalid", "7": "discarded"}}
RULES = {"table": TASKS, "status": STATUS}


@pytest.fixture
def sandbox(sandbox):
    """An instance with a kind of task of its own: 3, 4 and 7 are closed, and nothing has ``resolved_at``."""
    sandbox.configure(table=[f"{TASKS} extends task"])
    yield sandbox
    sandbox.configure(table=[])


def push(desk, status, rules=RULES, run="push"):
    found = anomaly(status=status, hour=None)
    return push_status(desk, [found], run=Run("dag", run, "push"), project=Project(**rules))


def tasks(sandbox):
    return sandbox.records(TASKS)


def by_hand(sandbox, **values):
    return sandbox.act_as("admin", TASKS, tasks(sandbox)[-1]["sys_id"], values)


def test_a_ticket_is_resolved_and_reopened_in_the_states_of_its_table(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)

    resolved = push(desk, "resolved")
    assert (actions(resolved), [task["state"] for task in tasks(sandbox)]) == (["resolved"], ["3"])
    assert "Anomaly Status: Resolved" in tasks(sandbox)[0]["close_notes"]
    active = push(desk, "active", run="later")
    assert (actions(active), [task["state"] for task in tasks(sandbox)]) == (["reopened"], ["2"])


def test_passes_resolve_a_ticket_in_the_state_of_its_table(desk, sandbox):
    report(desk, anomaly(hour=0), **RULES)

    found = [Pass.of(anomaly(hour=hour)) for hour in (20, 24)]
    rules = Project(**RULES, resolve_after=2)
    resolved = resolve_passed(desk, found, failed=(), rules=rules, run=Run("dag", "run", "passes"))

    assert (actions(resolved), [task["state"] for task in tasks(sandbox)]) == (["resolved"], ["3"])


def test_without_a_project_that_tells_the_states_there_is_a_note_and_the_reason(desk, sandbox):
    report(desk, anomaly(hour=None), table=TASKS)

    pushed = push(desk, "resolved", {"table": TASKS})

    assert actions(pushed) == ["noted"]
    assert "tells of no state of u_data_task that means resolved" in pushed.results[0]["message"]
    assert tasks(sandbox)[0]["state"] == "1"


def test_what_people_resolved_is_not_reopened_by_a_status(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="3")

    assert actions(push(desk, "active")) == ["noted"]
    assert tasks(sandbox)[0]["state"] == "3"


def test_a_repeat_reopens_what_is_resolved(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="3")

    again = report(desk, anomaly(hour=None), run="next", **RULES)

    assert actions(again) == ["reopened"]
    assert [task["state"] for task in tasks(sandbox)] == ["2"]


def test_a_repeat_opens_a_successor_where_no_state_to_reopen_into_is_told(desk, sandbox):
    rules = {"table": TASKS, "status": {"resolved": "3"}}
    report(desk, anomaly(hour=None), **rules)
    by_hand(sandbox, state="3")

    again = report(desk, anomaly(hour=None), run="next", **rules)

    assert actions(again) == ["created"]
    assert [task["state"] for task in tasks(sandbox)] == ["3", "1"]
    assert "(in state 3)." in tasks(sandbox)[1]["description"]


def test_a_closed_ticket_gets_a_successor_with_its_names_looked_up(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="3")

    order = Order(Project(**RULES, on_refire="new"), columns={"assignment_group": "Database"})
    again = report(desk, anomaly(hour=None), run="next", order=order)

    assert actions(again) == ["created"]
    assert len(tasks(sandbox)) == 2
    assert len(tasks(sandbox)[1]["assignment_group"]) == 32


def test_a_state_that_says_that_it_was_no_problem_mutes(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="4")

    again = report(desk, anomaly(hour=None), run="next", **RULES)

    assert actions(again) == ["suppressed"]
    assert "was closed as 'in state 4', muted until" in again.results[0]["message"]


def test_nothing_is_written_on_a_closed_ticket(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="7")
    sandbox.clear_requests()

    remark = anomaly(hour=None, comments=[Comment(id="1", body="Known.")])
    said = push_comments(desk, [remark], run=Run("dag", "run", "push"), project=Project(**RULES))
    told = push(desk, "resolved")

    assert actions(said) == actions(told) == ["unchanged"]
    assert f"{tasks(sandbox)[0]['number']} is in state 7" in said.results[0]["message"]
    assert writes(sandbox) == []


def test_a_lost_store_finds_the_successor_of_a_closed_ticket_again(desk, make_desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    by_hand(sandbox, state="3")
    report(desk, anomaly(hour=None), run="next", **RULES, on_refire="new")

    again = report(make_desk("another"), anomaly(hour=None), run="third", **RULES)

    assert actions(again) == ["unchanged"]
    assert [task["state"] for task in tasks(sandbox)] == ["3", "1"]


def test_the_states_hold_for_what_is_delivered_later(desk, sandbox):
    report(desk, anomaly(hour=None), **RULES)
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=100)
    assert push(desk, "resolved").pending
    forget_limits()

    deliver_waiting(desk, Run("sync", "run", "deliver"))

    assert tasks(sandbox)[0]["state"] == "3"


def test_a_status_of_its_own_state_goes_there(desk, sandbox):
    rules = {"status": {"duplicate": "Canceled"}, "on_status": {"duplicate": "resolve"}}
    report(desk, anomaly(hour=None), **rules)

    assert actions(push(desk, "duplicate", rules)) == ["resolved"]
    assert incidents(sandbox)[0]["state"] == "8"
