"""The form specification: live choices, kept for an hour, and still a form when they cannot be had."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest

from airflow_provider_servicenow_dq.desk import form
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import forms
from airflow_provider_servicenow_dq.store.store import Store
from airflow_provider_servicenow_dq.tickets.choices import built_in

NAMES = [
    "short_description",
    "description",
    "priority",
    "urgency",
    "impact",
    "category",
    "subcategory",
    "assignment_group",
    "assigned_to",
]


def specification(desk, project=None, *, table="incident", **options):
    return form.form_specification(desk, project or Project(), table=table, **options)


def field(found, name):
    return next(each for each in found["fields"] if each["name"] == name)


def values(found, name):
    return [choice["value"] for choice in field(found, name)["choices"]]


def later(desk, **wait):
    now = desk.now() + timedelta(**wait)
    return dataclasses.replace(desk, now=lambda: now)


def test_it_has_the_fields_of_the_seeds_form_with_the_choices_of_the_instance(desk, sandbox):
    found = specification(desk)
    assert found == json.loads(json.dumps(found))
    assert [each["name"] for each in found["fields"]] == NAMES
    assert [each["name"] for each in found["fields"] if each["required"]] == ["short_description"]
    assert (found["is_live"], found["age"], found["notes"]) == (True, 0, [])
    assert found["instance"] == desk.host
    assert field(found, "priority")["choices"][0] == {"value": "1", "label": "1 - Critical"}
    assert "database" in values(found, "category")
    assert field(found, "short_description")["max_length"] == 160
    sources = {each["name"]: each["source"] for each in found["fields"]}
    assert {name: sources[name] for name in ("category", "assignment_group", "assigned_to")} == {
        "category": "instance",
        "assignment_group": "instance",
        "assigned_to": None,
    }


def test_a_subcategory_says_to_which_category_it_belongs(desk):
    subcategory = field(specification(desk), "subcategory")
    assert subcategory["depends_on"] == "category"
    of = {(each["depends_on"], each["value"]) for each in subcategory["choices"]}
    assert {("software", "email"), ("inquiry", "email"), ("database", "db2")} <= of


def test_groups_are_the_active_ones_by_name_and_come_with_their_sys_id(desk, sandbox):
    groups = field(specification(desk), "assignment_group")["choices"]
    # Those that hold an administrator's role are not shown to others.
    seen = [row for row in sandbox.records("sys_user_group") if row["active"] == "true" and not row["roles"]]
    assert {each["value"] for each in groups} == {row["sys_id"] for row in seen}
    labels = [each["label"] for each in groups]
    assert labels == sorted(labels, key=str.casefold)
    assert len(set(labels)) == len(labels)


def test_more_groups_than_a_form_bears_are_cut_and_the_form_says_so(desk, sandbox, monkeypatch):
    monkeypatch.setattr(form, "MOST_GROUPS", 2)
    found = specification(desk)
    assert len(values(found, "assignment_group")) == 2
    assert any("more groups" in note for note in found["notes"])


def test_another_table_inherits_choices_and_gets_none_of_an_incidents(desk):
    found = specification(desk, table="change_request")
    assert field(found, "impact")["source"] == "instance"
    assert values(found, "impact") == ["1", "2", "3"]
    assert (values(found, "category"), field(found, "category")["source"]) == ([], None)


def test_the_instance_is_asked_for_a_form_with_four_requests_and_then_not_for_an_hour(desk, sandbox):
    specification(desk)
    asked = len(sandbox.requests)
    assert asked <= 4
    again = specification(later(desk, minutes=59))
    assert len(sandbox.requests) == asked
    assert (again["is_live"], again["age"]) == (True, 59 * 60)
    assert specification(later(desk, minutes=61))["age"] == 0
    assert len(sandbox.requests) == 2 * asked


def test_who_wants_it_at_once_makes_the_instance_be_asked(desk, sandbox):
    specification(desk)
    asked = len(sandbox.requests)
    assert specification(later(desk, minutes=5), refresh=True)["age"] == 0
    assert len(sandbox.requests) == 2 * asked


def test_languages_and_tables_are_kept_apart(desk, sandbox):
    specification(desk)
    asked = len(sandbox.requests)
    specification(desk, language="de")
    specification(desk, table="problem")
    assert len(sandbox.requests) == 3 * asked
    specification(desk)
    specification(desk, language="de")
    assert len(sandbox.requests) == 3 * asked


def test_an_instance_that_is_down_leaves_what_it_told_last_with_its_age(desk, sandbox):
    before = specification(desk)
    sandbox.configure(availability="hibernating")
    try:
        found = specification(later(desk, hours=3))
    finally:
        sandbox.configure(availability="up")
    assert found["fields"] == before["fields"]
    assert (found["is_live"], found["age"]) == (False, 3 * 3600)
    assert found["read_at"] == before["read_at"]
    assert any("could not be asked" in note for note in found["notes"])


def test_an_instance_that_never_told_leaves_the_choices_of_the_base_system(desk, sandbox):
    sandbox.configure(availability="hibernating")
    try:
        found = specification(desk)
    finally:
        sandbox.configure(availability="up")
    assert (found["is_live"], found["read_at"], found["age"]) == (False, None, None)
    assert field(found, "category")["source"] == "built-in"
    assert values(found, "impact") == ["1", "2", "3"]
    assert values(found, "assignment_group") == []


def test_without_the_role_to_read_choices_those_of_the_base_system_are_offered_and_the_role_is_named(
    desk, sandbox
):
    sandbox.configure(hidden=("sys_choice",))
    found = specification(desk)
    sources = {each["name"]: each["source"] for each in found["fields"]}
    assert {sources[name] for name in ("priority", "urgency", "impact", "category", "subcategory")} == {
        "built-in"
    }
    assert sources["assignment_group"] == "instance"
    (note,) = found["notes"]
    assert "sys_choice" in note
    assert "role" in note


def test_without_the_role_to_read_groups_the_rest_is_live_and_the_role_is_named(desk, sandbox):
    sandbox.configure(hidden=("sys_user_group",))
    found = specification(desk)
    assert values(found, "assignment_group") == []
    assert field(found, "category")["source"] == "instance"
    (note,) = found["notes"]
    assert "sys_user_group" in note


def test_what_is_built_in_is_what_a_new_instance_has(desk):
    """The judge is the sandbox's own demo data, which was written from the documentation apart from ours."""
    found = specification(desk)
    for name in ("priority", "urgency", "impact", "category", "subcategory"):
        own = {
            (each["value"], each["label"], each.get("depends_on", ""))
            for each in field(found, name)["choices"]
        }
        assert own == set(built_in("incident", name))


