"""People write names and columns; the ticket gets what can be stored, and they are told of the rest."""

from __future__ import annotations

import pytest
from reporting import anomaly, report
from worlds import World

from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.projects.project import Project

BETH = "46d44a23a9fe19810012d100cca80666"
FRED = "5137153cc611227c000bbd1bd8cd2005"

COLUMNS = (
    "incident.u_owner_group:reference:sys_user_group",
    "incident.u_steward:reference:sys_user",
    "incident.u_services:list:cmdb_ci_service",
    "incident.u_dataset:string:60",
    "incident.u_rows:integer",
)


@pytest.fixture
def world(store_url):
    with World(store_url, timeout_s=1.0, column=COLUMNS) as running:
        yield running


def opened(world, /, **columns):
    """Open one ticket with these columns; return its record and its warnings."""
    opening = report(world.desk(), anomaly(), order=Order(Project(), columns))
    (result,) = opening.results
    assert result["action"] == "created"
    (record,) = world.sandbox.records("incident")
    return record, result["warnings"]


def named(world, table, name):
    return next(
        row["sys_id"] for row in world.sandbox.records(table) if name in {row.get("name"), row.get("number")}
    )


def test_any_column_of_the_customers_own_is_written(world):
    record, warnings = opened(world, u_dataset="sales.orders", u_rows="12", knowledge="true")
    assert (record["u_dataset"], record["u_rows"], record["knowledge"]) == ("sales.orders", "12", "true")
    assert warnings == []


def test_a_name_in_a_reference_of_the_customers_own_becomes_a_sys_id(world):
    group = named(world, "sys_user_group", "Data Quality")
    services = [named(world, "cmdb_ci_service", name) for name in ("Data Warehouse", "Flight Operations")]
    record, warnings = opened(
        world,
        u_owner_group="data quality",
        u_steward="beth.anglin@example.com",
        u_services="Data Warehouse, Flight Operations",
    )
    assert (record["u_owner_group"], record["u_steward"]) == (group, BETH)
    assert record["u_services"] == ",".join(services)
    assert warnings == []


def test_lists_of_people_take_names_and_addresses_of_others(world):
    record, warnings = opened(
        world,
        watch_list="beth.anglin, Fred Luddy,team@partner.example,beth.anglin, Nobody At All",
        work_notes_list=BETH,
    )
    assert record["watch_list"] == f"{BETH},{FRED},team@partner.example"
    assert record["work_notes_list"] == BETH
    assert warnings == ["watch_list: nothing on the instance is called 'Nobody At All', so it was left empty"]


def test_a_name_that_nothing_has_is_left_out_of_any_reference(world):
    record, warnings = opened(
        world, u_owner_group="No Such Group", cmdb_ci="no.such.item", assigned_to="nobody"
    )
    assert (record["u_owner_group"], record["cmdb_ci"], record["assigned_to"]) == ("", "", "")
    assert sorted(warning.partition(":")[0] for warning in warnings) == [
        "assigned_to",
        "cmdb_ci",
        "u_owner_group",
    ]


def test_two_of_a_name_in_a_column_of_the_customers_own_are_an_error(world):
    opening = report(world.desk(), anomaly(), order=Order(Project(), {"u_owner_group": "Analytics Support"}))
    assert "2 records of sys_user_group match 'Analytics Support'" in opening.failures[0]
    assert world.sandbox.records("incident") == []


def test_a_column_that_is_not_there_is_a_warning_with_the_nearest_name(world):
    record, warnings = opened(world, u_data_set="sales.orders", business_servise="Data Warehouse")
    assert "u_data_set" not in record
    assert warnings == [
        "u_data_set: incident has no such column, so it was left out; did you mean 'u_dataset'?",
        "business_servise: incident has no such column, so it was left out; did you mean 'business_service'?",
    ]


def test_without_a_dictionary_to_read_columns_go_as_they_are(world):
    world.sandbox.configure(hidden=("sys_dictionary",))
    group = named(world, "sys_user_group", "Data Quality")
    record, warnings = opened(world, u_dataset="sales.orders", u_owner_group=group, u_data_set="x")
    assert (record["u_dataset"], record["u_owner_group"]) == ("sales.orders", group)
    assert warnings == ["u_data_set: not in the answer; no such column, or the account may not read it"]


def test_the_dictionary_is_asked_once_in_a_run_and_not_at_all_for_columns_that_everybody_has(world):
    desk = world.desk()
    order = Order(Project(), {"u_dataset": "{dataset}"})
    report(desk, *(anomaly(f"check {number}") for number in range(4)), order=order)
    assert [asked.path for asked in world.sandbox.requests].count("/api/now/table/sys_dictionary") == 1
    world.sandbox.clear_requests()
    report(
        world.desk(),
        anomaly("another"),
        order=Order(Project(), {"category": "database", "contact_type": "email"}),
    )
    assert not [asked.path for asked in world.sandbox.requests if "sys_d" in asked.path]


@pytest.mark.parametrize("column", ["sys_created_on", "sys_domain", "sys_id"])
def test_columns_of_the_platform_are_not_anybodys_to_write(column):
    with pytest.raises(ValueError, match=f"{column} cannot be set"):
        Order(Project(), {column: "x"})
    with pytest.raises(ValueError, match=f"{column} cannot be set"):
        Order(Project(fields={column: "x"}))
