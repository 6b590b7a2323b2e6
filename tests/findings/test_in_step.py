"""Cases and their tickets in step; a finding is closed where it was found."""

from __future__ import annotations

import pytest
from asking import CLOSED, SOLVED, Client, finding_id, ours, ticket

from airflow_provider_servicenow_dq.anomalies.model import Severity, Status
from airflow_provider_servicenow_dq.desk.desk import Run, utc_now
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.recording import key_of, know
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import anomalies, cases
from airflow_provider_servicenow_dq.store.taken import Consumer


@pytest.fixture
def client(desk):
    return Client(desk)


@pytest.fixture
def case(client):
    (case,) = client.create(ticket(1, 2)).cases
    return case


def shown(client, case):
    """Return a case as it is now; what is asked for changes nothing."""
    (now,) = client.attach_case(case.id, 1).cases
    return now.attributes


def by_hand(sandbox, **values):
    (row,) = ours(sandbox)
    sandbox.act_as("admin", "incident", row["sys_id"], values)


def user(sandbox, name):
    return next(row["sys_id"] for row in sandbox.records("sys_user") if row["user_name"] == name)


def assigned(case):
    return case.attributes.assigned_to.data.id


def test_a_case_is_where_its_ticket_is(client, desk, sandbox, case):
    pull(desk, client.project)
    assert (shown(client, case).status, shown(client, case).status_group) == ("OPEN", "SG_OPEN")

    by_hand(sandbox, state="2")
    pull(desk, client.project)
    assert (shown(client, case).status, shown(client, case).status_name) == ("IN_PROGRESS", "In Progress")

    by_hand(sandbox, **SOLVED)
    pull(desk, client.project)
    now = shown(client, case)
    assert (now.status, now.status_group, now.closed_at is not None) == ("CLOSED", "SG_CLOSED", True)


def test_who_a_case_is_assigned_to_is_followed_with_its_priority_and_due_date(desk, sandbox):
    client = Client(desk, assignees={"f315bdaf-9ee7": "beth.anglin", "0b8a7a61-95f2": "Fred Luddy"})
    (case,) = client.create(ticket(1, priority="P4", assignee_id="f315bdaf-9ee7")).cases
    assert assigned(case) == "f315bdaf-9ee7"
    pull(desk, client.project)

    by_hand(
        sandbox,
        impact="1",
        urgency="1",
        assigned_to=user(sandbox, "fred.luddy"),
        due_date="2027-03-01 16:00:00",
    )
    pull(desk, client.project)

    now = shown(client, case)
    assert (now.priority, now.due_date, now.assigned_to.data.id) == ("P1", "2027-03-01", "0b8a7a61-95f2")
    by_hand(sandbox, assigned_to=user(sandbox, "admin"))
    pull(desk, client.project)
    assert shown(client, case).assigned_to.data.id == user(sandbox, "admin")  # Datadog knows nobody there
    by_hand(sandbox, assigned_to="")
    pull(desk, client.project)
    assert shown(client, case).assigned_to is None


def test_the_case_of_a_ticket_that_somebody_has_opened_begins_as_the_ticket_is(desk, sandbox):
    client = Client(desk, assignees={"f315bdaf-9ee7": "beth.anglin"})
    values = {"impact": "1", "urgency": "1", "assigned_to": user(sandbox, "beth.anglin")}
    row = desk.table_api.create("incident", {"short_description": "Leak", **values})

    (case,) = client.attach(row["number"], 1).cases

    assert (case.attributes.title, case.attributes.priority, assigned(case)) == (
        "Leak",
        "P1",
        "f315bdaf-9ee7",
    )


def test_a_case_is_called_what_people_call_its_ticket(client, desk, sandbox, case):
    pull(desk, client.project)
    assert shown(client, case).title == case.attributes.title
    by_hand(sandbox, short_description="The bucket of the lake is open")
    pull(desk, client.project)
    assert shown(client, case).title == "The bucket of the lake is open"
    by_hand(sandbox, **CLOSED)

    client.attach_case(case.id, 3)

    assert {row["short_description"] for row in ours(sandbox)} == {"The bucket of the lake is open"}


def test_where_nothing_comes_back_a_case_stays_as_it_was_asked_for(desk, sandbox):
    client = Client(desk, sync="outbound")
    (case,) = client.create(ticket(1, priority="P4", title="mine")).cases
    pull(desk, client.project)
    by_hand(sandbox, impact="1", urgency="1", short_description="theirs")
    pull(desk, client.project)

    now = shown(client, case)
    assert (now.priority, now.title) == ("P4", "mine")


@pytest.mark.parametrize(
    ("own", "other", "follows"), [("bidirectional", "outbound", True), ("outbound", "bidirectional", False)]
)
def test_whether_a_case_follows_says_its_own_project_whichever_pulls(desk, sandbox, own, other, follows):
    client = Client(desk, sync=own)
    (case,) = client.create(ticket(1, priority="P4", title="mine")).cases
    pull(desk, client.project)
    by_hand(sandbox, impact="1", urgency="1", short_description="theirs")
    pull(desk, Project(id="another", sync=other))
    pull(desk, client.project)

    now = shown(client, case)
    assert (now.priority, now.title) == (("P1", "theirs") if follows else ("P4", "mine"))


