"""What the instance counts and sums up for us."""

from __future__ import annotations

import pytest
from stub_server import of

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.aggregate import Group, aggregate
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi


@pytest.fixture
def incidents(itil):
    for number, impact in enumerate(["1", "1", "3"]):
        itil.create(
            "incident",
            {"short_description": f"aggregate {number}", "impact": impact, "urgency": "3", "order": number},
        )
    return Query.where("short_description", "STARTSWITH", "aggregate")


def test_without_groups_all_rows_are_one(itil, incidents):
    assert aggregate(itil, "incident", incidents) == [Group({}, 3)]
    assert aggregate(itil, "incident", {"short_description": "nothing"}) == [Group({}, 0)]


def test_rows_are_counted_by_what_they_have_in_common(itil, incidents):
    groups = aggregate(itil, "incident", incidents, group_by=["impact", "state"])
    assert {(group.values["impact"], group.values["state"]): group.count for group in groups} == {
        ("1", "1"): 2,
        ("3", "1"): 1,
    }
    assert aggregate(itil, "incident", {"short_description": "nothing"}, group_by=["state"]) == []


def test_rows_are_summed_up(itil, incidents):
    (group,) = aggregate(
        itil,
        "incident",
        incidents,
        functions={"sum": ["order"], "max": ["order", "impact"], "avg": ["order"]},
    )
    assert {name: {k: float(v) for k, v in found.items()} for name, found in group.results.items()} == {
        "sum": {"order": 3},
        "max": {"order": 2, "impact": 3},
        "avg": {"order": 1},
    }


@pytest.mark.parametrize(
    "asked",
    [{"group_by": ["no_such"]}, {"group_by": ["state", "no_such"]}, {"functions": {"sum": ["no_such"]}}],
)
def test_a_field_that_is_not_there_is_an_error_and_not_another_answer(itil, incidents, asked):
    with pytest.raises(exceptions.IncompleteReadError, match="incident has no no_such"):
        aggregate(itil, "incident", incidents, **asked)


def test_a_condition_that_the_instance_leaves_out_counts_nothing(itil, incidents):
    with pytest.raises(exceptions.UnsafeQueryError, match="no_such is not in the answer"):
        aggregate(itil, "incident", {"no_such": "x"})


def test_what_may_not_be_asked_is_refused(sandbox, itil, incidents):
    sandbox.configure(unreadable=["incident.order"])
    with pytest.raises(exceptions.ForbiddenError, match="Insufficient rights to query records"):
        aggregate(itil, "incident", incidents, functions={"sum": ["order"]})


@pytest.mark.parametrize(
    "result", ["text", [1], {"stats": {}}, {"stats": {"count": "many"}}, [{"stats": None}]]
)
def test_whatever_else_a_server_answers_is_no_count(stub, transport, result):
    stub.script = [of(result)]
    with pytest.raises(exceptions.IncompleteReadError):
        aggregate(TableApi(transport()), "incident", {})
