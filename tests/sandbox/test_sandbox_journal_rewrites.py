"""What instances do to the text of a note, and columns that are not for everyone to read."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.sandbox.journal_rewrites import REWRITES

TEXT = "bell\x07 <b> &\nsmile \U0001f600\U0001f600 \t here  \n end "
KEPT = {
    (): TEXT,
    ("controls",): TEXT.replace("\x07", ""),
    ("cut_at_emoji",): "bell\x07 <b> &\nsmile ",
    ("question_marks",): TEXT.replace("\U0001f600", "????"),
    ("escaped",): TEXT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    ("blanks",): "bell\x07 <b> &\nsmile \U0001f600\U0001f600 here\n end",
    ("line_ends",): TEXT.replace("\n", "\r\n"),
    tuple(REWRITES): "bell &lt;b&gt; &amp;\r\nsmile",
}


@pytest.mark.parametrize("names", KEPT, ids=" ".join)
@pytest.mark.parametrize("element", ["work_notes", "comments"])
def test_a_journal_keeps_a_text_as_the_instance_rewrites_it(sandbox, client, names, element):
    sandbox.configure(journal_rewrites=names)
    sys_id = client.create(**{element: TEXT})["sys_id"]
    (row,) = client.find(f"element_id={sys_id}", "sys_journal_field")
    assert row["value"] == KEPT[names]
    shown = client.read(sys_id, sysparm_display_value="true", sysparm_fields=element)
    assert KEPT[names] in shown[element]


@pytest.mark.parametrize("names", [(), tuple(REWRITES)], ids=["as sent", "rewritten"])
def test_other_columns_are_kept_as_sent(sandbox, client, names):
    sandbox.configure(journal_rewrites=names)
    assert client.create(description=TEXT)["description"] == TEXT


def test_a_note_of_which_nothing_is_left_is_none(sandbox, client):
    sandbox.configure(journal_rewrites=["cut_at_emoji"])
    assert sandbox.notes(client.create(work_notes="\U0001f600 and more")["sys_id"]) == []


def test_an_unknown_rewrite_is_an_error_that_names_the_known_ones(sandbox):
    with pytest.raises(ValueError, match="some of controls, cut_at_emoji"):
        sandbox.configure(journal_rewrites=["backwards"])
    result = CliRunner().invoke(main, ["sandbox", "--journal-rewrites", "backwards"])
    assert "'line_ends'" in result.output


def test_a_column_that_may_not_be_read_is_left_out_of_every_answer_but_the_admins(sandbox, client, admin):
    sandbox.configure(unreadable=["task.work_notes"])
    sys_id = client.create(work_notes="there")["sys_id"]
    for options in ({}, {"sysparm_display_value": "all"}, {"sysparm_fields": "number,work_notes"}):
        assert "work_notes" not in client.read(sys_id, **options)
        assert "number" in client.read(sys_id, **options)
    assert "work_notes" not in client.update(sys_id, work_notes="more").json()["result"]
    assert all("work_notes" not in row for row in client.find(f"sys_id={sys_id}"))
    assert sandbox.notes(sys_id) == ["there", "more"]
    assert "there" in admin.read(sys_id, sysparm_display_value="true")["work_notes"]


@pytest.mark.parametrize("rule", ["incident", "incident.work_notes when active=true"])
def test_a_field_acl_names_one_column(sandbox, rule):
    with pytest.raises(ValueError, match="names a column"):
        sandbox.configure(unreadable=[rule])
