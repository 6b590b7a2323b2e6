"""Rules for opening tickets: read from a connection, and refused in words where they make no sense."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.loading import find_project, load_projects
from airflow_provider_servicenow_dq.projects.project import Project

SALES = {
    "table": "u_data_issue",
    "fields": {"assignment_group": "Sales Data", "u_layer": 3},
    "severity": {"high": [1, 1]},
    "priority_pairs": {"2": ["2", "1"]},
    "on_refire": "new",
    "reopen_window": "P1D",
    "mute_for": 3600,
    "group_by": "dataset",
    "min_severity": "medium",
    "max_new_tickets": 5,
}


def check(project):
    """Assert that a project is the one that ``SALES`` describes."""
    assert (project.id, project.table, project.on_refire) == ("sales", "u_data_issue", "new")
    assert project.fields == {"assignment_group": "Sales Data", "u_layer": "3"}
    assert (project.reopen_window, project.mute_for) == (timedelta(days=1), timedelta(hours=1))
    assert (project.group_by, project.min_severity, project.max_new_tickets) == ("dataset", "medium", 5)
    assert project.pair_for_severity("high") == ("1", "1")
    assert project.pair_for_priority("2") == ("2", "1")


@pytest.mark.parametrize(
    "form",
    [
        pytest.param([{"id": "sales", **SALES}], id="a list"),
        pytest.param({"sales": SALES}, id="a mapping by id"),
        pytest.param(json.dumps([{"id": "sales", **SALES}]), id="a list as JSON text"),
        pytest.param(json.dumps({"sales": SALES}), id="a mapping as JSON text"),
    ],
)
def test_projects_are_read_in_every_form(form):
    projects = load_projects(form)

    assert projects.keys() == {"default", "sales"}
    check(find_project(projects, "sales"))


@pytest.mark.parametrize("nothing", [None, "", "  ", [], {}])
def test_without_any_the_built_in_one_is_there(nothing):
    assert load_projects(nothing) == {"default": Project()}


@pytest.mark.parametrize("name", [None, "", "default"])
def test_the_built_in_project_is_taken_for_no_name(name):
    assert find_project(load_projects(None), name) == Project()


def test_a_project_called_default_takes_the_place_of_the_built_in_one():
    assert find_project(load_projects({"default": {"max_new_tickets": 7}}), None).max_new_tickets == 7


def test_a_project_without_an_id_is_the_default():
    assert find_project(load_projects([{"on_refire": "note"}]), None).on_refire == "note"


def test_what_a_project_does_not_say_is_as_in_the_built_in_one():
    project = find_project(load_projects({"sales": {}}), "sales")

    assert project == Project(id="sales")
    assert project.pair_for_severity("low") == ("2", "3")
    assert project.pair_for_priority("1") == ("1", "1")
    assert (project.reopen_window, project.mute_for) == (timedelta(hours=72), timedelta(days=30))
    assert (project.max_new_tickets, project.min_severity, project.group_by) == (50, "info", None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"sales": {"max_new_ticket": 5}}, r"Project 'sales', at max_new_ticket: .*'max_new_tickets'"),
        ([{"id": "sales", "onrefire": "new"}], r"Project 'sales', at onrefire: .*'on_refire'"),
        ([{"colour": "red"}], r"Project 0, at colour: .*Known: .*fields, group_by"),
        ({"sales": {"on_refire": "explode"}}, r"at on_refire: .*'reopen', 'new', 'note' or 'nothing'"),
        ({"sales": {"max_new_tickets": 0}}, r"at max_new_tickets: .*greater than or equal to 1"),
        ({"sales": {"table": "incident^active=true"}}, r"at table: "),
        ({"sales": {"severity": {"terrible": [1, 1]}}}, r"at severity\.terrible"),
        ({"sales": {"severity": {"high": [1]}}}, r"at severity\.high"),
        ({"sales": {"severity": {"high": ["one", "two"]}}}, r"at severity\.high"),
        ({"sales": {"reopen_window": "soon"}}, r"at reopen_window"),
        ({"sales": {"fields": {"category": None}}}, r"at fields: .*category must be a text"),
        ({"sales": {"routes": [{"fields": {}, "mach": {}}]}}, r"at routes\.0\.mach: .*Did you mean 'match'"),
        (
            {"sales": {"routes": [{"match": {"datset": "x"}, "fields": {}}]}},
            r"at routes\.0\.match\.datset: .*Did you mean 'dataset'",
        ),
        ({"sales": {"routes": [{"match": {}}]}}, r"at routes\.0\.fields: Field required"),
        (
            {"sales": {"routes": [{"match": {"dataset": "regex:("}, "fields": {}}]}},
            r"at routes\.0\.match\.dataset: .*is no regular expression",
        ),
        (
            {"sales": {"routes": [{"match": {"severity": "bad"}, "fields": {}}]}},
            r"routes\.0\.match\.severity",
        ),
        ({"sales": {"on_status": {"acknoledged": "nothing"}}}, r"on_status.*Did you mean 'acknowledged'"),
        ({"sales": {"on_status": {"resolved": "close"}}}, r"at on_status\.resolved"),
        ({"sales": {"sync": "both"}}, r"at sync\.status: .*'bidirectional'"),
        ({"sales": {"sync": {"stauts": "none"}}}, r"at sync\.stauts: .*Did you mean 'status'"),
        ({"sales": {"journal": "notes"}}, r"at journal: .*'work_notes' or 'comments'"),
        ({"sales": {"key_field": "a^b"}}, "at key_field: "),
        ({"sales": {"key": "sales data"}}, "at key: "),
        ({"sales": {"priority": {"high": "P9"}}}, r"at priority\.high: .*1 to 5 or P1 to P5"),
        (
            {"sales": {"priority": {"high": 1}, "impact_mapping": {"high": 1}}},
            r"Project 'sales': .*high is in priority and in impact_mapping or urgency_mapping; say it once",
        ),
        ({"sales": ["table"]}, r"projects\['sales'\] must be a mapping of settings, not list"),
        (["sales"], r"projects\[0\] must be a mapping of settings, not str"),
        (7, "projects must be a list of projects, or a mapping of them by id"),
        ('{"sales": ', "projects is not JSON"),
        ('"sales"', "projects must be a list"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_that_name_the_place(source, words):
    with pytest.raises(ServiceNowConfigError, match=words):
        load_projects(source)


def test_a_project_that_is_not_there_is_refused_with_the_nearest_name():
    projects = load_projects({"sales": {}, "finance": {}})

    with pytest.raises(ServiceNowConfigError, match=r"no project 'slaes'\. Did you mean 'sales'\?"):
        find_project(projects, "slaes")
    with pytest.raises(ServiceNowConfigError, match="Known: default, finance, sales"):
        find_project(projects, "zzz")


def test_a_project_is_found_by_its_key_too():
    projects = load_projects([{"id": "5d2f0c3e-0b5a-4b6e-9c57-1d2a3b4c5d6e", "key": "DQ"}, {"key": "OPS"}])

    assert find_project(projects, "DQ") is find_project(projects, "5d2f0c3e-0b5a-4b6e-9c57-1d2a3b4c5d6e")
    assert find_project(projects, "OPS").id == "OPS"
    with pytest.raises(ServiceNowConfigError, match="Did you mean 'OPS'"):
        find_project(projects, "OP")


def test_a_key_that_several_projects_have_is_refused():
    with pytest.raises(ServiceNowConfigError, match="'DQ' twice"):
        load_projects([{"id": "one", "key": "DQ"}, {"id": "two", "key": "DQ"}])
    with pytest.raises(ServiceNowConfigError, match="Several projects have the key 'DQ': 'one', 'two'"):
        find_project({"one": Project(id="one", key="DQ"), "two": Project(id="two", key="DQ")}, "DQ")


def test_one_word_for_sync_stands_for_both():
    (project,) = [p for p in load_projects({"sales": {"sync": "outbound"}}).values() if p.id == "sales"]

    assert (project.sync.status, project.sync.comments) == ("outbound", "outbound")


def test_the_key_field_of_a_table_is_none_for_another_one():
    project = Project(id="sales", table="u_issue", key_field="u_key")

    assert project.changed({"table": "incident"}).key_field is None
    assert project.changed({"table": "u_issue", "on_refire": "new"}).key_field == "u_key"


def test_two_projects_of_one_id_are_refused():
    with pytest.raises(ServiceNowConfigError, match="'sales' twice"):
        load_projects([{"id": "sales", "table": "incident"}, {"id": "sales", "table": "problem"}])


def test_an_operators_rules_take_the_place_of_the_projects():
    project = find_project(load_projects({"sales": SALES}), "sales")

    changed = project.changed({"table": "incident", "max_new_tickets": "9"})

    assert (changed.table, changed.max_new_tickets) == ("incident", 9)
    assert changed.model_dump(exclude={"table", "max_new_tickets"}) == project.model_dump(
        exclude={"table", "max_new_tickets"}
    )
    assert project.changed({}) is project


def test_a_rule_that_makes_no_sense_is_refused_with_the_projects_name():
    with pytest.raises(ServiceNowConfigError, match="Project 'sales', at on_refire"):
        Project(id="sales").changed({"on_refire": "explode"})


def test_a_project_cannot_be_changed_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        Project().table = "problem"
