"""What becomes of a case whose ticket was resolved, closed, canceled or deleted."""

from __future__ import annotations

import pytest
from asking import CLOSED, SOLVED, Client, finding_id, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.projects.project import Project


@pytest.fixture
def client(desk):
    return Client(desk)


def end(sandbox, values):
    (row,) = ours(sandbox)
    sandbox.act_as("admin", "incident", row["sys_id"], values)
    return row


@pytest.mark.parametrize("state", ["7", "8"])
def test_all_findings_of_a_case_come_along_to_the_successor_of_its_ticket(desk, sandbox, state):
    client = Client(desk, close_empty_cases=True)
    (case,) = client.create(ticket(1, 2, priority="P2", title="Public buckets")).cases
    before = end(sandbox, {**CLOSED, "state": state})

    came = client.attach_case(case.id, 3)

    after = result_of(came).sys_id
    new = next(row for row in ours(sandbox) if row["sys_id"] == after)
    assert members(desk, after) == keys(1, 2, 3)
    assert members(desk, before["sys_id"]) == set()
    assert new["description"].startswith(f"Follows {before['number']}")
    assert all(new["description"].count(finding_id(number)) == 1 for number in (1, 2, 3))
    assert (new["priority"], new["short_description"]) == ("2", "Public buckets")
    assert sandbox.notes(after) == []
    assert came.cases[0].attributes.status == "OPEN"
    assert came.failures == []


def test_a_ticket_that_has_a_successor_is_not_said_to_have_no_finding_left(desk, sandbox):
    client = Client(desk, on_refire="new", close_empty_cases=True)
    (case,) = client.create(ticket(1)).cases
    before = end(sandbox, SOLVED)

    came = client.attach_case(case.id, 2)

    assert members(desk, result_of(came).sys_id) == keys(1, 2)
    assert "No finding is left" not in texts(sandbox, before["sys_id"])


def test_they_come_along_whoever_delivers_it(make_desk, sandbox):
    desk = make_desk(patience_s=0)
    client = Client(desk)
    (case,) = client.create(ticket(1, 2)).cases
    end(sandbox, CLOSED)
    sandbox.stop()
    client.attach_case(case.id, 3)
    sandbox.start()

    deliver_waiting(desk, Run("dag", "run", "deliver"))

    (after,) = [row for row in ours(sandbox) if row["state"] == "1"]
    assert members(desk, after["sys_id"]) == keys(1, 2, 3)


def test_who_has_left_the_case_does_not_come_along(client, desk, sandbox):
    (case,) = client.create(ticket(1, 2)).cases
    client.create(ticket(2))
    sandbox.act_as("admin", "incident", case.attributes.servicenow_ticket.result.sys_id, CLOSED)

    came = client.attach_case(case.id, 3)

    assert members(desk, result_of(came).sys_id) == keys(1, 3)


def test_a_ticket_that_was_deleted_is_opened_again_with_all_findings(client, desk, sandbox):
    (case,) = client.create(ticket(1, 2)).cases
    (row,) = ours(sandbox)
    sandbox.instance.delete(sandbox.instance.account("admin"), "incident", row["sys_id"])

    came = client.attach_case(case.id, 3)

    (again,) = ours(sandbox)
    assert result_of(came).sys_id == again["sys_id"]
    assert all(finding_id(number) in texts(sandbox, again["sys_id"]) for number in (1, 2, 3))


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_case_that_a_person_has_resolved_is_reopened_by_a_finding_that_comes(desk, sandbox, is_empty):
    client = Client(desk, close_empty_cases=True)
    (case,) = client.create(ticket(1)).cases
    row = end(sandbox, SOLVED)
    if is_empty:
        client.detach(1)

    came = client.attach_case(case.id, 2)

    assert result_of(came).sys_id == row["sys_id"]
    assert came.cases[0].attributes.status == "IN_PROGRESS"
    assert members(desk, row["sys_id"]) == (keys(2) if is_empty else keys(1, 2))


def test_an_emptied_case_that_was_closed_meanwhile_opens_a_successor(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    (case,) = client.create(ticket(1)).cases
    client.detach(1)
    before = end(sandbox, CLOSED)

    came = client.attach_case(case.id, 1)

    after = result_of(came).sys_id
    assert after != before["sys_id"]
    assert members(desk, after) == keys(1)
    assert "No finding is left" not in texts(sandbox, after)


def test_tickets_of_another_table_are_resolved_with_the_last_finding_as_the_project_tells(desk, sandbox):
    sandbox.configure(table=["u_data_task extends task"])
    states = {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"3": "resolved"}}
    client = Client(desk, table="u_data_task", status=states, close_empty_cases=True)
    (case,) = client.create(ticket(1)).cases

    client.detach(1)
    assert [row["state"] for row in sandbox.records("u_data_task")] == ["3"]
    client.attach_case(case.id, 1)
    assert [row["state"] for row in sandbox.records("u_data_task")] == ["2"]


def test_a_ticket_whose_last_finding_goes_to_another_table_is_resolved_by_its_own_rules(desk, sandbox):
    sandbox.configure(table=["u_data_task extends task"])
    states = {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"3": "resolved"}}
    Client(desk, table="u_data_task", status=states, close_empty_cases=True).create(ticket(1))

    Client(desk, close_empty_cases=True).create(ticket(1, title="elsewhere"))

    (row,) = sandbox.records("u_data_task")
    assert row["state"] == "3"


@pytest.mark.parametrize("state", [SOLVED, CLOSED], ids=["resolved", "closed"])
def test_a_finding_that_is_reported_again_comes_to_the_ticket_of_its_case(client, desk, sandbox, state):
    (case,) = client.create(ticket(1, 2, title="credentials")).cases
    (before,) = ours(sandbox)
    sandbox.act_as("admin", "incident", before["sys_id"], state)

    opening = open_tickets(desk, [finding_of(finding_id(1))], order=Order(Project()), run=Run("d", "r", "t"))

    assert opening.failures == []
    now = ours(sandbox)[-1]
    assert len(ours(sandbox)) == (1 if state is SOLVED else 2)
    assert (now["state"], now["short_description"]) == ("2" if state is SOLVED else "1", "credentials")
    assert members(desk, now["sys_id"]) == keys(1, 2)
    (shown,) = client.attach_case(case.id, 1).cases
    assert [each.resource_id for each in shown.attributes.insights] == [finding_id(1), finding_id(2)]
    assert shown.attributes.servicenow_ticket.result.sys_id == now["sys_id"]
