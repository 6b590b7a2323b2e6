"""Findings put on tickets that are there, whoever has opened them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import CLOSED, Client, finding_id, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.adopt import adopt_all
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError, NotFoundError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import exclusive, schema


@pytest.fixture
def client(desk):
    return Client(desk)


def by_hand(desk, sandbox, table="incident", **values):
    row = desk.table_api.create(table, {"short_description": "by hand", **values})
    return row["sys_id"], f"{sandbox.url}/{table}.do?sys_id={row['sys_id']}"


@pytest.mark.parametrize("state", ["7", "8"])
def test_a_ticket_that_is_locked_is_a_bad_request_and_nothing_is_done(client, desk, sandbox, state):
    before = result_of(client.create(ticket(1)))
    sys_id, url = by_hand(desk, sandbox)
    sandbox.act_as("admin", "incident", sys_id, {**CLOSED, "state": state})

    with pytest.raises(BadRequestError, match=r"servicenow_ticket_url: .* locked: attach to"):
        client.attach(url, 1, 2)

    assert members(desk, before.sys_id) == keys(1)


def test_a_case_of_somebody_elses_ticket_that_is_locked_takes_no_more_findings(client, desk, sandbox):
    before = result_of(client.create(ticket(1)))
    sys_id, url = by_hand(desk, sandbox)
    (case,) = client.attach(url, 2).cases
    sandbox.act_as("admin", "incident", sys_id, CLOSED)

    with pytest.raises(BadRequestError, match=r"data.id: .* locked"):
        client.attach_case(case.id, 1)
    (now,) = client.attach_case(case.id, 2).cases  # it is there already

    assert now.attributes.status == "CLOSED"
    assert members(desk, before.sys_id) == keys(1)


def test_a_case_of_somebody_elses_ticket_that_was_deleted_takes_no_more_findings(client, desk, sandbox):
    before = result_of(client.create(ticket(1)))
    sys_id, url = by_hand(desk, sandbox)
    (case,) = client.attach(url, 2).cases
    sandbox.instance.delete(sandbox.instance.account("admin"), "incident", sys_id)

    with pytest.raises(NotFoundError, match="cannot be seen any more"):
        client.attach_case(case.id, 1)

    assert members(desk, before.sys_id) == keys(1)


def test_a_resolved_ticket_takes_findings_and_stays_resolved(client, desk, sandbox):
    sys_id, url = by_hand(desk, sandbox)
    sandbox.act_as("beth.anglin", "incident", sys_id, {**CLOSED, "state": "6"})

    (case,) = client.attach(url, 1).cases

    assert case.attributes.status == "CLOSED"
    assert members(desk, sys_id) == keys(1)


@pytest.mark.parametrize("name", ["INC0099999", "f" * 32])
def test_a_ticket_that_the_instance_does_not_show_is_not_found(client, name):
    with pytest.raises(NotFoundError, match="servicenow_ticket_url: There is no ticket"):
        client.attach(name, 1)


@pytest.mark.parametrize("name", ["sc_taks.do?sys_id=" + "f" * 32, "nowhere", "incident.do?sys_id=12"])
def test_what_names_no_ticket_is_a_bad_request(client, sandbox, name):
    with pytest.raises(BadRequestError, match="servicenow_ticket_url"):
        client.attach(f"{sandbox.url}/{name}", 1)


def test_a_ticket_of_another_table_keeps_the_states_of_its_own(desk, sandbox):
    client = Client(desk, table="u_tickets", status={"inbound": {"101": "resolved"}})
    sys_id, url = by_hand(desk, sandbox, "problem")

    first = client.attach(url, 1)
    (again,) = client.attach_case(first.cases[0].id, 2).cases

    assert result_of(first).table_name == "problem"
    assert members(desk, sys_id) == keys(1, 2)
    assert again.attributes.status == "OPEN"  # 101 means resolved in the project's own table alone


def test_a_case_stays_one_of_its_own_project(client, desk, sandbox):
    _, url = by_hand(desk, sandbox)
    first = client.attach(url, 1)
    client.project = Project(id="another", key="OTHER")

    second = client.attach(url, 2, project="OTHER")

    (case,) = second.cases
    assert case.id == first.cases[0].id
    assert case.attributes.key == "PROJ-1"
    assert case.attributes.servicenow_ticket.status == "COMPLETED"
    assert [each.resource_id for each in case.attributes.insights] == [finding_id(1), finding_id(2)]


def test_the_own_ticket_of_a_finding_becomes_that_of_a_case(client, desk, sandbox):
    finding = finding_of(finding_id(1))
    open_tickets(desk, [finding], order=Order(), run=Run("dag", "run", "open"))
    (row,) = ours(sandbox)
    notes = len(sandbox.notes(row["sys_id"]))

    came = client.attach(row["number"], 1, 2)

    assert result_of(came).sys_id == row["sys_id"]
    assert members(desk, row["sys_id"]) == keys(1, 2)
    assert len(sandbox.notes(row["sys_id"])) == notes + 1  # of the one that is new there
    assert len(ours(sandbox)) == 1


def test_the_ticket_of_a_group_becomes_that_of_a_case(client, desk, sandbox):
    finding = finding_of(finding_id(1))
    rules = Project(group_by="dataset")
    open_tickets(desk, [finding], order=Order(rules), run=Run("dag", "run", "open"))
    (row,) = ours(sandbox)

    came = client.attach(row["number"], 2)

    assert result_of(came).sys_id == row["sys_id"]
    assert members(desk, row["sys_id"]) == keys(1, 2)


def test_whoever_attaches_to_the_same_ticket_at_once_finds_one_case(desk, make_desk, sandbox):
    desks = [make_desk() for _ in range(4)]
    sys_id, url = by_hand(desk, sandbox)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: Client(desks[number]).attach(url, number), range(4)))

    assert len({answer.cases[0].id for answer in found}) == 1
    assert members(desk, sys_id) == keys(0, 1, 2, 3)


def test_with_a_lost_store_that_was_adopted_a_ticket_is_that_of_the_same_case(client, make_desk, sandbox):
    (case,) = client.create(ticket(1)).cases
    (row,) = ours(sandbox)

    lost = Client(make_desk("lost"))
    list(adopt_all(lost.desk, "incident"))
    came = lost.attach(row["number"], 1, 2)

    assert came.cases[0].id == case.id
    assert members(lost.desk, row["sys_id"]) == keys(1, 2)
    assert texts(sandbox, row["sys_id"]).count("i-00000000000000001") == 1
    assert len(ours(sandbox)) == 1


@pytest.mark.parametrize("how", ["by hand", "ours"])
def test_what_an_open_ticket_refuses_is_a_failure_though_the_ticket_is_there(client, desk, sandbox, how):
    if how == "ours":
        (case,) = client.create(ticket(1)).cases
    else:
        (case,) = client.attach(by_hand(desk, sandbox)[1], 1).cases
    sandbox.configure(abort=("incident when sys_idISNOTEMPTY",))

    answer = client.attach_case(case.id, 2)

    (shown,) = answer.cases
    assert shown.attributes.servicenow_ticket.status == "FAILED"
    assert shown.attributes.servicenow_ticket.result == case.attributes.servicenow_ticket.result
    assert "PROJ-1: " in answer.failures[0]
    assert shown.attributes.servicenow_ticket.error_message in answer.failures[0]


def test_while_a_finding_waits_its_case_says_so_though_the_ticket_is_there(make_desk, sandbox):
    client = Client(make_desk(patience_s=0))
    (case,) = client.create(ticket(1)).cases
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=7)

    answer = client.attach_case(case.id, 2)
    forget_limits()

    (shown,) = answer.cases
    assert shown.attributes.servicenow_ticket.status == "IN_PROGRESS"
    assert shown.attributes.servicenow_ticket.result == case.attributes.servicenow_ticket.result
    assert 0 < answer.pending[0].retry_after <= 7


def test_a_case_has_the_rules_of_its_own_project_whichever_is_named(desk, sandbox):
    sandbox.configure(table=["u_data_task extends task"])
    states = {"outbound": {"resolved": "3", "active": "2"}, "inbound": {"3": "resolved"}}
    client, named = Client(desk, table="u_data_task", status=states), Client(desk)
    (case,) = client.create(ticket(1)).cases
    named.project = Project(id="another", key="OTHER")
    of_named = named.sides
    named.sides = lambda name: (of_named if name == "another" else client.sides)(name)
    (row,) = sandbox.records("u_data_task")
    sandbox.act_as("beth.anglin", "u_data_task", row["sys_id"], {"state": "3"})

    named.attach(case.attributes.servicenow_ticket.result.sys_target_link, 2, project="another")

    (row,) = sandbox.records("u_data_task")
    assert row["state"] == "2"


def test_an_anomaly_of_a_ticket_that_became_one_of_a_case_is_no_finding_of_it(client, desk, sandbox):
    order = Order(Project(exclusive=True, group_by="dataset"))
    known = [Anomaly(source="dbt", dataset="db.flights", check_name=f"check {n}") for n in range(2)]
    open_tickets(desk, known, order=order, run=Run("dag", "run", "task"))
    (row,) = ours(sandbox)
    (case,) = client.attach(row["number"], 1).cases

    open_tickets(desk, known, order=order, run=Run("dag", "next", "task"))

    (shown,) = client.attach_case(case.id, 1).cases
    assert [each.resource_id for each in shown.attributes.insights] == [finding_id(1)]


def test_a_case_that_is_pruned_while_findings_are_on_their_way_to_it_is_not_found(client, desk, monkeypatch):
    (case,) = client.create_cases(ticket(1, kind="cases")).cases
    real = exclusive.alone

    def alone(connection):
        real(connection)
        # Who prunes was alone before.
        for table, column in ((schema.case_finding, "case_id"), (schema.case, "id")):
            connection.execute(table.delete().where(table.c[column] == case.id))

    monkeypatch.setattr(exclusive, "alone", alone)

    with pytest.raises(NotFoundError, match="case not found"):
        client.attach_case(case.id, 2)
