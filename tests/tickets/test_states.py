"""What the states of a ticket mean: an incident's are known, those of other tables a project tells."""

from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.tickets.incident import is_worked_on, parse_state
from airflow_provider_servicenow_dq.tickets.states import states_of

INCIDENT = states_of("incident")
#: A task's: Open, Work in Progress, Closed Complete, Closed Incomplete, Closed Skipped.
TASK = states_of(
    "sc_task", {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"4": "invalid", "7": "discarded"}}
)


@pytest.mark.parametrize(
    ("state", "close_code", "status"),
    [
        ("1", "", Status.ACTIVE),
        ("2", "", Status.ACKNOWLEDGED),
        ("3", "", Status.ACKNOWLEDGED),
        ("6", "Solution provided", Status.RESOLVED),
        ("7", "", Status.RESOLVED),
        ("7", "Duplicate", Status.DUPLICATE),
        ("6", "False-positive", Status.INVALID),
        ("8", "Duplicate", Status.DISCARDED),
        ("1", "Duplicate", Status.ACTIVE),
        ("10", "", None),
    ],
)
def test_the_state_of_an_incident_says_what_has_become_of_its_anomaly(state, close_code, status):
    assert INCIDENT.status_for(state, close_code) is status


@pytest.mark.parametrize(
    ("state", "is_open", "is_ended", "may_be_resolved"),
    [
        ("1", True, False, True),
        ("2", True, False, True),
        ("3", True, False, False),
        ("6", False, False, False),
        ("7", False, True, False),
        ("8", False, True, False),
        ("10", True, False, False),
    ],
)
def test_an_incident_is_open_resolved_or_ended(state, is_open, is_ended, may_be_resolved):
    assert INCIDENT.is_open(state) is is_open is is_worked_on(state)
    assert INCIDENT.is_ended(state) is is_ended
    assert INCIDENT.may_be_resolved(state) is may_be_resolved


@pytest.mark.parametrize(
    ("state", "is_open", "is_ended", "status"),
    [
        ("1", True, False, None),
        ("-5", True, False, None),
        ("2", True, False, Status.ACTIVE),
        ("3", False, False, Status.RESOLVED),
        ("4", False, True, Status.INVALID),
        ("6", True, False, None),
        ("7", False, True, Status.DISCARDED),
    ],
)
def test_of_another_table_only_what_the_project_tells_is_known(state, is_open, is_ended, status):
    assert (TASK.is_open(state), TASK.is_ended(state), TASK.status_for(state)) == (is_open, is_ended, status)
    assert TASK.may_be_resolved(state) is is_open


def test_of_a_table_of_which_nothing_is_told_no_state_means_resolved():
    untold = states_of("u_data_issue")

    assert [untold.resolving(status) for status in Status] == [None] * len(Status)
    assert untold.is_ended("7")
    assert untold.label("7") == "in state 7"


def test_a_project_may_tell_what_is_customised_of_an_incident():
    told = {"outbound": {"duplicate": "8", "invalid": "9"}, "inbound": {"10": "active", "3": "active"}}
    states = states_of("incident", told)

    assert (states.resolving(Status.DUPLICATE), states.resolving(Status.RESOLVED)) == ("8", "6")
    assert states.status_for("8") is Status.DISCARDED
    assert states.status_for("9") is Status.INVALID
    assert states.may_be_resolved("10")
    assert states.may_be_resolved("3")


@pytest.mark.parametrize(
    ("text", "code"),
    [("6", "6"), ("Resolved", "6"), ("in_progress", "2"), (" ON HOLD ", "3"), ("Cancelled", "8"),
     ("-5", "-5"), ("101", "101"), ("Finished", None), ("", None)],
)  # fmt: skip
def test_states_of_an_incident_are_known_by_code_and_label(text, code):
    assert parse_state(text) == code
