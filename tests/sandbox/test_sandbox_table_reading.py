"""What the Table API answers to a reader: the shape of values, and pages."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from plain_client import error_of

NOT_FOUND = {
    "message": "No Record found",
    "detail": "Record doesn't exist or ACL restricts the record retrieval",
}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"link": "{url}/api/now/table/sys_user/{id}", "value": "{id}"}),
        ({"sysparm_exclude_reference_link": "true"}, "{id}"),
        (
            {"sysparm_display_value": "true"},
            {"display_value": "Airflow Service", "link": "{url}/api/now/table/sys_user/{id}"},
        ),
        (
            {"sysparm_display_value": "true", "sysparm_exclude_reference_link": "true"},
            "Airflow Service",
        ),
        (
            {"sysparm_display_value": "all"},
            {
                "display_value": "Airflow Service",
                "link": "{url}/api/now/table/sys_user/{id}",
                "value": "{id}",
            },
        ),
        (
            {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"},
            {"display_value": "Airflow Service", "value": "{id}"},
        ),
    ],
)
def test_a_reference_has_the_shape_that_was_asked_for(client, parameters, expected):
    record = client.create()

    def filled(shape):
        if isinstance(shape, dict):
            return {key: filled(value) for key, value in shape.items()}
        return shape.format(url=client.url, id=record["opened_by"])

    answer = client.table("GET", f"incident/{record['sys_id']}", params=parameters)

    assert answer.json()["result"]["opened_by"] == filled(expected)


def test_empty_references_are_empty_strings_or_pairs_of_them(client):
    sys_id = client.create()["sys_id"]
    assert client.table("GET", f"incident/{sys_id}").json()["result"]["caller_id"] == ""
    both = client.read(sys_id, sysparm_display_value="all")["caller_id"]
    assert both == {"display_value": "", "value": ""}


def test_display_values_are_labels_and_the_users_own_time(sandbox, client):
    sandbox.configure(time_zone="America/Los_Angeles")
    sys_id = client.create(impact="2", urgency="2")["sys_id"]
    record = client.read(
        sys_id, sysparm_display_value="all", sysparm_fields="priority,state,opened_at,active"
    )
    assert record["priority"] == {"display_value": "3 - Moderate", "value": "3"}
    assert record["state"] == {"display_value": "New", "value": "1"}
    assert record["active"] == {"display_value": "true", "value": "true"}
    assert record["opened_at"]["display_value"] != record["opened_at"]["value"]


def test_fields_may_be_dot_walked_and_unknown_ones_are_left_out(client):
    sys_id = client.create()["sys_id"]
    record = client.read(
        sys_id, sysparm_fields="number,opened_by.email,opened_by.manager,bogus,caller_id.email"
    )
    assert record == {
        "number": "INC0010001",
        "opened_by.email": "svc_airflow@example.com",
        "opened_by.manager": "",
        "caller_id.email": "",
    }


def test_a_parent_table_has_the_records_of_its_children_with_its_own_columns(client):
    sys_id = client.create(short_description="from below")["sys_id"]
    record = client.read(sys_id, "task")
    assert record["sys_class_name"] == "incident"
    assert "caller_id" not in record
    assert [row["number"] for row in client.find("short_description=from below", "task")] == ["INC0010001"]
    assert client.update(sys_id, "task", short_description="from above").status_code == 200
    assert client.read(sys_id)["short_description"] == "from above"


def test_of_a_repeated_parameter_the_first_counts(client):
    for _ in range(3):
        client.create()
    assert len(client.table("GET", "incident?sysparm_limit=1&sysparm_limit=2").json()["result"]) == 1


def test_an_empty_list_is_404_in_version_1_and_empty_since(client):
    assert client.send("GET", "/api/now/v1/table/incident").status_code == 404
    for version in ("", "/v2"):
        answer = client.send("GET", f"/api/now{version}/table/incident")
        assert (answer.status_code, answer.json()) == (200, {"result": []})


def test_pages_are_linked_with_offset_and_limit_at_the_end(client):
    for _ in range(5):
        client.create()
    params = {
        "sysparm_limit": "2",
        "sysparm_query": "ORDERBYnumber",
        "sysparm_offset": "2",
        "sysparm_fields": "number,state",
    }
    answer = client.table("GET", "incident", params=params)

    assert answer.headers["X-Total-Count"] == "5"
    base = f"{client.url}/api/now/table/incident?sysparm_query=ORDERBYnumber&sysparm_fields=number,state"
    assert unquote(answer.headers["Link"]) == ",".join(
        f'<{base}&sysparm_offset={offset}&sysparm_limit=2>;rel="{name}"'
        for name, offset in [("first", 0), ("prev", 0), ("next", 4), ("last", 4)]
    )
    assert [row["number"] for row in answer.json()["result"]] == ["INC0010003", "INC0010004"]


def test_one_page_has_no_links_and_both_headers_can_be_turned_off(client):
    for _ in range(3):
        client.create()
    assert "Link" not in client.table("GET", "incident").headers
    answer = client.table("GET", "incident?sysparm_limit=1&sysparm_suppress_pagination_header=true")
    assert "Link" not in answer.headers
    answer = client.table("GET", "incident?sysparm_limit=1&sysparm_no_count=true")
    assert "X-Total-Count" not in answer.headers
    assert 'rel="last"' not in answer.headers["Link"]


def test_a_list_that_nobody_ordered_is_shuffled(client):
    for _ in range(8):
        client.create()
    orders = {tuple(row["number"] for row in client.find("")) for _ in range(5)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(next(iter(orders)))}


def test_hidden_rows_are_counted_and_cut_into_pages_but_not_answered(sandbox, client, admin):
    sandbox.configure(hidden=["incident when short_descriptionSTARTSWITHsecret"])
    for text in ("secret 1", "open", "secret 2"):
        admin.create(short_description=text)
    answer = client.table("GET", "incident?sysparm_query=ORDERBYnumber&sysparm_limit=2")
    assert answer.headers["X-Total-Count"] == "3"
    assert [row["short_description"] for row in answer.json()["result"]] == ["open"]
    hidden = sandbox.records("incident")[0]["sys_id"]
    assert error_of(client.table("GET", f"incident/{hidden}")) == NOT_FOUND
    assert client.update(hidden, state="2").status_code == 404


def test_choices_of_a_dependent_field_are_read_from_sys_choice(client):
    query = (
        "name=incident^element=subcategory^dependent_value=database^inactive=false^language=en"
        "^ORDERBYsequence"
    )
    rows = client.find(query, "sys_choice", sysparm_fields="value,label,dependent_value,sequence")
    assert rows == [
        {"value": "db2", "label": "DB2", "dependent_value": "database", "sequence": "1"},
        {"value": "sql server", "label": "MS SQL Server", "dependent_value": "database", "sequence": "2"},
        {"value": "oracle", "label": "Oracle", "dependent_value": "database", "sequence": "3"},
    ]


@pytest.mark.parametrize("has_last", [False, True])
def test_whether_there_is_a_last_page_without_a_count_is_a_switch(sandbox, client, has_last):
    sandbox.configure(no_count_last_link=has_last)
    for _ in range(2):
        client.create()
    answer = client.table("GET", "incident?sysparm_limit=1&sysparm_no_count=true")
    assert ('rel="last"' in answer.headers["Link"]) is has_last
    assert "X-Total-Count" not in answer.headers
