"""Work notes and comments: appended by writing, read elsewhere."""

from __future__ import annotations

import pytest
from plain_client import READONLY


def test_a_note_is_a_journal_row_and_reads_as_nothing(sandbox, client):
    sys_id = client.create(work_notes="row count dropped")["sys_id"]
    answer = client.update(sys_id, work_notes="row count dropped").json()["result"]

    assert (answer["work_notes"], answer["sys_mod_count"]) == ("", "1")
    assert client.read(sys_id)["work_notes"] == ""
    rows = client.find(
        f"element_id={sys_id}^elementINwork_notes,comments^ORDERBYsys_created_on", "sys_journal_field"
    )
    assert [row["value"] for row in rows] == ["row count dropped", "row count dropped"]
    assert {
        (row["name"], row["element"], row["element_id"], row["sys_created_by"], row["sys_tags"])
        for row in rows
    } == {("incident", "work_notes", sys_id, "svc_airflow", "")}
    assert sandbox.notes(sys_id) == ["row count dropped", "row count dropped"]


def test_an_empty_note_is_none(sandbox, client):
    sys_id = client.create(work_notes="")["sys_id"]
    assert client.update(sys_id, work_notes="").json()["result"]["sys_mod_count"] == "0"
    assert sandbox.notes(sys_id) == []


def test_display_values_join_the_entries_newest_first(sandbox, client):
    sys_id = client.create(work_notes="first\nline")["sys_id"]
    sandbox.configure(clock_offset_s=60)
    sandbox.act_as("beth.anglin", "incident", sys_id, {"work_notes": "second"})
    client.update(sys_id, comments="to the caller")

    record = client.read(sys_id, sysparm_display_value="all", sysparm_fields="work_notes,comments")
    stamps = [
        row["sys_created_on"]
        for row in client.find(f"element_id={sys_id}^ORDERBYsys_created_on", "sys_journal_field")
    ]
    assert record["work_notes"] == {
        "display_value": f"{stamps[1]} - Beth Anglin (Work notes)\nsecond\n\n"
        f"{stamps[0]} - Airflow Service (Work notes)\nfirst\nline\n\n",
        "value": "",
    }
    assert record["comments"]["display_value"] == (
        f"{stamps[2]} - Airflow Service (Additional comments)\nto the caller\n\n"
    )
    both = client.read(sys_id, sysparm_display_value="true")["comments_and_work_notes"]
    assert both.count("\n\n") == 3
    assert sandbox.notes(sys_id) == ["first\nline", "second"]


def test_a_journal_that_may_not_be_read_is_200_and_empty(sandbox, client, admin):
    sys_id = client.create(work_notes="there")["sys_id"]
    sandbox.configure(journal_acl=True)
    query = f"element_id={sys_id}"
    assert client.find(query, "sys_journal_field") == []
    assert len(admin.find(query, "sys_journal_field")) == 1
    shown = client.read(sys_id, sysparm_display_value="true", sysparm_fields="work_notes")
    assert "there" in shown["work_notes"]


def test_a_refused_update_writes_no_note(sandbox, client):
    sys_id = client.create()["sys_id"]
    assert client.update(sys_id, state="6", work_notes="lost").status_code == 403
    assert client.as_user(READONLY).update(sys_id, work_notes="lost").status_code == 403
    assert sandbox.notes(sys_id) == []


@pytest.mark.parametrize("length", [4001, 70_000])
def test_long_notes_are_kept_whole(sandbox, client, length):
    sys_id = client.create(work_notes="x" * length)["sys_id"]
    assert sandbox.notes(sys_id) == ["x" * length]
