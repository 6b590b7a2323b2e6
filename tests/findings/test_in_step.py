"""Cases and their tickets in step; a finding is closed where it was found."""

from __future__ import annotations

import pytest
from asking import Client, finding_id, ours, ticket

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.recording import key_of
from airflow_provider_servicenow_dq.store import anomalies
from airflow_provider_servicenow_dq.store.taken import Consumer

SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}


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
    sandbox.act_as("beth.anglin", "incident", row["sys_id"], values)


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