@pytest.mark.parametrize("follows", [True, False])
def test_whether_a_case_follows_says_the_project_as_it_is_now(desk, sandbox, follows):
    before, now = ("outbound", "bidirectional") if follows else ("bidirectional", "outbound")
    (case,) = Client(desk, sync=before).create(ticket(1, title="mine")).cases
    client = Client(desk, sync=now)
    pull(desk, client.project)
    by_hand(sandbox, short_description="theirs")
    pull(desk, Project(id="another"))
    pull(desk, client.project)

    assert shown(client, case).title == ("theirs" if follows else "mine")


def test_a_pull_locks_no_case_while_its_project_says_what_it_said(client, desk, case, monkeypatch):
    locked, real = [], cases.lock

    def lock(connection, ids):
        found = list(ids)
        locked.extend(found)
        real(connection, found)

    monkeypatch.setattr(cases, "lock", lock)
    pull(desk, client.project)
    assert locked == []

    pull(desk, Client(desk, sync="outbound").project)
    assert locked == [case.id]


def test_what_people_have_chosen_is_kept_by_the_successor_of_the_ticket(client, desk, sandbox, case):
    pull(desk, client.project)
    by_hand(sandbox, impact="1", urgency="2", assigned_to=user(sandbox, "beth.anglin"))
    pull(desk, client.project)
    by_hand(sandbox, **CLOSED)

    client.attach_case(case.id, 3)

    (new,) = [row for row in ours(sandbox) if row["state"] != "7"]
    assert (new["priority"], new["assigned_to"]) == ("2", user(sandbox, "beth.anglin"))


def test_a_priority_that_was_not_asked_for_is_that_of_the_severest_and_the_case_says_none(
    client, desk, sandbox
):
    worst = finding_of(finding_id(2)).model_copy(update={"severity": Severity.CRITICAL})
    with desk.store.begin() as connection:
        know(connection, [worst], namespace="", now=utc_now())

    (case,) = client.create(ticket(1, 2)).cases
    pull(desk, client.project)

    assert (ours(sandbox)[0]["priority"], shown(client, case).priority) == ("1", "NOT_DEFINED")


@pytest.mark.parametrize("wish", ["P1", "P2", "P3", "P4", "P5"])
def test_a_priority_is_asked_for_as_impact_and_urgency_that_make_it(client, sandbox, wish):
    (case,) = client.create(ticket(1, priority=wish)).cases

    assert (case.attributes.priority, f"P{ours(sandbox)[0]['priority']}") == (wish, wish)


@pytest.mark.parametrize("wish", ["P6", "p1", 1, None])
def test_another_priority_is_a_bad_request(client, wish):
    with pytest.raises(BadRequestError, match=r"data.0.attributes.priority: Input should be 'NOT_DEFINED'"):
        client.create(ticket(1, priority=wish))


def test_who_is_nobody_on_the_instance_stays_in_the_case_with_a_warning(client, sandbox):
    (case,) = client.create(ticket(1, assignee_id="f315bdaf-9ee7")).cases

    assert ours(sandbox)[0]["assigned_to"] == ""
    assert assigned(case) == "f315bdaf-9ee7"
    (warning,) = case.attributes.attributes["warnings"]
    assert warning == f"assignee_id: project {client.project.id} tells no user for f315bdaf-9ee7"


def test_a_case_for_which_no_words_were_given_says_what_is_in_it_now(client, case):
    assert case.attributes.title.startswith("2 security findings: def-00p-ier on i-")
    assert case.attributes.description.splitlines()[0] == "Security findings: 2"

    client.detach(1, 2)
    (now,) = client.attach_case(case.id, *range(3, 15)).cases

    assert now.attributes.description.splitlines()[0] == "Security findings: 12"
    assert now.attributes.description.splitlines()[-1] == "- and 2 more"


def test_closing_the_ticket_closes_no_finding_and_its_people_are_told_of_it(client, desk, sandbox, case):
    pull(desk, client.project)
    by_hand(sandbox, **SOLVED)

    pull(desk, client.project)

    keys = [key_of(finding_id(number), "") for number in (1, 2)]
    with desk.store.begin() as connection:
        known = anomalies.contents(connection, keys)
    assert {finding.status for finding in known.values()} == {Status.ACTIVE}
    took = taking.take(desk, Consumer(desk.host, "incident", "pull"), "", succeeded=lambda _: None)
    changes = [change for change in taking.read(desk, took) if change["field"] == "state"]
    told = {(change["anomaly_id"], change["new"]) for change in changes}
    assert told == {(finding_id(1), "6"), (finding_id(2), "6")}


def test_findings_that_datadog_has_closed_resolve_the_ticket_when_none_is_open(client, desk, sandbox, case):
    for number, state in ((1, "1"), (2, "6")):
        gone = finding_of(finding_id(number)).model_copy(update={"status": Status.RESOLVED})
        push_status(desk, [gone], run=Run("dag", f"run {number}", "push"), project=client.project)
        assert ours(sandbox)[0]["state"] == state
