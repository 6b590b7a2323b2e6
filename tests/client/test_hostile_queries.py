"""Whatever text a user puts into a condition: the rows that match it come back, or it is refused."""

from __future__ import annotations

import operator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.client import checked
from airflow_provider_servicenow_dq.client.choices import get_choices
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError, UnsafeQueryError
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

#: Each of them is the text of a record, so that a condition has something to find, and to leave out.
TEXTS = (
    "", "a", "A", "b", "a^b", "a^^b", "a^NQactive=true", "^NQnumberISNOTEMPTY", "^ORnumberISNOTEMPTY", "^EQ",
    "a^ORDERBYnumber", "x,y", "x", "y", "a@b.example", "2026-01-01@2026-12-31", "javascript:gs.getUserID()",
    "JavaScript:true", "NULL", "null", "one\ntwo", "tab\there", "ünïcöde", "Straße", "日本語", "🚨 alert",
    "=3", "3", "03", "ISEMPTY", "ISNOTEMPTY", "ANYTHING", "INa,b", "NOT LIKEx", "100%", "under_score", "*",
    "a b", "a  b", "it's \"quoted\"", "a&sysparm_limit=1", "a#b", "a+b", "%5ENQactive=true", "\\^NQ", "^",
    "^^", "a^", "DYNAMIC90d1921e5f510100a9ad2572f2b477fe", "zero\u200bwidth", "e\u0301",
)  # fmt: skip

texts = st.one_of(
    st.sampled_from(TEXTS),
    st.text(alphabet="^NQORaxy=,@ javscript:ISEMPTY\n\t", max_size=12),
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)).map("".join),
    st.text(max_size=6),
)


@pytest.fixture(scope="module", params=["as it comes", "strict", "case-sensitive"])
def world(request):
    """An instance whose records have all those texts, and a client of it."""
    switches = {
        "as it comes": {},
        "strict": {"invalid_query_returns_no_rows": True},
        "case-sensitive": {"case_sensitive_equality": True},
    }[request.param]
    with Sandbox(**switches) as sandbox:
        config = InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret")
        with Transport(config) as talk:
            table_api = TableApi(talk)
            for number, text in enumerate(TEXTS):
                values = {"short_description": text, "correlation_id": text, "impact": str(number % 3 + 1)}
                table_api.create("incident", values)
            same = str if switches.get("case_sensitive_equality") else str.casefold
            yield table_api, sandbox.records("incident"), same


def oracle(same, name, value):
    """Return the test of one condition, in plain Python; an empty text stands for an empty field."""
    wanted = same(value)
    tests = {
        "=": lambda text: text == wanted,
        "!=": lambda text: text != wanted,
        "LIKE": lambda text: wanted in text,
        "NOT LIKE": lambda text: wanted not in text,
        "STARTSWITH": lambda text: text.startswith(wanted),
        "ENDSWITH": lambda text: text.endswith(wanted),
        "ISEMPTY": lambda text: not text,
        "ISNOTEMPTY": bool,
    }
    sizes = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
    if name in sizes:
        return lambda text: bool(text) and sizes[name](same(text), wanted)
    return lambda text: tests[name](same(text))


def found_by(table_api, query):
    return {row["sys_id"] for row in checked.find_records(table_api, "incident", query, fields=["sys_id"])}


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["short_description", "correlation_id"]), texts, min_size=1))
def test_equal_conditions_find_what_is_equal(world, values):
    table_api, rows, same = world
    try:
        found = found_by(table_api, values)
        count = checked.count_records(table_api, "incident", values)
    except UnsafeQueryError:
        return
    tests = {name: oracle(same, "=", value) for name, value in values.items()}
    matching = {row["sys_id"] for row in rows if all(test(row[name]) for name, test in tests.items())}
    assert found == matching
    assert count == len(matching)


@settings(max_examples=60)
@given(
    st.sampled_from(
        ["=", "!=", "<", "<=", ">", ">=", "STARTSWITH", "ENDSWITH", "LIKE", "NOT LIKE", "ISEMPTY"]
    ),
    texts,
)
def test_every_operator_means_what_it_says(world, name, value):
    table_api, rows, same = world
    try:
        found = found_by(table_api, Query.where("short_description", name, value))
    except UnsafeQueryError:
        return
    test = oracle(same, name, value)
    assert found == {row["sys_id"] for row in rows if test(row["short_description"])}


@settings(max_examples=50)
@given(st.lists(texts, min_size=1, max_size=5), texts)
def test_lists_find_what_is_in_them_and_combine_with_other_conditions(world, values, other):
    table_api, rows, same = world
    try:
        query = Query.any_of("correlation_id", values).also(Query.where("short_description", "!=", other))
        found = found_by(table_api, query)
    except UnsafeQueryError:
        return
    wanted = {same(value) for value in values}
    test = oracle(same, "!=", other)
    matching = [
        row for row in rows if same(row["correlation_id"]) in wanted and test(row["short_description"])
    ]
    assert found == {row["sys_id"] for row in matching}


@settings(max_examples=50)
@given(st.sampled_from(["impact", "active", "opened_at", "assigned_to", "caller_id.email"]), texts)
def test_columns_that_hold_no_text_never_match_what_they_do_not_hold(world, name, value):
    table_api, _, _ = world
    with suppress(UnsafeQueryError):
        asked = Query.equals({name: value})
        for row in checked.find_records(table_api, "incident", asked, fields=["sys_id", name]):
            assert row.get(name, "") == value or float(row[name]) == float(value)


@settings(max_examples=60)
@given(texts)
def test_a_column_that_is_not_there_is_never_the_whole_table(world, value):
    table_api, _, _ = world
    query = {"u_no_such_column": value}
    for read in (
        lambda: list(checked.find_records(table_api, "incident", query)),
        lambda: checked.count_records(table_api, "incident", query),
    ):
        with suppress(UnsafeQueryError):
            assert read() in ([], 0)


@settings(max_examples=60)
@given(texts)
def test_a_hostile_name_is_nobody_or_who_is_called_so(world, text):
    table_api, _, _ = world
    names = Names(table_api)
    for table, look_up in [
        ("sys_user", names.user),
        ("sys_user_group", names.group),
        ("incident", lambda name: names.record("incident", name)),
    ]:
        with suppress(AmbiguousNameError):
            found = look_up(text)
            if found is not None:
                record = table_api.get(table, found)
                assert text.strip().casefold() in {str(value).casefold() for value in record.values()}


@settings(max_examples=40)
@given(texts)
def test_hostile_choices_are_none(world, text):
    table_api, _, _ = world
    with suppress(UnsafeQueryError):
        assert get_choices(table_api, "incident", text) == []
    found = get_choices(table_api, "incident", "subcategory", text)
    assert all(choice.dependent_value == text for choice in found)
