"""Choices, names and journals."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.choices import get_choices
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.journal import (
    current_user,
    read_journal,
    read_shown_texts,
)
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport

BETH = "46d44a23a9fe19810012d100cca80666"
DATABASE = "287ee6fea9fe198100ada7950d0b1b73"


def test_choices_of_the_table_replace_those_it_inherits(itil):
    assert [choice.label for choice in get_choices(itil, "incident", "state")] == [
        "New", "In Progress", "On Hold", "Resolved", "Closed", "Canceled",
    ]  # fmt: skip
    assert [choice.value for choice in get_choices(itil, "incident", "impact")] == ["1", "2", "3"]
    assert get_choices(itil, "incident", "no_such_field") == []


def test_the_close_codes_are_those_of_this_instance(sandbox, itil):
    assert "Solution provided" in {choice.value for choice in get_choices(itil, "incident", "close_code")}
    sandbox.configure(close_code_set="old")
    assert "Solved (Permanently)" in {choice.value for choice in get_choices(itil, "incident", "close_code")}


def test_subcategories_depend_on_the_category(itil):
    found = get_choices(itil, "incident", "subcategory", dependent_value="database")
    assert {choice.label for choice in found} == {"DB2", "MS SQL Server", "Oracle"}
    assert {choice.dependent_value for choice in found} == {"database"}


@pytest.mark.parametrize("text", ["beth.anglin", "Beth Anglin", "BETH.ANGLIN", " Beth Anglin ", BETH])
def test_a_user_is_found_however_she_is_written(itil, text):
    assert Names(itil).user(text) == BETH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "Beth",
        "charlie.whitherspoon",
        "x^ORuser_name=beth.anglin",
        "NULL",
        "a\tb",
        "javascript:gs.getUserID()",
    ],
)
def test_a_user_who_is_not_there_or_gone_is_none(itil, text):
    assert Names(itil).user(text) is None


def test_two_of_a_name_are_an_error_and_never_the_first(itil):
    names = Names(itil)
    with pytest.raises(exceptions.AmbiguousNameError, match="2 records of sys_user match 'Alex Morgan'"):
        names.user("Alex Morgan")
    with pytest.raises(exceptions.AmbiguousNameError):
        names.group("Analytics Support")
    assert names.user("alex.morgan2")


def test_a_group_that_is_gone_is_none(itil):
    assert Names(itil).group("Database") == DATABASE
    assert Names(itil).group("Legacy Warehouse") is None


def test_a_record_is_found_by_number_or_name_also_where_a_table_lacks_one_of_them(itil):
    made = itil.create("incident", {"short_description": "x"})
    names = Names(itil)
    assert names.record("incident", made["number"]) == made["sys_id"]
    (item,) = itil.find("cmdb_ci", {"name": "nyc.flights"})
    assert names.record("cmdb_ci", "nyc.flights") == item["sys_id"]
    assert names.record("cmdb_ci", "no such item") is None


def test_a_name_is_asked_for_once_by_all_threads_together(sandbox, itil):
    names = Names(itil)
    names.user("beth.anglin")
    sandbox.clear_requests()
    threads = [threading.Thread(target=names.user, args=("beth.anglin",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.requests == []


def test_the_journal_is_read_oldest_first_with_its_authors(sandbox, itil):
    made = itil.create("incident", {"short_description": "x"})
    for minute in range(8):
        sandbox.configure(clock_offset_s=60 * minute)
        itil.update("incident", made["sys_id"], {"work_notes": f"note {minute}\nsecond line"})
    sandbox.configure(clock_offset_s=600)
    sandbox.act_as("beth.anglin", "incident", made["sys_id"], {"comments": "thanks"})
    entries = read_journal(itil, made["sys_id"])
    assert [(entry.element, entry.text, entry.created_by) for entry in entries] == [
        *(("work_notes", f"note {minute}\nsecond line", "svc_airflow") for minute in range(8)),
        ("comments", "thanks", "beth.anglin"),
    ]


def test_a_journal_that_may_not_be_read_is_still_there_as_text(sandbox, itil):
    made = itil.create("incident", {"short_description": "x", "work_notes": "one"})
    sandbox.configure(journal_acl=True)
    assert read_journal(itil, made["sys_id"]) == []
    assert [
        text.strip()
        for text in read_shown_texts(itil, "incident", [made["sys_id"]])[made["sys_id"]]["work_notes"]
    ] == ["one"]


def test_a_shown_journal_is_taken_apart_at_its_heads(sandbox, itil):
    made = itil.create("incident", {"short_description": "x"})
    for text in ("one", "two\n\nof two\nlines", "one"):
        itil.update("incident", made["sys_id"], {"work_notes": text})
    sandbox.act_as("beth.anglin", "incident", made["sys_id"], {"comments": "thanks (a lot)"})
    texts = read_shown_texts(itil, "incident", [made["sys_id"]])[made["sys_id"]]
    assert {name: [text.strip() for text in found] for name, found in texts.items()} == {
        "work_notes": ["one", "two\n\nof two\nlines", "one"],
        "comments": ["thanks (a lot)"],
    }


def test_a_shown_journal_without_entries_has_no_texts(itil):
    made = itil.create("incident", {"short_description": "x"})
    assert read_shown_texts(itil, "incident", [made["sys_id"]])[made["sys_id"]] == {
        "work_notes": [],
        "comments": [],
    }


def test_a_shown_journal_that_cannot_be_read_is_left_out(sandbox, itil):
    made = itil.create("incident", {"short_description": "x", "comments": "there"})
    sandbox.configure(unreadable=["task.comments"])
    assert read_shown_texts(itil, "incident", [made["sys_id"]])[made["sys_id"]] == {"work_notes": []}


@pytest.mark.parametrize(
    ("shown", "texts"),
    [
        ("24-03-2024 14:10 - Jörg Müller (Arbeitsnotizen)\r\neins\r\n\r\n", ["eins"]),
        ("Mar 24, 2024 2:10:35 PM - Li-Wei (Ops) - Night (Work notes)\none\n\n", ["one"]),
        ("2024-03-24 02:10:35 - A (Work notes)\n\n\n2024-03-24 02:10:35 - A (Work notes)\nb\n\n", ["", "b"]),
        ("2024-03-24 02:10:35 - A (x)\nOwner - Data (on call)\n\n", ["Owner - Data (on call)"]),
        ("one\n\n2024-03-24 02:10:35 - A (Work notes)\ntwo\n\n", None),
        ("no heads at all", None),
    ],
)
def test_heads_are_known_in_any_language_and_what_has_none_is_not_guessed_at(itil, monkeypatch, shown, texts):
    monkeypatch.setattr(
        itil,
        "first_page",
        lambda *_args, **_options: [
            {"sys_id": {"value": "0" * 32}, "work_notes": {"display_value": shown, "value": ""}}
        ],
    )
    expected = {} if texts is None else {"work_notes": texts}
    found = read_shown_texts(itil, "incident", ["0" * 32])["0" * 32]
    assert {name: [text.strip() for text in each] for name, each in found.items()} == expected


def test_our_user_is_the_instances_word_and_else_the_login(sandbox, itil):
    assert current_user(itil) == "svc_airflow"
    oauth = InstanceConfig(
        sandbox.url, "oauth_client_credentials", client_id="sandbox-client", client_secret="sandbox-secret"
    )
    with Transport(oauth) as talk:
        assert current_user(TableApi(talk)) == "svc_airflow"
        sandbox.configure(hidden=("sys_user",))
        with pytest.raises(exceptions.ServiceNowConfigError, match="login"):
            current_user(TableApi(talk))
    assert current_user(itil) == "svc_airflow"
