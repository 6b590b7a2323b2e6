"""A condition says exactly what it means, or is refused."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.client.query import Query, as_query
from airflow_provider_servicenow_dq.exceptions import ServiceNowError, UnsafeQueryError


@pytest.mark.parametrize(
    ("query", "encoded"),
    [
        (Query(), ""),
        (Query.equals({}), ""),
        (
            Query.equals({"active": True, "impact": 1, "caller_id.email": "a@b.example"}),
            "active=true^impact=1^caller_id.email=a@b.example",
        ),
        (Query.equals({"short_description": "a^b^NQactive=true"}), "short_description=a^^b^^NQactive=true"),
        (Query.equals({"short_description": "^"}), "short_description=^^"),
        (Query.equals({"correlation_id": "", "problem_id": None}), "correlation_idISEMPTY^problem_idISEMPTY"),
        (Query.where("assigned_to", "!=", ""), "assigned_toISNOTEMPTY"),
        (Query.where("assigned_to", "ISNOTEMPTY"), "assigned_toISNOTEMPTY"),
        (Query.where("state", "<=", 3), "state<=3"),
        (Query.where("short_description", "NOT LIKE", "x=y"), "short_descriptionNOT LIKEx=y"),
        (Query.any_of("sys_id", ["a", "b^c"]), "sys_idINa,b^^c"),
        (Query.equals({"a": 1}).order_by("b").order_by("c", descending=True), "a=1^ORDERBYb^ORDERBYDESCc"),
        (Query().order_by("number"), "ORDERBYnumber"),
        (
            Query.equals({"a": 1}).order_by("b").also(Query.equals({"c": 2}).order_by("d")),
            "a=1^c=2^ORDERBYb^ORDERBYd",
        ),
        (Query.raw("active=true^stateIN1,2^ORpriority=1^EQ"), "active=true^stateIN1,2^ORpriority=1"),
        (Query.raw("a=x^^y^^^b=1"), "a=x^^y^^^b=1"),
        (Query.raw("ORDERBYnumber^active=true"), "active=true^ORDERBYnumber"),
        (Query.raw(""), ""),
        (Query.raw("a=1^NQb=2").also(Query.equals({"c": 3})), "a=1^c=3^NQb=2^c=3"),
        (Query.equals({"c": 3}).also(Query.raw("a=1^NQb=2^ORb=4")), "c=3^a=1^NQc=3^b=2^ORb=4"),
    ],
)
def test_a_query_is_encoded(query, encoded):
    assert query.encode() == encoded


@pytest.mark.parametrize(
    "make",
    [
        lambda: Query.equals({"javascript": "javascript:gs.log(1)"}),
        lambda: Query.equals({"a": "JavaScript:gs.log(1)"}),
        lambda: Query.any_of("a", ["b", "javascript:gs.log(1)"]),
        lambda: Query.equals({"a": "tab\there"}),
        lambda: Query.equals({"a": "nul\0"}),
        lambda: Query.equals({"a": "\ud800"}),
        lambda: Query.equals({"a": " leading"}),
        lambda: Query.equals({"a": "trailing "}),
        lambda: Query.equals({"a": "NULL"}),
        lambda: Query.equals({"a^NQb": "c"}),
        lambda: Query.equals({"ORa": "c"}),
        lambda: Query.equals({"": "c"}),
        lambda: Query.equals({"a.": "c"}),
        lambda: Query.equals({"a\n": "c"}),
        lambda: Query.where("a", "<", "=3"),
        lambda: Query.where("a", "LIKE", ""),
        lambda: Query.where("a", "ISEMPTY", "x"),
        lambda: Query.where("a", "INSTANCEOF", "x"),
        lambda: Query.where("a", "^", "x"),
        lambda: Query.any_of("a", []),
        lambda: Query.any_of("a", ["x", ""]),
        lambda: Query.any_of("a", ["x,y"]),
        lambda: Query.any_of("a", ["STANCEOFcmdb_ci"]),
        lambda: Query().order_by("a^b"),
        lambda: Query.raw("a=1^NQ"),
        lambda: Query.raw("ORa=1"),
        lambda: Query.raw("a=1^NQORb=2"),
        lambda: Query.raw("a=1\n"),
        lambda: as_query("active=true"),
    ],
)
def test_what_the_language_cannot_say_is_refused(make):
    with pytest.raises(UnsafeQueryError) as caught:
        make()
    assert isinstance(caught.value, ServiceNowError)
    assert isinstance(caught.value, ValueError)


def conditions_of(encoded: str) -> list[str]:
    """Read a query as the instance does: from left to right, a doubled caret is a caret."""
    conditions = [""]
    rest = encoded
    while rest:
        if rest.startswith("^^"):
            conditions[-1] += "^"
            rest = rest[2:]
        elif rest.startswith("^"):
            conditions.append("")
            rest = rest[1:]
        else:
            conditions[-1] += rest[0]
            rest = rest[1:]
    return conditions


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(max_size=12), min_size=1, max_size=4
    )
)
def test_any_text_stays_one_condition(values):
    try:
        query = Query.equals(values)
    except UnsafeQueryError:
        return
    expected = [f"{field}={value}" if value else f"{field}ISEMPTY" for field, value in values.items()]
    assert conditions_of(query.encode()) == expected


@settings(max_examples=200)
@given(st.text(alphabet="^OQNRab=", max_size=12))
@example("a^N^^Q")
def test_a_raw_query_never_loses_a_condition_that_is_added(text):
    try:
        query = Query.raw(text).also(Query.equals({"mine": "1"}))
    except UnsafeQueryError:
        return
    # A caret of a text separates nothing, and what stands around it does not become a separator without it.
    alternatives = "^".join(conditions_of(query.encode().replace("^^", "_"))).split("^NQ")
    assert all("mine=1" in alternative.split("^") for alternative in alternatives)


def test_a_query_is_a_value():
    query = Query.equals({"a": "b"})
    assert query == Query.equals({"a": "b"}) == pickle.loads(pickle.dumps(query))  # noqa: S301  # our own
    query.order_by("c")
    query.also(Query.equals({"d": "e"}))
    assert query.encode() == "a=b"