def test_defaults_are_the_projects_and_a_group_by_name_becomes_its_sys_id(desk, sandbox):
    project = Project(
        id="dq",
        fields={
            "category": "database",
            "assignment_group": "service desk",
            "short_description": "{check_name} on {dataset}",
            "description": "Look {{here}}",
            "subcategory": "no such thing",
        },
    )
    found = specification(desk, project)
    (group,) = [row for row in sandbox.records("sys_user_group") if row["name"] == "Service Desk"]
    defaults = {each["name"]: each["default"] for each in found["fields"]}
    assert found["project"] == "dq"
    assert defaults["category"] == "database"
    assert defaults["assignment_group"] == group["sys_id"]
    assert defaults["short_description"] is None
    assert defaults["description"] == "Look {here}"
    (note,) = found["notes"]
    assert "'no such thing'" in note


def test_a_store_that_cannot_be_used_does_not_keep_the_instance_from_being_asked(desk, tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_text("this is no database" * 100)
    found = specification(dataclasses.replace(desk, store=Store(f"sqlite:///{broken}")))
    assert found["is_live"]
    assert "database" in values(found, "category")
    assert any("store" in note for note in found["notes"])


def test_what_another_version_has_kept_is_read_anew(desk, sandbox):
    with desk.store.begin() as connection:
        forms.remember(
            connection, desk.host, "incident", form.kept_as("en"), {"schema_version": 0}, read_at=desk.now()
        )
    assert "database" in values(specification(desk), "category")


@pytest.mark.parametrize("conn_id", ["mine", "another"])
def test_a_connection_finds_the_form_of_the_instance_that_it_led_to(desk, conn_id):
    from airflow_provider_servicenow_dq.store import instances

    with desk.store.begin() as connection:
        instances.learn(connection, desk.host, conn_id="mine")
        instances.learn(connection, "older.example.com", conn_id="mine")
        for host, at in ((desk.host, desk.now()), ("older.example.com", desk.now() - timedelta(days=1))):
            forms.remember(connection, host, "incident", "form/en", {}, read_at=at)
    with desk.store.snapshot() as connection:
        found = forms.newest(connection, conn_id, "incident", "form/en")
    assert (found and found.host) == (desk.host if conn_id == "mine" else None)
