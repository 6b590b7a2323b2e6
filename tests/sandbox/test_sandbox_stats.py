"""The Aggregate API: counts, aggregates, groups, and who may ask."""

from __future__ import annotations

import pytest
from plain_client import error_of

DATABASE = "287ee6fea9fe198100ada7950d0b1b73"


def stats(client, table="incident", **params):
    answer = client.send("GET", f"/api/now/stats/{table}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


@pytest.fixture
def filled(client):
    for impact, urgency, group in (
        ("1", "1", DATABASE),
        ("2", "2", DATABASE),
        ("3", "3", ""),
        ("3", "3", ""),
    ):
        client.create(impact=impact, urgency=urgency, assignment_group=group)
    return client


def test_a_count_is_a_string_in_an_object(filled):
    assert stats(filled, sysparm_count="true") == {"stats": {"count": "4"}}
    assert stats(filled, sysparm_count="true", sysparm_query="priority=5") == {"stats": {"count": "2"}}
    assert stats(filled, sysparm_count="true", impact="1") == {"stats": {"count": "1"}}
    assert stats(filled) == {"stats": {}}


def test_aggregates_are_strings_by_column(filled):
    result = stats(
        filled,
        sysparm_avg_fields="impact,urgency",
        sysparm_sum_fields="impact",
        sysparm_min_fields="impact,number",
        sysparm_max_fields="impact,opened_at,closed_at",
    )["stats"]
    assert result["avg"] == {"impact": "2.2500", "urgency": "2.2500"}
    assert result["sum"] == {"impact": "9"}
    assert result["min"] == {"impact": "1", "number": "INC0010001"}
    assert result["max"]["impact"] == "3"
    assert result["max"]["closed_at"] == ""
    assert len(result["max"]["opened_at"]) == 19


def test_of_nothing_there_is_no_aggregate(client):
    result = stats(client, sysparm_count="true", sysparm_avg_fields="impact", sysparm_max_fields="impact")
    assert result == {"stats": {"count": "0", "avg": {"impact": ""}, "max": {"impact": ""}}}


def test_groups_are_a_list_with_their_columns(filled):
    assert stats(filled, sysparm_count="true", sysparm_group_by="priority,nothing") == [
        {"stats": {"count": "1"}, "groupby_fields": [{"field": "priority", "value": "1"}]},
        {"stats": {"count": "1"}, "groupby_fields": [{"field": "priority", "value": "3"}]},
        {"stats": {"count": "2"}, "groupby_fields": [{"field": "priority", "value": "5"}]},
    ]


def test_groups_can_show_what_people_see(filled):
    params = {"sysparm_count": "true", "sysparm_group_by": "assignment_group"}
    raw = [group["groupby_fields"][0] for group in stats(filled, **params)]
    shown = [group["groupby_fields"][0] for group in stats(filled, **params, sysparm_display_value="true")]
    both = [group["groupby_fields"][0] for group in stats(filled, **params, sysparm_display_value="all")]
    field = {"field": "assignment_group"}
    assert raw == [{**field, "value": ""}, {**field, "value": DATABASE}]
    assert shown == [{**field, "display_value": ""}, {**field, "display_value": "Database"}]
    assert both[1] == {**field, "display_value": "Database", "value": DATABASE}
    walked = stats(filled, sysparm_count="true", sysparm_group_by="assignment_group.name")
    assert [group["groupby_fields"][0]["value"] for group in walked] == ["", "Database"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"sysparm_having": "count^priority^>^1"}, ["5"]),
        ({"sysparm_having": "count^priority^=^1,avg^impact^<^2"}, ["1"]),
        ({"sysparm_having": "nonsense"}, ["1", "3", "5"]),
        ({"sysparm_order_by": "priority^DESC"}, ["5", "3", "1"]),
        ({"sysparm_order_by": "COUNT^DESC,priority"}, ["5", "1", "3"]),
        ({"sysparm_order_by": "AVG^impact"}, ["1", "3", "5"]),
        ({"sysparm_order_by": "SUM^impact^DESC"}, ["5", "3", "1"]),
        ({"sysparm_order_by": "nothing"}, ["1", "3", "5"]),
    ],
)
def test_groups_can_be_chosen_and_ordered(filled, params, expected):
    groups = stats(filled, sysparm_count="true", sysparm_group_by="priority", **params)
    assert [group["groupby_fields"][0]["value"] for group in groups] == expected


def test_hidden_rows_are_counted_unless_the_switch_says_otherwise(sandbox, filled):
    sandbox.configure(hidden=["incident when priority=5"])
    assert stats(filled, sysparm_count="true") == {"stats": {"count": "4"}}
    sandbox.configure(stats_hide_rows=True)
    assert stats(filled, sysparm_count="true") == {"stats": {"count": "2"}}


@pytest.mark.parametrize(
    "params",
    [
        {"sysparm_query": "caller_id=x"},
        {"sysparm_query": "caller_id.email=x^ORactive=true"},
        {"sysparm_query": "ORDERBYcaller_id"},
        {"sysparm_group_by": "caller_id"},
        {"sysparm_max_fields": "caller_id"},
    ],
)
def test_what_a_user_may_not_read_cannot_be_asked_about(sandbox, client, admin, params):
    sandbox.configure(unreadable=["incident.caller_id"])
    answer = client.send("GET", "/api/now/stats/incident", params=params)
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "Insufficient rights to query records",
        "detail": "Field(s) present in the query do not have permission to be read",
    }
    assert admin.send("GET", "/api/now/stats/incident", params=params).status_code == 200
    if "sysparm_query" in params:
        assert client.table("GET", "incident", params=params).status_code == 200
        sandbox.configure(query_acl=True)
        assert client.table("GET", "incident", params=params).status_code == 403


def test_a_table_that_a_user_may_not_read_is_named(sandbox, client):
    sandbox.configure(journal_acl=True)
    answer = client.send("GET", "/api/now/stats/sys_journal_field", params={"sysparm_count": "true"})
    assert (answer.status_code, error_of(answer)["detail"]) == (
        403,
        "No permission to read table 'sys_journal_field'",
    )


def test_unknown_tables_addresses_and_methods_are_refused(client):
    assert error_of(client.send("GET", "/api/now/stats/x_foo"))["message"] == "Invalid table x_foo"
    assert client.send("GET", "/api/now/stats/incident/more").status_code == 400
    assert client.send("POST", "/api/now/stats/incident", json={}).status_code == 405
