"""What is waited for, and what the states of tickets mean for a wait."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.tickets.awaited import Awaited, Goal
from airflow_provider_servicenow_dq.tickets.incident import STATE_LABELS
from airflow_provider_servicenow_dq.tickets.states import states_of

ONE = Awaited("incident", "1" * 32, "INC0000001")
TWO = Awaited("incident", "2" * 32, "INC0000002")
HOST = "acme.service-now.com"


def in_state(**states):
    """Return the tickets ``one`` and ``two`` in states, None where they are not shown."""
    tickets = {"one": ONE, "two": TWO}
    return {tickets[name]: None if state is None else {"state": state} for name, state in states.items()}


def judged(wait_for="all", missed=0, **states):
    seen = in_state(**states)
    goal = Goal.of({"incident"}, wait_for=wait_for)
    return goal.judge(seen, dict.fromkeys(seen, missed)).outcome


@pytest.mark.parametrize(
    ("wait_for", "states", "outcome"),
    [
        ("all", {"one": "6", "two": "7"}, "reached"),
        ("all", {"one": "6", "two": "2"}, "waiting"),
        ("all", {"one": "8", "two": "2"}, "failed"),
        ("all", {"one": "8", "two": "6"}, "failed"),
        ("all", {"one": "6", "two": None}, "waiting"),
        ("any", {"one": "6", "two": "2"}, "reached"),
        ("any", {"one": "6", "two": "8"}, "reached"),
        ("any", {"one": "8", "two": "2"}, "waiting"),
        ("any", {"one": "8", "two": "8"}, "failed"),
        ("any", {"one": "8", "two": None}, "waiting"),
        ("all", {}, "reached"),
        ("any", {}, "reached"),
        ("all", {"one": ""}, "waiting"),
    ],
)
def test_a_wait_ends_with_the_states_of_its_tickets(wait_for, states, outcome):
    assert judged(wait_for, **states) == outcome


@pytest.mark.parametrize(
    ("missed", "outcome"), [(1, "waiting"), (2, "waiting"), (3, "failed"), (4, "failed")]
)
def test_a_ticket_that_three_looks_in_a_row_have_not_shown_is_gone(missed, outcome):
    assert judged("all", missed, one="2", two=None) == outcome


def test_with_any_one_that_is_gone_ends_the_wait_only_with_the_last():
    assert judged("any", 3, one="2", two=None) == "waiting"
    assert judged("any", 3, one="8", two=None) == "failed"


def test_the_words_name_the_tickets_ten_at_most():
    goal = Goal.of({"incident"})
    many = {Awaited("incident", number=f"INC{number:07}"): {"state": "8"} for number in range(12)}

    said = goal.judge(many, {}).words

    assert said.startswith("INC0000000 is Canceled; INC0000001 is Canceled; ")
    assert said.endswith("INC0000009 is Canceled; and 2 more")
    assert "INC0000002 is not shown in incident, 3 looks in a row" in goal.judge({TWO: None}, {TWO: 3}).words


@given(st.dictionaries(st.integers(0, 5), st.sampled_from(["1", "2", "3", "6", "7", "8"]), min_size=1))
def test_all_is_reached_only_when_any_is_and_any_fails_only_when_all_does(states):
    seen = {
        Awaited("incident", number=f"INC{number:07}"): {"state": state} for number, state in states.items()
    }
    outcome = {how: Goal.of({"incident"}, wait_for=how).judge(seen, {}).outcome for how in ("all", "any")}

    assert outcome["any"] == "reached" or outcome["all"] != "reached"
    assert outcome["all"] == "failed" or outcome["any"] != "failed"


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("resolved", "closed"), {"6", "7"}),
        (("Resolved", " CLOSED "), {"6", "7"}),
        (("In Progress", "on_hold", "New"), {"2", "3", "1"}),
        (("6", 7, "-5", "10"), {"6", "7", "-5", "10"}),
        (("Cancelled",), {"8"}),
        (("acknowledged",), {"2", "3"}),
        ("resolved", {"6"}),
    ],
)
def test_states_of_an_incident_are_given_by_label_by_value_or_by_what_they_stand_for(names, values):
    assert Goal.of({"incident"}, targets=names, failures=()).targets == {"incident": values}


def test_a_word_that_is_no_state_is_refused_and_the_states_are_named():
    with pytest.raises(ServiceNowConfigError, match="'fixed' is no state of an incident: new, in_progress"):
        Goal.of({"incident"}, targets=("fixed",))


def test_states_that_an_instance_has_added_count_as_what_the_project_says():
    told = states_of("incident", {"inbound": {"10": "resolved", "11": "discarded"}})
    goal = Goal.of({"incident"}, states_in=lambda _: told)

    assert goal.targets == {"incident": {"6", "7", "10"}}
    assert goal.failures == {"incident": {"8", "11"}}


def test_other_tables_know_their_states_by_value_and_by_the_statuses_of_the_project():
    told = states_of("problem", {"inbound": {"106": "resolved", "107": "resolved", "108": "discarded"}})

    goal = Goal.of({"problem"}, states_in=lambda _: told)
    assert (goal.targets, goal.failures) == ({"problem": {"106", "107"}}, {"problem": {"108"}})
    by_value = Goal.of({"problem"}, targets=("done", "107"), states_in=lambda _: told)
    assert by_value.targets == {"problem": {"done", "107"}}


def test_of_a_table_of_which_nothing_is_known_only_values_can_be_waited_for():
    assert Goal.of({"u_case"}, targets=("3",)).failures == {"u_case": frozenset()}
    with pytest.raises(ServiceNowConfigError, match="No state of u_case is known to wait for"):
        Goal.of({"u_case"})


def test_a_state_cannot_end_a_wait_both_ways():
    with pytest.raises(ServiceNowConfigError, match="Among both target_states and failure_states: 7 of"):
        Goal.of({"incident"}, failures=("closed",))


def test_a_word_for_how_many_that_is_none_is_refused():
    with pytest.raises(ServiceNowConfigError, match="wait_for must be all or any"):
        Goal.of({"incident"}, wait_for="most")


def test_a_record_without_a_state_is_no_ticket_that_waits():
    with pytest.raises(ServiceNowConfigError, match="incident has no column state"):
        Goal.of({"incident"}).judge({ONE: {"number": "INC0000001"}}, {})


def test_a_goal_and_its_tickets_survive_as_json():
    told = states_of("problem", {"inbound": {"107": "resolved", "closed": "resolved"}})
    goal = Goal.of(
        {"problem", "incident"},
        wait_for="any",
        states_in=lambda table: told if table == "problem" else states_of(table),
    )
    kept = json.loads(json.dumps(goal.as_json()))

    again = Goal.of(
        {"problem", "incident"},
        targets=kept["target_states"],
        failures=kept["failure_states"],
        wait_for=kept["wait_for"],
    )
    assert again == goal
    assert Awaited.of(json.loads(json.dumps(ONE.as_json())), host=HOST) == ONE


def test_a_ticket_is_named_by_a_text_or_by_its_parts():
    assert Awaited.of("inc0000001", host=HOST) == Awaited("incident", number="INC0000001")
    assert Awaited.of("PRB0000001", host=HOST, table="problem") == Awaited("problem", number="PRB0000001")
    address = f"https://{HOST}/problem.do?sys_id={'a' * 32}"
    assert Awaited.of(address, host=HOST) == Awaited("problem", "a" * 32)
    assert Awaited.of({"number": "INC0000001"}, host=HOST).name == "INC0000001"


@pytest.mark.parametrize(
    "name", [{}, {"table": "incident"}, {"sys_id": "1"}, 7, None, {"number": "1", "table": "a b"}]
)
def test_what_names_no_ticket_is_refused(name):
    with pytest.raises(ServiceNowConfigError):
        Awaited.of(name, host=HOST)


def test_every_state_of_an_incident_can_be_waited_for_by_its_label():
    for value, label in STATE_LABELS.items():
        assert value in Goal.of({"incident"}, targets=(label,), failures=()).targets["incident"]
