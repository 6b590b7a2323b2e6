"""A query that is too long for one URL is asked in parts, and finds the same rows, each once."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.long_queries import MAX_URL, have_nothing_in_common, parts
from airflow_provider_servicenow_dq.client.query import Query

URL = "https://acme.service-now.com/api/now/table/incident"
IDS = [f"{number:032x}" for number in range(3000)]


@pytest.fixture
def ours(itil):
    """Make some records; return their sys_ids."""
    return [itil.create("incident", {"short_description": f"long {n}"})["sys_id"] for n in range(12)]


def test_thousands_of_sys_ids_find_what_is_there(sandbox, itil, ours):
    sandbox.clear_requests()
    query = Query.any_of("sys_id", [*IDS, *ours, *ours])
    assert sorted(
        row["sys_id"] for row in itil.find("incident", query, fields=["number", "sys_id"])
    ) == sorted(ours)
    # 35 characters each: hardly more requests than it takes.
    assert len(sandbox.requests) <= len(IDS) * 35 // MAX_URL + 2
    assert itil.count("incident", query) == len(ours)


def test_a_limit_counts_over_all_parts(itil, ours):
    query = Query.any_of("sys_id", [*ours[:4], *IDS, *ours[4:]])
    for limit in (0, 1, 5, 12, 20):
        assert len(list(itil.find("incident", query, limit=limit))) == min(limit, 12)


def test_a_row_that_several_parts_find_comes_once(itil, ours):
    numbers = [itil.get("incident", sys_id)["number"] for sys_id in ours]
    alternatives = Query(
        tuple(
            group
            for values in (["1"], ["1", "2"], ["2", "1"])
            for group in Query.any_of("number", [*numbers, *IDS[:300]])
            .also(Query.any_of("state", values))
            .alternatives
        )
    )
    assert sorted(row["number"] for row in itil.find("incident", alternatives)) == sorted(numbers)
    assert len(list(itil.find("incident", alternatives, limit=5))) == 5
    with pytest.raises(exceptions.UnsafeQueryError, match="count a record twice"):
        itil.count("incident", alternatives)


def test_a_raw_list_is_asked_in_parts_as_well(itil, ours):
    query = Query.raw(f"active=true^sys_idIN{','.join([*IDS[:400], *ours])}^ORnumber=none")
    assert sorted(row["sys_id"] for row in itil.find("incident", query)) == sorted(ours)


@pytest.mark.parametrize(
    "query",
    [
        Query.any_of("sys_id", IDS).order_by("number"),
        Query.equals({"description": "x" * 8000}),
        Query.raw(f"sys_idNOT IN{','.join(IDS)}"),
        Query.raw(f"RLQUERYincident.problem_id,=0^sys_idIN{','.join(IDS)}^ENDRLQUERY"),
        Query.raw("sys_idINjavascript:" + "x," * 8000),
        Query.raw("sys_class_nameINSTANCEOF" + "x," * 8000),
    ],
)
def test_what_cannot_be_asked_in_parts_is_refused(sandbox, itil, query):
    sandbox.clear_requests()
    with pytest.raises(exceptions.UnsafeQueryError, match="too long for one URL"):
        list(itil.find("incident", query))
    assert sandbox.requests == []


@settings(max_examples=60)
@given(
    st.lists(st.text("abcÄ^&% é日", min_size=1, max_size=40), min_size=1, max_size=600),
    st.lists(st.from_regex("[a-z^]{1,30}", fullmatch=True), min_size=1, max_size=300),
    st.booleans(),
)
def test_every_part_fits_and_together_they_are_the_whole(first, second, twice):
    try:
        query = Query.any_of("a", first).also(Query.any_of("b", second)).also(Query.equals({"c": "^x"}))
    except exceptions.UnsafeQueryError:
        return
    query = Query(query.alternatives * 2) if twice else query
    parameters = {"sysparm_fields": "sys_id,number"}
    cut = parts(query, URL, parameters)
    for part in cut:
        sent = parameters | {"sysparm_query": part.order_by("sys_id").encode(), "sysparm_limit": "1000"}
        assert len(f"{URL}?{urlencode(sent)}") <= MAX_URL
    pairs = {
        (a, b)
        for part in cut
        for (left, right, last) in part.alternatives
        for a in left.values
        for b in right.values
        if last.values == ("^x",)
    }
    assert pairs == {(a, b) for a in first for b in second}


@pytest.mark.parametrize(
    ("values", "apart"),
    [(IDS, True), ([*IDS, "a", "A"], False), ([*IDS, "é"], False), (["x"], True), (["é"], True)],
)
def test_parts_are_counted_together_only_where_no_row_can_be_in_two(values, apart):
    assert have_nothing_in_common(parts(Query.any_of("a", values), URL, {})) is apart
    raw = parts(Query.raw(f"aIN{','.join(values)}"), URL, {})
    assert have_nothing_in_common(raw) is (len(raw) == 1)
