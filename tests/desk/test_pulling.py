"""What people did to tickets, told once to whoever follows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pulls import by_hand, in_short, known, told
from reporting import Order, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Status, anomaly_key
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store

SOLVED = {"close_code": "Solution provided", "close_notes": "loaded again"}


@pytest.fixture
def incident(desk, sandbox):
    report(desk, anomaly(source="qualytics", external_id=824))
    (incident,) = incidents(sandbox)
    assert told(desk) == []
    return incident


def test_a_change_says_what_somebody_did(desk, sandbox, incident):
    changed = by_hand(sandbox, incident, state="2")

    (change,) = told(desk)

    assert change == {
        "schema_version": 1,
        "anomaly_id": 824,
        "source": "qualytics",
        "table": "incident",
        "ticket": incident["number"],
        "sys_id": incident["sys_id"],
        "field": "state",
        "old": "1",
        "new": "2",
        "at": changed["sys_updated_on"].replace(" ", "T"),
        "by": "beth.anglin",
        "status": "acknowledged",
        "sequence": 1,
    }


def test_a_change_is_told_once(desk, sandbox, incident):
    by_hand(sandbox, incident, state="2")

    assert len(told(desk)) == 1
    assert told(desk) == []


def test_every_followed_column_is_told(desk, sandbox, incident):
    by_hand(sandbox, incident, impact="3", urgency="3", short_description="late", category="database")

    assert {change["field"]: change["new"] for change in told(desk)} == {
        "priority": "5",
        "impact": "3",
        "urgency": "3",
        "short_description": "late",
        "category": "database",
    }


def test_what_we_wrote_is_no_change(desk, sandbox, incident):
    done = anomaly(source="qualytics", external_id=824, status="resolved")

    push_status(desk, [done], run=Run("dag", "push", "push"))

    assert sandbox.records("incident")
    assert told(desk) == []
    assert told(desk, reset=True) == []


def test_a_persons_edit_just_before_our_note_is_told(desk, sandbox, incident):
    by_hand(sandbox, incident, state="2", urgency="1")
    noted = anomaly(source="qualytics", external_id=824, status="acknowledged")

    push_status(desk, [noted], run=Run("dag", "push", "push"))
    changes = told(desk)

    assert [name for name, _, _ in in_short(changes)] == ["state", "priority", "urgency"]
    assert {change["by"] for change in changes} == {None}


def test_a_persons_edit_of_another_column_just_before_we_resolve_is_told(desk, sandbox, incident):
    by_hand(sandbox, incident, short_description="mine")
    done = anomaly(source="qualytics", external_id=824, status="resolved")

    push_status(desk, [done], run=Run("dag", "push", "push"))

    assert in_short(told(desk)) == [("short_description", incident["short_description"], "mine")]


def test_notes_of_people_are_told_with_author_and_time(desk, sandbox, incident):
    by_hand(sandbox, incident, work_notes="looking into it")
    by_hand(sandbox, incident, comments="it will take a while")

    changes = told(desk)

    assert {(each["field"], each["new"], each["by"]) for each in changes} == {
        ("work_notes", "looking into it", "beth.anglin"),
        ("comments", "it will take a while", "beth.anglin"),
    }
    assert told(desk) == []


def test_a_note_that_a_person_wrote_under_our_account_is_told(desk, sandbox, incident):
    by_hand(sandbox, incident, user="svc_airflow", work_notes="I am a person")

    assert in_short(told(desk)) == [("work_notes", None, "I am a person")]


def test_a_note_in_the_ticket_that_we_made_is_ours(desk, sandbox):
    report(desk, anomaly(), order=Order(Project(), {"work_notes": "made by a DAG"}))

    assert told(desk) == []
    by_hand(sandbox, incidents(sandbox)[0], state="2")
    assert in_short(told(desk)) == [("state", "1", "2")]


def test_notes_that_were_left_out_come_later(desk, sandbox, incident):
    by_hand(sandbox, incident, state="2", work_notes="looking into it")

    assert [name for name, _, _ in in_short(told(desk, include_notes=False))] == ["state"]
    assert in_short(told(desk)) == [("work_notes", None, "looking into it")]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"state": "6", "close_code": "Solution provided"}, Status.RESOLVED),
        ({"state": "6", "close_code": "Duplicate"}, Status.DUPLICATE),
        ({"state": "7", "close_code": "False positive"}, Status.INVALID),
        ({"state": "8"}, Status.DISCARDED),
        ({"state": "3"}, Status.ACKNOWLEDGED),
    ],
)
def test_the_anomaly_is_what_its_ticket_says(desk, sandbox, incident, values, status):
    sandbox.configure(allow_non_existing_choice=True)
    by_hand(sandbox, incident, user="admin", close_notes="done", **values)
    sandbox.configure(allow_non_existing_choice=False)

    changes = told(desk)

    key = anomaly_key(anomaly(source="qualytics", external_id=824))
    assert known(desk, key).status is status
    assert {change["status"] for change in changes if change["field"] == "state"} == {str(status)}
    with desk.store.begin() as connection:
        assert anomaly_store.count_open(connection, [key]) == (status is Status.ACKNOWLEDGED)


def test_a_reopened_ticket_makes_its_anomaly_open_again(desk, sandbox, incident):
    by_hand(sandbox, incident, state="6", **SOLVED)
    told(desk)
    by_hand(sandbox, incident, state="2")

    told(desk)

    key = anomaly_key(anomaly(source="qualytics", external_id=824))
    assert known(desk, key).status is Status.ACKNOWLEDGED


def test_a_source_that_decided_later_than_the_ticket_keeps_its_status(desk, sandbox, incident):
    by_hand(sandbox, incident, state="2")
    later = datetime(2200, 1, 1, tzinfo=UTC)
    decided = anomaly(source="qualytics", external_id=824, status="invalid", status_changed_at=later)
    push_status(desk, [decided], run=Run("dag", "push", "push"))

    assert in_short(told(desk)) == [("state", "1", "2")]

    assert known(desk, anomaly_key(decided)).status is Status.INVALID


@pytest.mark.parametrize("direction", ["none", "outbound"])
def test_a_project_that_takes_nothing_back_is_told_of_columns_only(desk, sandbox, incident, direction):
    by_hand(sandbox, incident, state="6", work_notes="solved", **SOLVED)

    changes = told(desk, rules={"sync": direction})

    assert "work_notes" not in {change["field"] for change in changes}
    assert {change["status"] for change in changes} == {None}
    key = anomaly_key(anomaly(source="qualytics", external_id=824))
    assert known(desk, key).status is Status.ACTIVE


def test_a_retried_report_does_not_undo_what_the_ticket_said(desk, sandbox, incident):
    by_hand(sandbox, incident, state="6", **SOLVED)
    told(desk)

    report(desk, anomaly(source="qualytics", external_id=824))

    key = anomaly_key(anomaly(source="qualytics", external_id=824))
    assert known(desk, key).status is Status.RESOLVED
    report(desk, anomaly(source="qualytics", external_id=824, hour=1))
    assert known(desk, key).status is Status.ACTIVE


def test_a_ticket_that_is_not_shown_any_more_is_unknown_and_comes_back(desk, sandbox, incident):
    sandbox.configure(hidden=(f"incident when sys_id={incident['sys_id']}",))

    gone = told(desk)
    again = told(desk)
    sandbox.configure(hidden=())
    back = told(desk)

    assert in_short(gone) == [("state", "1", "unknown")]
    assert again == []
    assert in_short(back) == [("state", "unknown", "1")]
    key = anomaly_key(anomaly(source="qualytics", external_id=824))
    assert known(desk, key).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("kind", "reset"),
    [("hibernating", False), ("unauthorized", False), ("api_acl", True), ("cancelled", True)],
)
def test_a_query_that_fails_is_never_no_tickets(desk, sandbox, incident, kind, reset):
    by_hand(sandbox, incident, state="2")
    sandbox.fail_next(kind, method="GET", count=20)

    with pytest.raises(ServiceNowError):
        pull(desk, Project(), reset=reset)
    sandbox.service.faults.clear()

    assert in_short(told(desk)) == [("state", "1", "2")]


def test_tickets_that_nobody_follows_are_left_alone(desk, sandbox, incident):
    others = [record for record in sandbox.records("incident") if record["sys_id"] != incident["sys_id"]]
    for record in others:
        by_hand(sandbox, record, work_notes="not yours")

    assert told(desk) == []
    assert writes(sandbox) == ["POST"]


def test_a_ticket_that_joins_later_counts_as_told_from_then_on(desk, make_desk, sandbox, incident):
    by_hand(sandbox, incident, state="2", work_notes="before")
    empty = make_desk("empty")

    report(empty, anomaly(source="qualytics", external_id=824))
    first = told(empty)
    by_hand(sandbox, incident, state="3", work_notes="after")

    assert first == []
    assert sorted(in_short(told(empty)), key=str) == [("state", "2", "3"), ("work_notes", None, "after")]


def test_a_dry_run_writes_nothing_down(desk, sandbox, incident):
    by_hand(sandbox, incident, state="2", work_notes="looking")

    outcome = pull(desk, Project(), dry_run=True)

    assert [change["field"] for change in outcome.rehearsed] == ["state", "work_notes"]
    assert len(told(desk)) == 2


def test_notes_are_told_from_what_forms_show_where_the_journal_cannot_be_read(desk, sandbox, incident):
    sandbox.configure(journal_acl=True)
    by_hand(sandbox, incident, work_notes="looking into it")

    outcome = pull(desk, Project(), dry_run=True)

    assert [change["new"] for change in outcome.rehearsed] == ["looking into it"]
    assert "sys_journal_field" in outcome.warnings[0]
    assert in_short(told(desk)) == [("work_notes", None, "looking into it")]
    assert told(desk) == []
