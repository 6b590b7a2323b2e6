"""The hook beyond single records: batches, files, choices, counts, and conditions that are checked."""

from __future__ import annotations

import json

import pytest

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

INCIDENTS = "/api/now/table/incident"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(table=("u_dq_ticket extends task",), column=("u_dq_ticket.u_dataset",)) as running:
        yield running


@pytest.fixture
def hook(monkeypatch, sandbox):
    connection = {
        "conn_type": "servicenow",
        "host": sandbox.url,
        "login": "svc_airflow",
        "password": "airflow-secret",
        "extra": {"batch_size": "2"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))
    made = ServiceNowHook()
    yield made
    made.close()
    sandbox.reset()


def test_a_batch_answers_in_order_under_the_ids_that_it_was_given(hook, sandbox):
    asked = [
        {"id": "a", "method": "POST", "url": INCIDENTS, "body": {"short_description": "one"}},
        {"id": 7, "method": "get", "url": f"{INCIDENTS}/{'0' * 32}", "body": None},
        {"id": "a", "method": "GET", "url": f"{INCIDENTS}?sysparm_limit=1"},
    ]
    created, missing, found = hook.batch(asked)
    assert set(created) == {"id", "status_code", "body", "error"}
    assert (created["id"], created["status_code"], created["error"]) == ("a", 201, None)
    assert created["body"]["result"]["short_description"] == "one"
    assert (missing["id"], missing["status_code"]) == (7, 404)
    assert "No Record found" in missing["error"]
    assert found["body"]["result"][0]["short_description"] == "one"
    assert [len(each.body["rest_requests"]) for each in sandbox.requests] == [2, 1]
    assert json.loads(json.dumps([created, missing, found])) == [created, missing, found]


def test_a_batch_tells_a_write_in_doubt_from_one_that_was_not_tried(hook, sandbox):
    sandbox.fail_next("drop_after", path="/batch", skip=1)
    asked = [
        {"id": str(n), "method": "POST", "url": INCIDENTS, "body": {"short_description": str(n)}}
        for n in range(5)
    ]
    answers = hook.batch(asked)
    assert [answer["error"] for answer in answers] == [None, None, "in doubt", "in doubt", "unserviced"]


@pytest.mark.parametrize(
    ("body", "words"), [({"sys_created_by": "me"}, "sys_created_by"), (["x"], "a dict or None")]
)
def test_a_batch_that_cannot_be_is_refused_before_anything_is_sent(hook, sandbox, body, words):
    sandbox.clear_requests()
    with pytest.raises(exceptions.ServiceNowConfigError, match=words):
        hook.batch(
            [
                {"id": "1", "method": "POST", "url": INCIDENTS, "body": {}},
                {"id": "2", "method": "POST", "url": INCIDENTS, "body": body},
            ]
        )
    assert sandbox.requests == []


def test_a_file_is_attached_once(hook, sandbox):
    made = hook.create_record("incident", {"short_description": "x"})
    first = hook.attach_file("incident", made["sys_id"], "rows.csv", "a,b\n1,2\n")
    assert hook.attach_file("incident", made["sys_id"], "rows.csv", b"a,b\n1,2\n") == first
    assert len(sandbox.records("sys_attachment")) == 1


def test_choices_depend_and_have_languages(hook):
    assert [item.value for item in hook.get_choices("incident", "subcategory", "database")] == [
        "db2",
        "sql server",
        "oracle",
    ]
    assert hook.get_choices("incident", "impact", language="de")[0].label == "1 - High"


def test_the_columns_of_a_custom_table_are_known(hook):
    found = hook.get_dictionary("u_dq_ticket")
    assert {"u_dataset", "short_description"} <= found.columns.keys()
    made = hook.create_record("u_dq_ticket", {"u_dataset": "sales.orders", "short_description": "x"})
    assert list(hook.find_records("u_dq_ticket", {"u_dataset": "sales.orders"}, fields=["sys_id"])) == [
        {"sys_id": made["sys_id"]}
    ]


def test_records_are_counted_by_what_they_have_in_common(hook):
    for impact in "112":
        hook.create_record("incident", {"short_description": "x", "impact": impact})
    groups = hook.aggregate_records("incident", {"short_description": "x"}, group_by=["impact"])
    assert {group.values["impact"]: group.count for group in groups} == {"1": 2, "2": 1}


@pytest.mark.parametrize("query", [{"u_no_such": "x"}, {"state": "New"}, {"caller_id.emial": "a@b.example"}])
def test_a_condition_that_the_instance_ignores_is_an_error_and_not_the_whole_table(hook, query):
    hook.create_record("incident", {"short_description": "x"})
    for read in (
        lambda: list(hook.find_records("incident", query)),
        lambda: list(hook.find_records("incident", query, fields=["number"])),
        lambda: hook.count_records("incident", query),
        lambda: hook.aggregate_records("incident", query),
    ):
        with pytest.raises(exceptions.UnsafeQueryError, match="ignore"):
            read()


def test_what_a_database_takes_for_equal_is_no_ignored_condition(hook):
    hook.create_record(
        "incident", {"short_description": "Größe", "caller_id": "46d44a23a9fe19810012d100cca80666"}
    )
    for query in (
        {"short_description": "GRÖSSE"},
        {"active": "true", "impact": "3"},
        {"caller_id.email": "BETH.ANGLIN@example.com"},
        {"assigned_to.name": ""},
        Query.where("opened_at", ">", "2026-01-01"),
        Query.where("impact", "<", 10),
        Query.where("work_notes", "ISEMPTY"),
        Query.where("caller_id", "STARTSWITH", "Beth"),
    ):
        assert len(list(hook.find_records("incident", query))) == 1, query
        (found,) = hook.find_records("incident", query, fields=["number"])
        assert set(found) == {"number"}
        assert hook.count_records("incident", query) == 1


def test_thousands_of_records_are_asked_for_at_once(hook):
    made = [hook.create_record("incident", {"short_description": str(n)})["sys_id"] for n in range(3)]
    wanted = Query.any_of("sys_id", [*made, *(f"{n:032x}" for n in range(1000))])
    assert {row["sys_id"] for row in hook.find_records("incident", wanted, fields=["sys_id"])} == set(made)
    assert hook.count_records("incident", wanted) == 3
