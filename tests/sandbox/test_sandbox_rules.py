"""What the instance computes, demands and refuses when an incident is written."""

from __future__ import annotations

import pytest
from plain_client import error_of

from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "reloaded"}
BETH = "46d44a23a9fe19810012d100cca80666"
DATABASE = "287ee6fea9fe198100ada7950d0b1b73"
NETWORK = "287ebd7da9fe198100f92cc8d1d2154e"


@pytest.mark.parametrize(
    ("impact", "urgency", "priority"),
    [
        ("1", "1", "1"), ("1", "2", "2"), ("1", "3", "3"),
        ("2", "1", "2"), ("2", "2", "3"), ("2", "3", "4"),
        ("3", "1", "3"), ("3", "2", "4"), ("3", "3", "5"),
    ],
)  # fmt: skip
def test_priority_is_looked_up_whatever_was_wished_for(client, impact, urgency, priority):
    record = client.create(impact=impact, urgency=urgency, priority="1" if priority != "1" else "5")
    assert record["priority"] == priority
    assert client.update(record["sys_id"], priority="2").json()["result"]["priority"] == priority


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ({}, "Resolution code, Close notes"),
        ({"close_notes": "fixed"}, "Resolution code"),
        ({"close_notes": "fixed", "close_code": "Solved (Permanently)"}, "Resolution code"),
        ({"close_code": "Solution provided"}, "Close notes"),
    ],
)
def test_resolving_needs_a_known_code_and_notes(client, sandbox, sent, missing):
    sys_id = client.create()["sys_id"]
    answer = client.update(sys_id, state="6", **sent)
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "Operation Failed",
        "detail": f"Data Policy Exception: \n\tThe following fields are mandatory: {missing}",
    }
    assert sandbox.records("incident")[0]["state"] == "1"


def test_resolving_stamps_who_and_when_and_stays_active(client):
    sys_id = client.create()["sys_id"]
    record = client.update(sys_id, **SOLVED).json()["result"]
    assert (record["state"], record["incident_state"], record["active"]) == ("6", "6", "true")
    assert record["resolved_by"] == record["opened_by"]
    assert record["resolved_at"]
    assert record["closed_at"] == ""


def test_the_set_of_resolution_codes_is_a_switch(client, sandbox):
    sys_id = client.create()["sys_id"]
    old = {**SOLVED, "close_code": "Solved (Permanently)"}
    sandbox.configure(close_code_set="old")
    assert client.update(sys_id, **SOLVED).status_code == 403
    assert client.update(sys_id, **old).status_code == 200
    sandbox.configure(close_code_set="both")
    codes = {row["value"] for row in client.find("name=incident^element=close_code", "sys_choice")}
    assert {"Solved (Permanently)", "Solution provided"} <= codes


def test_reopening_counts_and_asks_for_a_new_resolution(client):
    sys_id = client.create()["sys_id"]
    client.update(sys_id, **SOLVED)
    record = client.update(sys_id, state="2").json()["result"]
    assert (record["reopen_count"], record["reopened_by"]) == ("1", record["opened_by"])
    assert record["reopened_time"]
    assert record["resolved_at"] == record["close_code"] == ""
    assert client.update(sys_id, state="6").status_code == 403


def test_closing_is_for_incident_managers_and_locks_the_incident(client, sandbox, admin):
    sys_id = client.create()["sys_id"]
    assert client.update(sys_id, **{**SOLVED, "state": "7"}).status_code == 403
    sandbox.act_as("beth.anglin", "incident", sys_id, {**SOLVED, "state": "7"})
    record = client.read(sys_id)
    assert (record["state"], record["active"], record["closed_by"]) == ("7", "false", BETH)
    assert record["closed_at"]
    for values in ({"work_notes": "too late"}, {"state": "2"}):
        answer = client.update(sys_id, **values)
        assert error_of(answer)["detail"] == "ACL Exception Update Failed due to security constraints"
    assert admin.update(sys_id, short_description="by admin").status_code == 200


def test_a_canceled_incident_is_closed_without_a_resolution(client):
    sys_id = client.create()["sys_id"]
    record = client.update(sys_id, state="8", work_notes="a twin").json()["result"]
    assert (record["state"], record["active"]) == ("8", "false")
    assert record["closed_at"]
    assert client.update(sys_id, work_notes="more").status_code == 403


def test_another_group_clears_the_assignee_unless_one_is_named(client):
    sys_id = client.create(assignment_group=DATABASE, assigned_to=BETH)["sys_id"]
    moved = client.update(sys_id, assignment_group=NETWORK).json()["result"]
    assert (moved["assigned_to"], moved["reassignment_count"]) == ("", "1")
    back = client.update(sys_id, assignment_group=DATABASE, assigned_to=BETH).json()["result"]
    assert back["assigned_to"] == BETH


def test_an_empty_group_is_filled_from_the_configuration_item(client):
    item = client.find("name=dw-prod-01", "cmdb_ci")[0]["sys_id"]
    assert client.create(cmdb_ci=item)["assignment_group"] == DATABASE
    assert client.create(cmdb_ci=item, assignment_group=NETWORK)["assignment_group"] == NETWORK


def test_the_reason_for_holding_goes_when_the_hold_ends(client):
    sys_id = client.create(state="3", hold_reason="4")["sys_id"]
    assert client.read(sys_id)["hold_reason"] == "4"
    assert client.update(sys_id, state="2").json()["result"]["hold_reason"] == ""


def test_incident_state_alone_moves_the_state(client):
    sys_id = client.create()["sys_id"]
    assert client.update(sys_id, incident_state="2").json()["result"]["state"] == "2"


