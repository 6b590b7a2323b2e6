"""What becomes of the values that a client sends."""

from __future__ import annotations

import pytest
from plain_client import error_of

OUR_ID = "ab" * 16


def test_strings_are_cut_at_varchar_columns_only(client):
    record = client.create(short_description="s" * 200, correlation_id="c" * 120, description="d" * 9000)
    assert len(record["short_description"]) == 160
    assert len(record["correlation_id"]) == 100
    assert len(record["description"]) == 9000


def test_unknown_choice_values_are_discarded(client):
    record = client.create(category="bogus", impact="9", contact_type="Monitoring")
    assert (record["category"], record["impact"], record["contact_type"]) == ("inquiry", "3", "monitoring")
    record = client.update(record["sys_id"], category="", state="99").json()["result"]
    assert (record["category"], record["state"]) == ("inquiry", "1")


def test_unknown_choice_values_are_stored_where_the_property_allows_it(sandbox, client):
    sandbox.configure(allow_non_existing_choice=True)
    assert client.create(category="bogus")["category"] == "bogus"


def test_labels_count_as_values_only_with_input_display_value(client):
    assert client.create(state="In Progress")["state"] == "1"
    answer = client.table("POST", "incident?sysparm_input_display_value=true", json={"state": "In Progress"})
    assert answer.json()["result"]["state"] == "2"


def test_a_sys_id_of_ones_own_is_honoured_once(client, sandbox):
    assert client.create(sys_id=OUR_ID, short_description="first")["sys_id"] == OUR_ID
    answer = client.table("POST", "incident", json={"sys_id": OUR_ID, "short_description": "twin"})
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "Operation Failed",
        "detail": "Error during insert of incident (INC0010002)",
    }
    assert [row["short_description"] for row in sandbox.records("incident")] == ["first"]


def test_a_sys_id_is_unique_in_the_whole_family_of_tables(client):
    client.create(sys_id=OUR_ID)
    assert client.table("POST", "problem", json={"sys_id": OUR_ID}).status_code == 403


def test_what_is_no_sys_id_is_replaced(client):
    assert client.create(sys_id="mine")["sys_id"] != "mine"


def test_a_hardened_instance_ignores_system_fields_of_all_but_admin(sandbox, client, admin):
    sandbox.configure(admin_only_sys_fields=True)
    record = client.create(sys_id=OUR_ID, sys_created_on="2001-01-01 00:00:00", sys_created_by="me")
    assert record["sys_id"] != OUR_ID
    assert record["sys_created_by"] == "svc_airflow"
    assert not record["sys_created_on"].startswith("2001")
    assert admin.create(sys_id=OUR_ID)["sys_id"] == OUR_ID


def test_an_open_instance_takes_created_on_from_the_client(client):
    assert client.create(sys_created_on="2001-01-01 00:00:00")["sys_created_on"] == "2001-01-01 00:00:00"


def test_unknown_and_unwritable_fields_are_ignored(client):
    record = client.create(bunk_field="x", sys_bogus="y", sys_mod_count="7", sys_class_name="problem")
    assert "bunk_field" not in record
    assert "sys_bogus" not in record
    assert (record["sys_mod_count"], record["sys_class_name"]) == ("0", "incident")


@pytest.mark.parametrize(
    ("given", "stored"),
    [(None, ""), (True, "true"), (7, "7"), (1.5, "1.5"), ({"value": "v"}, "v"), ({"a": 1}, '{"a": 1}')],
)
def test_json_values_become_strings(client, given, stored):
    assert client.create(short_description=given)["short_description"] == stored


def test_times_that_are_none_are_dropped_and_read_in_utc(client):
    record = client.create(due_date="2026-02-30 10:00:00", follow_up="2026-01-02")
    assert (record["due_date"], record["follow_up"]) == ("", "2026-01-02 00:00:00")


def test_times_are_the_users_own_with_input_display_value(sandbox, client):
    sandbox.configure(time_zone="America/New_York")
    path = "incident?sysparm_input_display_value=true"
    record = client.table("POST", path, json={"due_date": "2026-01-02 10:00:00"}).json()["result"]
    assert record["due_date"] == "2026-01-02 15:00:00"


def test_a_dangling_reference_is_stored_and_shows_nothing(client):
    sys_id = client.create(assignment_group="f" * 32)["sys_id"]
    both = client.read(sys_id, sysparm_display_value="all")["assignment_group"]
    assert both == {"display_value": "", "value": "f" * 32}


def test_a_name_finds_its_record_with_input_display_value_or_leaves_the_field_empty(client):
    path = "incident?sysparm_input_display_value=true&sysparm_exclude_reference_link=true"
    found = client.table("POST", path, json={"assignment_group": "database"}).json()["result"]
    assert found["assignment_group"] == "287ee6fea9fe198100ada7950d0b1b73"
    lost = client.table("POST", path, json={"assignment_group": "No Such Group"}).json()["result"]
    assert lost["assignment_group"] == ""


