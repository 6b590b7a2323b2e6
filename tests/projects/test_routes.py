"""Which columns an anomaly's ticket gets: the project's, the first route's that matches, the owner's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.desk.order import Order, payload
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.project import Project, project_of

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def anomaly(**fields):
    return Anomaly(**{"source": "dbt", "dataset": "sales.orders", "check_name": "nulls", **fields})


def fields_of(rules, found=None, columns=None, priority=None):
    """Return the columns that would be sent."""
    order = Order(project_of("sales", rules), columns or {}, priority)
    return payload(order, found or anomaly(), correlation_id="dq:x", now=NOW, run="")["fields"]


def matches(match, **fields):
    project = project_of("sales", {"routes": [{"match": match, "fields": {"category": "hit"}}]})
    return "category" in project.columns_for(anomaly(**fields))


@pytest.mark.parametrize(
    ("match", "fields", "hit"),
    [
        ({"dataset": "sales.*"}, {"dataset": "sales.orders"}, True),
        ({"dataset": "sales.*"}, {"dataset": "SALES.ORDERS"}, True),
        ({"dataset": "sales.*"}, {"dataset": "wholesales.orders"}, False),
        ({"dataset": "sales.*"}, {"dataset": "sales"}, False),
        ({"dataset": "sales.order?"}, {"dataset": "sales.orders"}, True),
        ({"dataset": ["hr.*", "sales.*"]}, {"dataset": "sales.orders"}, True),
        ({"dataset": r"regex:sales\.(orders|returns)"}, {"dataset": "sales.returns"}, True),
        ({"dataset": r"regex:sales\.(orders|returns)"}, {"dataset": "sales.returns_old"}, False),
        ({"source": "dbt"}, {}, True),
        ({"source": ["soda", "qualytics"]}, {}, False),
        ({"tags": "finance"}, {"tags": ["pii", "finance"]}, True),
        ({"tags": "team:*"}, {"tags": ["team:sales"]}, True),
        ({"tags": "finance"}, {"tags": []}, False),
        ({"severity": "critical"}, {"severity": "critical"}, True),
        ({"severity": ["Critical", "HIGH"]}, {"severity": "high"}, True),
        ({"severity": "critical"}, {"severity": "high"}, False),
        ({"dataset": "sales.*", "severity": "critical"}, {"severity": "high"}, False),
        ({"dataset": "sales.*", "severity": "high"}, {"severity": "high"}, True),
        ({}, {}, True),
    ],
)
def test_a_route_matches_when_everything_that_it_names_fits(match, fields, hit):
    assert matches(match, **fields) is hit


def test_the_first_route_that_matches_decides_over_the_projects_own_columns():
    rules = {
        "fields": {"category": "software", "contact_type": "email"},
        "routes": [
            {"match": {"dataset": "hr.*"}, "fields": {"category": "hr"}},
            {"match": {"dataset": "sales.*"}, "fields": {"category": "sales {check_name}"}},
            {"match": {}, "fields": {"category": "anything"}},
        ],
    }

    sent = fields_of(rules)

    assert (sent["category"], sent["contact_type"]) == ("sales nulls", "email")
    assert fields_of(rules, anomaly(dataset="x"))["category"] == "anything"


def test_an_operators_column_goes_before_a_routes():
    rules = {"routes": [{"match": {}, "fields": {"category": "sales"}}]}

    assert fields_of(rules, columns={"category": "network"})["category"] == "network"


def test_numbers_booleans_and_lists_are_columns_too():
    rules = {"fields": {"u_layer": 3, "knowledge": True}, "routes": [{"fields": {"watch_list": ["a", "b"]}}]}

    sent = fields_of(rules)

    assert (sent["u_layer"], sent["knowledge"], sent["watch_list"]) == ("3", "true", "a,b")


@pytest.mark.parametrize(
    ("owner", "assignee"),
    [("jane@acme.example", "beth.anglin"), ("JANE@acme.example", "beth.anglin"), ("joe", None), (None, None)],
)
def test_an_owner_is_assigned_by_the_projects_list(owner, assignee):
    sent = fields_of({"assignees": {"jane@acme.example": "beth.anglin"}}, anomaly(owner=owner))

    assert sent.get("assigned_to") == assignee


def test_an_owners_assignee_goes_before_the_columns_of_the_project_but_not_of_the_operator():
    rules = {"fields": {"assigned_to": "default.user"}, "assignees": {"jane": "beth.anglin"}}

    assert fields_of(rules, anomaly(owner="jane"))["assigned_to"] == "beth.anglin"
    assert fields_of(rules, anomaly(owner="joe"))["assigned_to"] == "default.user"
    asked = fields_of(rules, anomaly(owner="jane"), columns={"assigned_to": "fred.luddy"})
    assert asked["assigned_to"] == "fred.luddy"


def test_an_assignee_with_braces_is_no_template():
    assert fields_of({"assignees": {"jane": "{x}"}}, anomaly(owner="jane"))["assigned_to"] == "{x}"


@pytest.mark.parametrize(
    ("rules", "pair"),
    [
        ({}, ("1", "2")),
        ({"severity": {"high": [3, 1]}}, ("3", "1")),
        ({"impact_mapping": {"high": 3}}, ("3", "2")),
        ({"urgency_mapping": {"high": "3"}}, ("1", "3")),
        ({"impact_mapping": {"high": 2}, "urgency_mapping": {"high": 1}}, ("2", "1")),
        ({"priority": {"high": "P5"}}, ("3", "3")),
        ({"priority": {"high": 5}, "priority_pairs": {"5": [4, 4]}}, ("4", "4")),
        ({"fields": {"impact": 3}}, ("3", "2")),
    ],
)
def test_impact_and_urgency_are_what_the_project_makes_of_the_severity(rules, pair):
    sent = fields_of(rules, anomaly(severity="high"))

    assert (sent["impact"], sent["urgency"]) == pair


@pytest.mark.parametrize(
    ("columns", "priority", "rules", "pair", "wish"),
    [
        ({"impact": "3"}, "1", {}, ("3", "1"), None),
        ({}, "1", {"fields": {"impact": "3", "urgency": "3"}}, ("1", "1"), "1"),
        ({}, "P4", {"priority": {"high": 1}}, ("2", "3"), "4"),
        ({}, None, {"priority": {"high": 1}}, ("1", "1"), "1"),
        ({}, None, {"priority": {"high": 1}, "fields": {"urgency": 2}}, ("1", "2"), None),
        ({}, None, {"priority": {"low": 1}}, ("1", "2"), None),
    ],
)
def test_plain_values_beat_a_wish_that_beats_the_project_that_beats_the_severity(
    columns, priority, rules, pair, wish
):
    order = Order(project_of("sales", rules), columns, priority)

    made = payload(order, anomaly(severity="high"), correlation_id="dq:x", now=NOW, run="")

    assert (made["fields"]["impact"], made["fields"]["urgency"]) == pair
    assert made["wish"] == wish


@pytest.mark.parametrize("place", [{"fields": {"sys_id": "x"}}, {"routes": [{"fields": {"number": "1"}}]}])
def test_columns_that_are_not_the_users_are_refused_wherever_they_stand(place):
    with pytest.raises(ServiceNowConfigError, match="not yours to write"):
        Order(project_of("sales", place))


def test_the_key_field_is_not_the_users_either():
    with pytest.raises(ServiceNowConfigError, match="u_key cannot be set"):
        Order(Project(table="u_issue", key_field="u_key", fields={"u_key": "mine"}))


@settings(max_examples=60)
@given(dataset=st.text(min_size=1, max_size=30).filter(str.strip))
def test_a_dataset_written_as_it_is_or_as_a_star_always_matches_itself(dataset):
    try:
        found = anomaly(dataset=dataset)
    except ValueError:
        return
    literal = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in dataset)
    plain = dataset.startswith("regex:")

    assert plain or matches({"dataset": literal}, dataset=found.dataset)
    assert matches({"dataset": "*"}, dataset=found.dataset)
