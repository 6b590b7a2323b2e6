"""What the instance's own dictionary says of a table, and what it does not let us see."""

from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.dictionary import read_dictionary, read_lineage
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.server import Sandbox


@pytest.fixture(scope="module")
def customised():
    """An instance with a table and columns of its administrator's own."""
    with Sandbox(
        table=("u_dq_ticket extends incident", "u_plain"),
        column=(
            "incident.u_owner_group:reference:sys_user_group",
            "u_dq_ticket.u_dataset:string:60",
            "u_dq_ticket.u_rows:integer",
            "u_plain.u_key:string:80",
        ),
    ) as sandbox:
        yield sandbox


@pytest.fixture
def table_api(customised):
    with Transport(InstanceConfig(customised.url, login="svc_airflow", password="airflow-secret")) as talk:
        yield TableApi(talk)
    customised.configure(hidden=())
    customised.clear_requests()


def test_a_table_has_its_own_columns_and_those_that_it_inherits(table_api):
    found = read_dictionary(table_api, "u_dq_ticket")
    assert found.lineage == ("u_dq_ticket", "incident", "task")
    short = found.columns["short_description"]
    assert (short.table, short.type, short.max_length, short.label) == (
        "task",
        "string",
        160,
        "Short description",
    )
    assert found.columns["category"].has_choices
    assert found.columns["u_rows"].type == "integer"
    assert found.columns["u_dataset"].max_length == 60
    group = found.columns["u_owner_group"]
    assert (group.table, group.type, group.reference) == ("incident", "reference", "sys_user_group")
    assert {"sys_id", "number", "work_notes"} <= found.columns.keys()
    # The nearest table's word counts.
    assert (found.columns["state"].table, found.columns["caller_id"].table) == ("task", "incident")


def test_a_table_that_extends_nothing_has_only_its_own(table_api):
    found = read_dictionary(table_api, "u_plain")
    assert found.lineage == ("u_plain",)
    assert "u_key" in found.columns
    assert "short_description" not in found.columns


def test_it_takes_two_requests_and_one_for_a_table_that_everybody_knows(customised, table_api):
    customised.clear_requests()
    read_dictionary(table_api, "u_dq_ticket")
    read_dictionary(table_api, "incident")
    assert [asked.path.rpartition("/")[2] for asked in customised.requests] == [
        "sys_db_object",
        "sys_dictionary",
        "sys_dictionary",
    ]


def test_a_run_asks_once(customised, table_api):
    names = Names(table_api)
    names.dictionary("incident")
    customised.clear_requests()
    assert names.dictionary("incident").columns["number"]
    assert customised.requests == []


def test_what_may_not_be_read_is_unknown_and_not_empty(customised, table_api):
    customised.configure(hidden=("sys_dictionary",))
    assert read_dictionary(table_api, "incident") is None
    customised.configure(hidden=("sys_db_object",))
    assert read_lineage(table_api, "u_dq_ticket") == ()
    # Without knowing what it extends, every inherited column would seem not to be there.
    assert read_dictionary(table_api, "u_dq_ticket") is None
    assert read_dictionary(table_api, "incident").columns["number"]


def test_a_table_that_is_not_there_has_no_dictionary(table_api):
    assert read_dictionary(table_api, "u_no_such_table") is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("short_desciption", "short_description"),
        ("Short description", "short_description"),
        ("assignement_group", "assignment_group"),
        ("dataset", "u_dataset"),
        ("u_short_description", "short_description"),
        ("owner_group", "u_owner_group"),
        ("qqqqqqqq", None),
    ],
)
def test_the_nearest_column_is_named(table_api, name, nearest):
    assert read_dictionary(table_api, "u_dq_ticket").nearest(name) == nearest