@pytest.mark.parametrize(
    ("mode", "stored"),
    [("raw", "Database"), ("resolve", "287ee6fea9fe198100ada7950d0b1b73"), ("discard", "")],
)
def test_a_name_in_a_reference_without_it_is_not_reliable(sandbox, client, mode, stored):
    sandbox.configure(reference_names=mode)
    assert client.create(assignment_group="Database")["assignment_group"] == stored


def test_watchers_are_shown_by_name(client):
    sys_id = client.create(watch_list="46d44a23a9fe19810012d100cca80666,someone@example.com")["sys_id"]
    record = client.read(sys_id, sysparm_display_value="true", sysparm_fields="watch_list")
    assert record["watch_list"] == "Beth Anglin, someone@example.com"


def test_an_admin_who_changes_a_choice_changes_what_is_accepted(client, admin):
    admin.create("sys_choice", name="incident", element="category", value="data", label="Data")
    assert client.create(category="data")["category"] == "data"


def test_names_of_people_and_groups_are_not_unique(client):
    assert len(client.find("name=Alex Morgan", "sys_user")) == 2
    assert len(client.find("name=Analytics Support", "sys_user_group")) == 2
    assert client.find("active=false", "sys_user")
    assert client.find("user.user_name=beth.anglin", "sys_user_grmember")


def test_what_is_too_long_is_refused_where_the_database_is_strict(sandbox, client):
    sandbox.configure(long_strings="refuse")
    answer = client.table("POST", "incident", json={"correlation_id": "c" * 101})
    assert error_of(answer)["detail"] == "Error during insert of incident (INC0010001)"
    assert client.create(description="d" * 9000)["description"] == "d" * 9000


def test_labels_count_as_values_where_the_instance_looks_for_them(sandbox, client):
    sandbox.configure(choice_labels=True)
    assert client.create(state="in progress")["state"] == "2"


def test_every_user_sees_times_in_a_zone_and_format_of_their_own(sandbox, client, admin):
    sandbox.configure(time_zone="America/New_York")
    me = client.find("user_name=svc_airflow", "sys_user")[0]["sys_id"]
    record = client.create(due_date="2026-01-02 15:00:00", work_notes="seen")
    path = {"sysparm_display_value": "true", "sysparm_fields": "due_date,work_notes"}
    assert client.read(record["sys_id"], **path)["due_date"] == "2026-01-02 10:00:00"
    admin.update(me, "sys_user", time_zone="Asia/Tokyo", date_format="dd/MM/yyyy", time_format="hh:mm:ss a")
    mine = client.read(record["sys_id"], **path)
    assert mine["due_date"] == "03/01/2026 12:00:00 AM"
    assert mine["work_notes"].partition(" - ")[0][2] == "/"
    assert admin.read(record["sys_id"], **path)["due_date"] == "2026-01-02 10:00:00"


def test_times_that_are_written_as_display_values_are_read_in_that_format_only(sandbox, client, admin):
    me = client.find("user_name=svc_airflow", "sys_user")[0]["sys_id"]
    admin.update(me, "sys_user", time_zone="Asia/Tokyo", date_format="dd/MM/yyyy")
    path = "incident?sysparm_input_display_value=true"
    values = {"due_date": "03/01/2026 00:00:00", "follow_up": "2026-01-03 00:00:00"}
    record = client.table("POST", path, json=values).json()["result"]
    assert (record["due_date"], record["follow_up"]) == ("2026-01-02 15:00:00", "")


@pytest.mark.parametrize(("zone_of", "found"), [("utc", 0), ("user", 1)])
def test_dates_in_queries_are_of_utc_or_of_the_users_zone(sandbox, client, zone_of, found):
    sandbox.configure(query_dates=zone_of, time_zone="Asia/Tokyo")
    client.create(due_date="2026-01-02 15:00:00")
    assert len(client.find("due_date=2026-01-03 00:00:00")) == found
    assert len(client.find("due_date>=2026-01-03 00:00:00^due_date<=2026-01-03 00:00:01")) == found
    assert len(client.find("due_date>javascript:gs.dateGenerate('2026-01-02','23:59:59')")) == 1


def test_a_display_value_that_finds_nothing_makes_a_record_where_the_dictionary_says_so(sandbox, client):
    sandbox.configure(dynamic_creation=["incident.cmdb_ci"])
    path = "incident?sysparm_input_display_value=true&sysparm_exclude_reference_link=true"
    made = client.table("POST", path, json={"cmdb_ci": "new-server", "assignment_group": "No Such Group"})
    assert made.json()["result"]["assignment_group"] == ""
    (item,) = client.find("name=new-server", "cmdb_ci")
    assert made.json()["result"]["cmdb_ci"] == item["sys_id"]
