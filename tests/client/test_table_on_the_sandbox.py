"""The Table API against a strict instance: what is found, read and written is what is there."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.query import Query

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    st.text(alphabet="^=<>!@,%_*'\"&+#? aAbB\\", max_size=8),
    st.sampled_from(
        [
            "a^b",
            "^",
            "a^NQactive=true",
            "^ORnumberISNOTEMPTY",
            "x^^y",
            "ANYTHING",
            "a=b",
            "=x",
            "50% & more",
            "a+b c",
        ]
    ),
)


@pytest.mark.parametrize("case_sensitive", [False, True])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=3))
@example(texts=["a^b", "a", "b"])
@example(texts=["a^NQactive=true", "a"])
@example(texts=["Ab", "aB"])
def test_the_rows_found_are_exactly_those_whose_field_equals_the_text(sandbox, itil, texts, case_sensitive):
    sandbox.reset()
    sandbox.configure(case_sensitive_equality=case_sensitive)
    variants = [(text, text.swapcase(), f"{text}^", f"x{text}") for text in texts]
    for variant in {variant for row in variants for variant in row}:
        itil.create("incident", {"description": variant})
    fold = str if case_sensitive else str.casefold
    for text in texts:
        try:
            query = Query.equals({"description": text})
        except exceptions.UnsafeQueryError:
            continue
        expected = {
            row["sys_id"] for row in sandbox.records("incident") if fold(row["description"]) == fold(text)
        }
        assert {row["sys_id"] for row in itil.find("incident", query)} == expected
        assert itil.count("incident", query) == len(expected)
        if text and "," not in text:
            assert {
                row["sys_id"] for row in itil.find("incident", Query.any_of("description", [text, "-"]))
            } == expected


def test_records_are_created_read_changed_and_deleted(sandbox, itil):
    made = itil.create("incident", {"short_description": "first", "impact": "2", "urgency": "2"})
    assert (made["short_description"], made["priority"]) == ("first", "3")
    assert itil.update("incident", made["sys_id"], {"state": "2"})["state"] == "2"
    assert itil.get("incident", made["sys_id"], fields=["number", "state"]) == {
        "number": made["number"],
        "state": "2",
    }
    shown = itil.get("incident", made["sys_id"], fields=["state"], display=True)
    assert shown == {"state": {"display_value": "In Progress", "value": "2"}}
    with pytest.raises(exceptions.ForbiddenError):
        itil.delete("incident", made["sys_id"])
    assert itil.count("incident", {"number": made["number"]}) == 1


def test_references_are_read_as_their_sys_id(sandbox, itil):
    made = itil.create("incident", {"assigned_to": "46d44a23a9fe19810012d100cca80666"})
    assert made["assigned_to"] == "46d44a23a9fe19810012d100cca80666"
    assert itil.first_page("incident", {}, limit=1)[0]["assigned_to"] == made["assigned_to"]


def test_an_unknown_record_is_not_found_and_an_unknown_table_is_refused(itil):
    with pytest.raises(exceptions.RecordNotFoundError, match="No Record found"):
        itil.get("incident", "0" * 32)
    with pytest.raises(exceptions.RefusedError, match="Invalid table u_nothing"):
        itil.count("u_nothing", {})


def test_a_data_policy_speaks_in_its_own_words(itil):
    made = itil.create("incident", {"short_description": "x"})
    with pytest.raises(exceptions.ForbiddenError) as caught:
        itil.update("incident", made["sys_id"], {"state": "6"})
    assert "Data Policy Exception" in caught.value.detail


def test_many_rows_of_the_same_second_are_all_read_once_in_any_order(sandbox, itil):
    made = {
        itil.create("incident", {"short_description": f"row {index % 3}"})["sys_id"] for index in range(47)
    }
    before = {row["sys_id"] for row in sandbox.records("incident")} - made
    for query in (
        Query(),
        Query().order_by("sys_created_on"),
        Query().order_by("short_description", descending=True),
    ):
        found = [row["sys_id"] for row in itil.find("incident", query, page_size=7)]
        assert len(found) == len(set(found))
        assert set(found) == made | before


def test_rows_that_access_rules_hide_do_not_end_a_list(sandbox, itil):
    for index in range(30):
        itil.create("incident", {"short_description": "hidden" if index % 5 else "shown"})
    sandbox.configure(hidden=("incident when short_description=hidden",))
    for order in (Query(), Query().order_by("number")):
        for query in (order, order.also(Query.raw("short_description=hidden^NQshort_description=shown"))):
            found = list(itil.find("incident", query, page_size=3))
            assert sum(row["short_description"] == "shown" for row in found) == 6
    assert itil.count("incident", Query.equals({"short_description": "hidden"})) == 24


def test_a_lost_answer_is_found_again_by_our_sys_id(sandbox, itil):
    sys_id = "5" * 32
    sandbox.fail_next("drop_after", method="POST")
    with pytest.raises(exceptions.AnswerLostError):
        itil.create("incident", {"sys_id": sys_id, "short_description": "once"})
    assert itil.get("incident", sys_id)["short_description"] == "once"
    with pytest.raises(exceptions.ForbiddenError, match="Error during insert of incident"):
        itil.create("incident", {"sys_id": sys_id, "short_description": "twice"})


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("drop_before", {}, exceptions.AnswerLostError),
        ("drop_after", {}, exceptions.AnswerLostError),
        ("error_after", {"status": 502}, exceptions.ServerError),
        ("forbidden_but_done", {}, exceptions.ForbiddenError),
        ("cancelled", {"parsable": True}, exceptions.CancelledError),
        ("cancelled", {"parsable": False}, exceptions.CancelledError),
        ("hibernating", {}, exceptions.NotServiceNowError),
        ("login", {}, exceptions.NotServiceNowError),
        ("offline", {}, exceptions.NotServiceNowError),
        ("rate_limited", {"retry_after": 1234}, exceptions.RateLimitedError),
        ("api_acl", {}, exceptions.ForbiddenError),
    ],
)
def test_a_write_under_a_fault_is_sent_once(sandbox, itil, kind, options, error):
    sandbox.fail_next(kind, method="POST", **options)
    with pytest.raises(error):
        itil.create("incident", {"short_description": "x"})
    assert [asked.method for asked in sandbox.requests] == ["POST"]


@pytest.mark.parametrize("kind", ["accepted", "semaphores_full"])
def test_a_write_that_cannot_have_happened_is_repeated_by_itself(sandbox, itil, kind):
    sandbox.fail_next(kind, method="POST", count=2)
    itil.create("incident", {"short_description": "x"})
    assert len(sandbox.requests) == 3
    assert sum(row["short_description"] == "x" for row in sandbox.records("incident")) == 1
