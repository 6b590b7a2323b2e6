"""Statuses of anomalies and states of tickets, as a project tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.loading import load_projects
from airflow_provider_servicenow_dq.projects.project import Project, project_of


def test_both_directions_are_read_in_any_case_and_as_numbers():
    project = project_of(
        "tasks", {"table": "sc_task", "status": {"outbound": {"Resolved": 3}, "inbound": {4: "DISCARDED"}}}
    )

    assert project.states.resolving(Status.RESOLVED) == "3"
    assert project.status_for_state("3") is Status.RESOLVED
    assert project.status_for_state("4") is Status.DISCARDED
    assert project.status_for_state("1") is None


def test_a_mapping_of_statuses_alone_says_what_is_written():
    alone = project_of("tasks", {"table": "sc_task", "status": {"resolved": 3, "ACTIVE": 2}})

    assert alone.status.outbound == {Status.RESOLVED: "3", Status.ACTIVE: "2"}
    assert alone.status.inbound == {}


def test_states_of_an_incident_may_be_named():
    project = project_of(
        "named", {"status": {"outbound": {"active": "New"}, "inbound": {"On Hold": "active"}}}
    )

    assert project.states.reopening() == "1"
    assert project.status_for_state("3") is Status.ACTIVE


def test_what_nobody_tells_is_as_on_an_unmodified_incident():
    assert Project().status_for_state("7", "Duplicate") is Status.DUPLICATE
    assert Project().states.resolving(Status.RESOLVED) == "6"


def test_they_are_read_from_a_connection_as_json():
    projects = load_projects('{"tasks": {"table": "sc_task", "status": {"outbound": {"resolved": "3"}}}}')

    assert projects["tasks"].states.resolved == "3"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"status": {"outbound": {"resolvd": "6"}}}, r"at status.*Did you mean 'resolved'\?"),
        ({"status": {"inbound": {"6": "resolvd"}}}, r"at status\.inbound\.6.*Did you mean 'resolved'\?"),
        ({"status": {"outbond": {"resolved": "6"}}}, r"at status\.outbond.*Did you mean 'outbound'\?"),
        ({"status": {"resolved": "Resolvd"}}, "'Resolvd' is no state of an incident. Did you mean"),
        ({"status": {"inbound": {"Solved": "resolved"}}}, "'Solved' is no state of an incident"),
        ({"status": {"acknowledged": "2"}}, "outbound.acknowledged is set by nothing"),
        ({"status": {"resolved": "6"}, "on_status": {"resolved": "work_note"}}, "resolved is set by nothing"),
        ({"status": {"inbound": {"6": "active"}}}, "into state 6, which inbound says is active"),
        ({"status": {"resolved": "2"}}, "resolved resolves into state 2"),
        ({"status": {"active": "7"}}, "active reopens into state 7"),
        ({"status": {"resolved": {"state": "6"}}}, r"at status\.outbound\.resolved"),
        ({"status": {"resolved": ""}}, r"at status\.outbound\.resolved"),
        ({"status": "resolved"}, "at status"),
    ],
)  # fmt: skip
def test_what_could_not_be_obeyed_is_refused_with_the_place_and_the_nearest_name(rules, words):
    with pytest.raises(ServiceNowConfigError, match=words):
        project_of("sales", rules)


@pytest.mark.parametrize("effect", ["resolve", "reopen"])
def test_a_status_that_changes_the_state_may_have_a_state_of_its_own(effect):
    state = {"resolve": "8", "reopen": "1"}[effect]
    project = project_of("sales", {"on_status": {"duplicate": effect}, "status": {"duplicate": state}})

    found = project.states.resolving if effect == "resolve" else project.states.reopening
    assert found(Status.DUPLICATE) == state


def test_the_states_of_a_table_are_no_rule_for_another_one():
    tasks = project_of("tasks", {"table": "sc_task", "status": {"resolved": "3"}})

    assert tasks.changed({"table": "problem"}).status.told("problem") == {}
    assert tasks.changed({"journal": "comments"}).states == tasks.states


@given(
    outbound=st.dictionaries(st.sampled_from(list(Status)), st.sampled_from("123678")),
    inbound=st.dictionaries(st.sampled_from("123678"), st.sampled_from(list(Status))),
    on_status=st.dictionaries(st.sampled_from(list(Status)), st.sampled_from(["resolve", "reopen"])),
    table=st.sampled_from(["incident", "sc_task"]),
)
def test_whatever_is_told_nothing_is_resolved_into_an_open_state_or_reopened_into_a_finished_one(
    outbound, inbound, on_status, table
):
    told = {"outbound": outbound, "inbound": inbound}
    try:
        states = project_of("any", {"table": table, "status": told, "on_status": on_status}).states
    except ServiceNowConfigError:
        return  # refused before anything is done by it; most combinations are, too many to assume them away
    for status in Status:
        resolving, reopening = states.resolving(status), states.reopening(status)
        if on_status.get(status) == "resolve" and resolving is not None:
            assert not states.is_open(resolving)
        if on_status.get(status) == "reopen" and reopening is not None:
            assert states.is_open(reopening)
