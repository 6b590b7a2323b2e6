"""Findings that leave: their ticket and their case at once, and what becomes of a case that is empty."""

from __future__ import annotations

import pytest
from asking import Client, finding_id, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Status
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import schema

EMPTY = "No finding is left in PROJ-1."


@pytest.fixture
def client(desk):
    return Client(desk)


def state_of(sandbox, sys_id):
    return next(row["state"] for row in ours(sandbox) if row["sys_id"] == sys_id)


@pytest.mark.parametrize("how", ["linked", "reported"])
def test_a_finding_that_was_on_a_ticket_without_a_case_leaves_it_for_a_case_without_a_ticket(
    client, desk, sandbox, how
):
    (case,) = client.create_cases(ticket(1, kind="cases")).cases
    finding, run = finding_of(finding_id(2)), Run("dag", "run", "task")
    if how == "linked":
        row = desk.table_api.create("incident", {"short_description": "by hand"})
        link_anomalies(desk, [finding], incident=row["number"], run=run, project=Project())
        sys_id = row["sys_id"]
    else:
        open_tickets(desk, [finding], order=Order(Project()), run=run)
        sys_id = ours(sandbox)[0]["sys_id"]
    assert members(desk, sys_id) == keys(2)

    client.attach_case(case.id, 2)
    client.attach_case(case.id, 2)

    assert members(desk, sys_id) == set()
    assert texts(sandbox, sys_id).count("now on PROJ-1") == 1


@pytest.mark.parametrize("closes", [True, False])
def test_a_finding_that_is_unlinked_from_the_ticket_of_its_case_leaves_the_case_too(desk, sandbox, closes):
    client = Client(desk, close_empty_cases=closes)
    sys_id = result_of(client.create(ticket(1))).sys_id

    unlink_anomalies(desk, [finding_of(finding_id(1))], run=Run("dag", "run", "unlink"))

    (case,) = client.attach_case(client.attach(ours(sandbox)[0]["number"], 2).cases[0].id, 2).cases
    assert [each.resource_id for each in case.attributes.insights] == [finding_id(2)]
    assert texts(sandbox, sys_id).count("No longer followed here") == 1
    assert texts(sandbox, sys_id).count(EMPTY) == closes


