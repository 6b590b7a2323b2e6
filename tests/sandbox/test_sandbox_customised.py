"""Instances as administrators make them: tables, columns, choices, priorities, keys, access of their own."""

from __future__ import annotations

import pytest
from plain_client import Client, error_of

from airflow_provider_servicenow_dq.sandbox.data import SeedUser
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

DATABASE = "287ee6fea9fe198100ada7950d0b1b73"


def test_a_table_of_ones_own_that_is_no_task_has_what_it_is_given(sandbox, client, admin):
    assert client.table("GET", "u_dq_issue").status_code == 400
    sandbox.configure(
        table=["u_dq_issue for dq_writer,itil"],
        column=[
            "u_dq_issue.u_key:string:32",
            "u_dq_issue.u_severity:choice",
            "u_dq_issue.u_owner:reference:sys_user_group",
            "u_dq_issue.u_note:journal",
        ],
        choice=["u_dq_issue.u_severity=1:High|2:Low"],
    )
    made = client.create("u_dq_issue", u_key="k" * 40, u_severity="9", u_owner=DATABASE, u_note="seen")
    assert (made["u_key"], made["u_severity"], made["u_note"]) == ("k" * 32, "", "")
    assert "correlation_id" not in made
    shown = client.read(made["sys_id"], "u_dq_issue", sysparm_display_value="true")
    assert shown["u_owner"] == "Database"
    assert [row["value"] for row in sandbox.records("sys_journal_field")] == ["seen"]
    assert client.find("u_owner.name=Database", "u_dq_issue")[0]["sys_id"] == made["sys_id"]
    sandbox.configure(table=[], column=[], choice=[])
    assert error_of(client.table("GET", "u_dq_issue"))["message"] == "Invalid table u_dq_issue"


def test_a_table_that_extends_task_has_its_columns_rules_and_place(sandbox, client):
    sandbox.configure(table=["u_dq_issue extends task"])
    made = client.create("u_dq_issue", impact="1", urgency="1", correlation_id="dq:1")
    assert (made["number"], made["priority"], made["sys_class_name"]) == ("DI0010001", "1", "u_dq_issue")
    assert [row["number"] for row in client.find("correlation_id=dq:1", "task")] == ["DI0010001"]
    closed = client.update(made["sys_id"], "u_dq_issue", state="3").json()["result"]
    assert closed["active"] == "false"


def test_only_its_roles_write_to_a_table(sandbox, client):
    sandbox.configure(table=["u_dq_issue for dq_writer"])
    assert client.table("POST", "u_dq_issue", json={}).status_code == 403
    assert client.find("", "u_dq_issue") == []


def test_columns_are_added_to_tables_with_records_and_taken_away(sandbox, client):
    sys_id = client.create()["sys_id"]
    sandbox.configure(column=["incident.u_dataset:string:20", "task.u_checked:boolean"])
    record = client.update(sys_id, u_dataset="sales", u_checked=True).json()["result"]
    assert (record["u_dataset"], record["u_checked"]) == ("sales", "true")
    entries = client.find("name=incident^element=u_dataset", "sys_dictionary")
    assert [(row["internal_type"], row["max_length"]) for row in entries] == [("string", "20")]
    sandbox.configure(column=[])
    assert "u_dataset" not in client.read(sys_id)


def test_an_administrator_may_lengthen_a_column(sandbox, client):
    sandbox.configure(column=["incident.short_description:string:80"])
    assert len(client.create(short_description="s" * 200)["short_description"]) == 80


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"table": ["issue"]}, "u_ before it"),
        ({"table": ["u_issue extends nothing"]}, "does not exist"),
        ({"column": ["incident.dataset"]}, "column of the platform"),
        ({"column": ["u_issue.u_x"]}, "of a table that exists"),
        ({"column": ["incident.u_x:number"]}, "none of the kinds"),
        ({"column": ["incident.u_x:reference:nothing"]}, "does not exist"),
        ({"choice": ["incident.category"]}, "VALUE"),
        ({"choice": ["incident.number=1:One"]}, "no choice column"),
        ({"matrix": ["high,low=3"]}, "IMPACT,URGENCY=PRIORITY"),
        ({"unique": ["incident"]}, "TABLE.COLUMN"),
        ({"date_format": "dd.QQ.yyyy"}, "QQ"),
    ],
)
def test_a_mistake_in_a_switch_is_named(switches, words):
    with pytest.raises(ValueError, match=words):
        Sandbox(**switches)


def test_a_matrix_of_ones_own_decides_the_priority(sandbox, client):
    sandbox.configure(matrix=["3,3=4", "1,1="], choice=["task.impact=1:High|2:Medium|3:Low|4:None"])
    assert client.create()["priority"] == "4"
    assert client.create(impact="1", urgency="1", priority="3")["priority"] == "3"
    assert client.create(impact="4")["impact"] == "4"


def test_choices_of_ones_own_take_the_place_of_the_others_and_depend(sandbox, client):
    sandbox.configure(
        choice=["incident.category=data:Data|other", "incident.subcategory when data=nulls:Nulls|late:Late"]
    )
    made = client.create(category="data", subcategory="late")
    assert (made["category"], made["subcategory"]) == ("data", "late")
    assert client.create(category="network")["category"] == "inquiry"
    found = client.find("element=subcategory^dependent_value=data^ORDERBYsequence", "sys_choice")
    assert [row["label"] for row in found] == ["Nulls", "Late"]
    sandbox.configure(choice=[])
    assert client.create(category="network")["category"] == "network"