def test_a_data_policy_of_ones_own_refuses_some_records_only(sandbox, client):
    sandbox.configure(mandatory=["incident.caller_id when short_descriptionLIKEpoison"])
    client.create(short_description="fine")
    answer = client.table("POST", "incident", json={"short_description": "the poison one"})
    assert answer.status_code == 403
    detail = "Data Policy Exception: \n\tThe following fields are mandatory: Caller"
    assert error_of(answer) == {"message": "Operation Failed", "detail": detail}
    assert client.create(short_description="the poison one", caller_id=BETH)["caller_id"] == BETH
    assert len(sandbox.records("incident")) == 2


def test_a_business_rule_of_ones_own_aborts_with_its_name(sandbox, client):
    sandbox.configure(abort=["incident when impact=1"])
    answer = client.table("POST", "incident", json={"impact": "1"})
    assert answer.status_code == 403
    detail = error_of(answer)["detail"]
    assert detail.startswith(
        "Operation against file 'incident' was aborted by Business Rule 'Abort changes on "
    )
    assert detail.endswith("'. Business Rule Stack:Abort changes on incident")


def test_a_person_is_held_to_the_same_rules(sandbox, client):
    sys_id = client.create()["sys_id"]
    with pytest.raises(RefusedError, match="Resolution code, Close notes"):
        sandbox.act_as("beth.anglin", "incident", sys_id, {"state": "6"})
    with pytest.raises(ValueError, match="nobody can act as"):
        sandbox.act_as("charlie.whitherspoon", "incident", sys_id, {"state": "2"})
    after = sandbox.act_as("beth.anglin", "incident", sys_id, {"state": "2"})
    assert (after["sys_updated_by"], after["sys_mod_count"]) == ("beth.anglin", "1")


def test_an_update_that_changes_nothing_leaves_no_trace(sandbox, client):
    record = client.create(short_description="same")
    sandbox.configure(clock_offset_s=100)
    after = client.update(record["sys_id"], short_description="same").json()["result"]
    assert (after["sys_mod_count"], after["sys_updated_on"]) == ("0", record["sys_updated_on"])
    after = client.update(record["sys_id"], short_description="other").json()["result"]
    assert after["sys_mod_count"] == "1"
    assert after["sys_updated_on"] > record["sys_updated_on"]


def test_new_problems_and_changes_begin_in_their_own_first_state(client):
    assert client.create("problem")["state"] == "101"
    change = client.create("change_request")
    assert (change["state"], change["active"]) == ("-5", "true")


def test_a_priority_that_is_sent_alone_stays_where_the_rule_runs_on_change_only(sandbox, client):
    sandbox.configure(priority_lookup="on_change")
    record = client.create(priority="1")
    assert record["priority"] == "5"
    assert client.update(record["sys_id"], priority="2").json()["result"]["priority"] == "2"
    assert client.update(record["sys_id"], urgency="1").json()["result"]["priority"] == "3"


def test_a_comment_of_its_caller_wakes_an_incident_that_waits_for_one(sandbox, client):
    abel = client.find("user_name=abel.tuter", "sys_user")[0]["sys_id"]
    sys_id = client.create(state="3", hold_reason="1", caller_id=abel)["sys_id"]
    client.update(sys_id, comments="we ask")
    assert client.read(sys_id)["state"] == "3"
    after = sandbox.act_as("abel.tuter", "incident", sys_id, {"comments": "I answer", "urgency": "1"})
    assert (after["state"], after["hold_reason"], after["urgency"]) == ("2", "", "3")


def test_a_caller_cannot_write_to_the_incidents_of_others(sandbox, client):
    sys_id = client.create()["sys_id"]
    with pytest.raises(RefusedError, match="No Record found"):
        sandbox.act_as("abel.tuter", "incident", sys_id, {"comments": "mine?"})


def test_children_follow_their_parent_but_are_not_closed_with_it(sandbox, client, admin):
    parent = client.create()["sys_id"]
    child = client.create(parent_incident=parent)["sys_id"]
    done = client.create(parent_incident=parent)["sys_id"]
    client.update(done, state="8")
    client.update(parent, state="3", hold_reason="4")
    assert (client.read(child)["state"], client.read(child)["hold_reason"]) == ("3", "4")
    client.update(parent, **SOLVED)
    assert (client.read(child)["state"], client.read(child)["close_code"]) == ("6", "Solution provided")
    admin.update(parent, state="7")
    assert [client.read(one)["state"] for one in (child, done)] == ["6", "8"]


def test_a_problem_goes_through_its_states_in_order(sandbox, client):
    sys_id = client.create("problem")["sys_id"]
    answer = client.update(sys_id, "problem", state="106")
    detail = error_of(answer)["detail"]
    assert detail.startswith("Operation against file 'problem' was aborted by Business Rule 'Problem state")
    answer = client.update(sys_id, "problem", state="102")
    assert error_of(answer)["detail"].endswith("are mandatory: Assigned to")
    steps = [
        {"state": "102", "assigned_to": BETH},
        {"state": "103"},
        {"state": "104", "cause_notes": "a disk", "fix_notes": "another disk"},
        {"state": "106", "resolution_code": "fix_applied"},
        {"state": "107"},
    ]
    for step in steps:
        assert client.update(sys_id, "problem", **step).status_code == 200
    record = client.read(sys_id, "problem")
    assert (record["state"], record["problem_state"], record["active"]) == ("107", "107", "false")


def test_the_order_of_a_problems_states_is_a_switch_and_has_short_cuts(sandbox, client):
    sys_id = client.create("problem")["sys_id"]
    short = client.update(sys_id, "problem", state="107", resolution_code="duplicate", assigned_to=BETH)
    assert short.status_code == 200
    sandbox.configure(problem_transitions="free")
    sys_id = client.create("problem", state="103")["sys_id"]
    assert client.update(sys_id, "problem", state="106").status_code == 200