def test_a_case_with_a_finding_that_its_ticket_has_refused_is_not_empty_until_that_has_left(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    answer = client.create(ticket(1))
    (case,), sys_id = answer.cases, result_of(answer).sys_id
    sandbox.configure(abort=("incident when sys_idISNOTEMPTY",))
    client.attach_case(case.id, 2)
    sandbox.configure(abort=())

    client.detach(1)
    assert (state_of(sandbox, sys_id), EMPTY in texts(sandbox, sys_id)) == ("1", False)

    client.detach(2)
    assert (state_of(sandbox, sys_id), texts(sandbox, sys_id).count(EMPTY)) == ("6", 1)


def test_a_case_to_which_a_finding_returns_before_anything_was_delivered_is_not_closed(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    answer = client.create(ticket(1))
    (case,), sys_id = answer.cases, result_of(answer).sys_id
    sandbox.stop()
    try:
        client.detach(1)
        client.attach_case(case.id, 1)
    finally:
        sandbox.start()
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    assert (state_of(sandbox, sys_id), EMPTY in texts(sandbox, sys_id)) == ("1", False)
    assert members(desk, sys_id) == keys(1)


@pytest.mark.parametrize("on_refire", ["reopen", "new", "note", "nothing"])
def test_an_empty_case_reopens_when_one_returns_whatever_is_done_about_resolved_ones(
    desk, sandbox, on_refire
):
    client = Client(desk, close_empty_cases=True, on_refire=on_refire)
    answer = client.create(ticket(1))
    (case,), sys_id = answer.cases, result_of(answer).sys_id
    client.detach(1)
    assert state_of(sandbox, sys_id) == "6"

    client.attach_case(case.id, 1)

    assert state_of(sandbox, sys_id) == "2"
    assert members(desk, sys_id) == keys(1)
    assert len(ours(sandbox)) == 1


@pytest.mark.parametrize("how", ["detached", "unlinked"])
@pytest.mark.parametrize("closes", [True, False])
def test_whether_an_empty_case_is_closed_says_the_project_as_it_is_now(desk, sandbox, closes, how):
    before, now = Client(desk, close_empty_cases=not closes), Client(desk, close_empty_cases=closes)
    sys_id = result_of(before.create(ticket(1))).sys_id

    if how == "detached":
        now.detach(1)
    else:
        finding, run = finding_of(finding_id(1)), Run("dag", "run", "unlink")
        unlink_anomalies(desk, [finding], run=run, project=now.project)

    assert state_of(sandbox, sys_id) == ("6" if closes else "1")


def test_findings_of_a_project_that_is_gone_can_be_detached_with_the_others(client, desk, sandbox):
    former = Client(desk)
    former.project = Project(id="gone", key="GONE")
    gone = result_of(former.create(ticket(1, project="gone"))).sys_id
    here = result_of(client.create(ticket(2))).sys_id

    client.detach(1, 2)
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    assert members(desk, gone) == members(desk, here) == set()
    assert all("No longer followed here" in texts(sandbox, sys_id) for sys_id in (gone, here))


@pytest.mark.parametrize("how", ["detached", "unlinked"])
def test_that_a_ticket_refuses_to_be_resolved_is_told(desk, sandbox, how):
    client = Client(desk, close_empty_cases=True)
    client.create(ticket(1))
    sandbox.configure(abort=("incident when state=6",))

    if how == "detached":
        came = client.detach(1)
    else:
        came = unlink_anomalies(desk, [finding_of(finding_id(1))], run=Run("dag", "run", "unlink"))

    (failure,) = came.failures
    assert "status" in failure
    assert "dead" in failure


def test_a_ticket_that_was_resolved_for_another_reason_has_a_successor_where_the_project_says_so(
    desk, sandbox
):
    client = Client(desk, on_refire="new", close_empty_cases=True)
    answer = client.create(ticket(1))
    (case,), sys_id = answer.cases, result_of(answer).sys_id
    closed = finding_of(finding_id(1)).model_copy(update={"status": Status.RESOLVED})
    push_status(desk, [closed], run=Run("dag", "run", "push"))
    assert state_of(sandbox, sys_id) == "6"
    client.detach(1)

    client.attach_case(case.id, 2)

    assert state_of(sandbox, sys_id) == "6"
    assert len(ours(sandbox)) == 2


@pytest.mark.parametrize("how", ["detached", "unlinked"])
def test_an_empty_ticket_is_resolved_as_its_table_does_though_what_came_to_it_is_pruned(desk, sandbox, how):
    sandbox.configure(table=["u_data_task extends task"])
    states = {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"3": "resolved"}}
    client = Client(desk, close_empty_cases=True, table="u_data_task", status=states)
    sys_id = result_of(client.create(ticket(1))).sys_id
    with desk.store.begin() as connection:
        connection.execute(schema.outbox.update().values(payload={}))

    if how == "detached":
        client.detach(1)
    else:
        finding, run = finding_of(finding_id(1)), Run("dag", "run", "unlink")
        unlink_anomalies(desk, [finding], run=run, project=client.project)

    (row,) = sandbox.records("u_data_task")
    assert (row["sys_id"], row["state"]) == (sys_id, "3")


def test_a_ticket_that_was_pruned_is_not_resolved_as_another_project_does(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    client.create(ticket(1))
    with desk.store.begin() as connection:
        connection.execute(schema.outbox.update().values(payload={}))

    finding, run = finding_of(finding_id(1)), Run("dag", "run", "unlink")
    other = Project(
        id="another", status={"outbound": {"resolved": "closed"}, "inbound": {"closed": "resolved"}}
    )
    came = unlink_anomalies(desk, [finding], run=run, project=other)

    assert came.failures == []
    assert [row["state"] for row in ours(sandbox)] == ["6"]


def test_a_ticket_of_a_group_is_not_reopened_for_an_anomaly_because_a_finding_has_left_it(desk, sandbox):
    rules = {"group_by": "dataset", "on_refire": "new"}
    known = [Anomaly(source="dbt", dataset="db.flights", check_name=f"check {n}") for n in range(2)]
    open_tickets(desk, known[:1], order=Order(Project(**rules)), run=Run("dag", "run", "task"))
    client = Client(desk, close_empty_cases=True)
    client.attach(ours(sandbox)[0]["number"], 1)
    unlink_anomalies(desk, known[:1], run=Run("dag", "run", "unlink"), project=Project(**rules))
    client.detach(1)
    assert [row["state"] for row in ours(sandbox)] == ["6"]

    open_tickets(desk, known[1:], order=Order(Project(**rules)), run=Run("dag", "next", "task"))

    assert sorted(row["state"] for row in ours(sandbox)) == ["1", "6"]