def test_what_an_admin_did_to_choices_outlasts_a_switch(sandbox, client, admin):
    network = client.find("element=category^value=network", "sys_choice")[0]["sys_id"]
    admin.update(network, "sys_choice", label="Networks")
    sandbox.configure(close_code_set="old")
    assert client.find("element=category^value=network", "sys_choice")[0]["label"] == "Networks"


@pytest.mark.parametrize("status", ["403", "400", "409", "500"])
def test_a_unique_key_refuses_a_second_record_with_the_status_of_the_switch(sandbox, client, status):
    sandbox.configure(unique=["incident.correlation_id"], duplicate_status=status)
    first = client.create(correlation_id="dq:1")
    other = client.create(correlation_id="")
    client.create(correlation_id="")
    answer = client.table("POST", "incident", json={"correlation_id": "DQ:1"})
    assert answer.status_code == int(status)
    assert error_of(answer)["detail"].startswith("Error during insert of incident (INC")
    answer = client.update(other["sys_id"], correlation_id="dq:1")
    assert error_of(answer)["detail"] == f"Error during update of incident ({other['number']})"
    assert client.update(first["sys_id"], correlation_id="dq:1").status_code == 200
    answer = client.table("POST", "incident", json={"sys_id": first["sys_id"]})
    assert answer.status_code == int(status)


def test_properties_are_switches_and_only_admin_sees_them(sandbox, client, admin):
    assert client.find("", "sys_properties") == []
    name = "glide.rest.choice.allow_non_existing_value"
    (row,) = admin.find(f"name={name}", "sys_properties")
    assert row["value"] == "false"
    admin.update(row["sys_id"], "sys_properties", value="true")
    assert client.create(category="bogus")["category"] == "bogus"
    sandbox.configure(allow_non_existing_choice=False)
    assert client.create(category="bogus")["category"] == "inquiry"


def test_the_dictionary_tells_of_tables_and_columns(client):
    (table,) = client.find("name=incident", "sys_db_object")
    (parent,) = client.find(f"sys_id={table['super_class']}", "sys_db_object")
    assert (table["label"], parent["name"]) == ("Incident", "task")
    (entry,) = client.find("name=task^element=short_description", "sys_dictionary")
    assert (entry["column_label"], entry["max_length"], entry["internal_type"]) == (
        "Short description", "160", "string",
    )  # fmt: skip
    (entry,) = client.find("name=task^element=assigned_to", "sys_dictionary", sysparm_display_value="all")
    assert entry["reference"] == {"display_value": "User", "value": "sys_user"}
    assert entry["internal_type"] == {"display_value": "Reference", "value": "reference"}


def test_what_others_than_admin_write_to_a_closed_column_is_ignored(sandbox, client, admin):
    sandbox.configure(unwritable=["task.correlation_id", "incident.work_notes"])
    made = client.create(correlation_id="dq:1", short_description="s", work_notes="w")
    assert (made["correlation_id"], made["short_description"]) == ("", "s")
    assert sandbox.notes(made["sys_id"]) == []
    assert admin.create(correlation_id="dq:1")["correlation_id"] == "dq:1"


def test_range_queries_of_a_protected_column_find_nothing(sandbox, client, admin):
    client.create(short_description="late")
    sandbox.configure(query_range=["task.short_description"])
    assert client.find("short_descriptionLIKEate") == []
    assert len(client.find("short_description=late")) == 1
    assert len(admin.find("short_descriptionLIKEate")) == 1


def test_groups_with_admin_rights_are_not_seen_by_itil(client, admin):
    assert client.find("name=Platform Owners", "sys_user_group") == []
    assert len(admin.find("name=Platform Owners", "sys_user_group")) == 1


def test_without_the_access_rule_of_the_api_a_user_without_roles_gets_empty_pages():
    with Sandbox(users=[SeedUser("nobody", "No Body", "pass")]) as sandbox:
        Client(sandbox.url).create()
        nobody = Client(sandbox.url, ("nobody", "pass"))
        assert nobody.table("GET", "incident").status_code == 403
        sandbox.configure(api_acl=False)
        answer = nobody.table("GET", "incident")
        assert (answer.status_code, answer.json()["result"]) == (200, [])
        assert answer.headers["X-Total-Count"] == "1"


def test_security_incidents_are_for_their_own_roles():
    analyst = SeedUser("ann", "Ann", "pass", ("sn_si.analyst", "snc_platform_rest_api_access"))
    with Sandbox(users=[analyst]) as sandbox:
        ann, itil = Client(sandbox.url, ("ann", "pass")), Client(sandbox.url)
        made = ann.create("sn_si_incident", short_description="leak")
        assert (made["number"], made["state"]) == ("SIR0010001", "16")
        assert ann.update(made["sys_id"], "sn_si_incident", state="3").json()["result"]["active"] == "false"
        assert itil.find("", "sn_si_incident") == []
        assert itil.find("short_description=leak", "task") == []
        assert itil.table("POST", "sn_si_incident", json={}).status_code == 403
