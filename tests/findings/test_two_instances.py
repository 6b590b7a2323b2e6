"""Findings that move between instances."""

from __future__ import annotations

import pytest
from asking import PROJECT, Client, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.findings import opening
from airflow_provider_servicenow_dq.findings.asked import CreateTickets, read
from airflow_provider_servicenow_dq.findings.parties import Answer, Caller, Side
from airflow_provider_servicenow_dq.findings.wrong import KeyReusedError, NotFoundError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.store.outbox import Address


@pytest.fixture
def elsewhere(make_desk):
    with Sandbox(port=0) as other:
        config = InstanceConfig(other.url, login="svc_airflow", password="airflow-secret", timeout_s=2)
        with Transport(config) as transport:
            table_api = TableApi(transport)
            yield other, make_desk(config=config, table_api=table_api, names=Names(table_api))


def test_the_same_words_to_another_instance_are_another_request(desk, sandbox, elsewhere):
    other, far = elsewhere
    here, there = (result_of(Client(each).create(ticket(1, title="same"))) for each in (desk, far))

    assert here.sys_target_link != there.sys_target_link
    assert [row["sys_id"] for row in ours(other)] == [there.sys_id]
    assert members(far, there.sys_id) == keys(1)


def test_a_key_that_came_to_another_instance_before_is_refused(desk, elsewhere):
    other, far = elsewhere
    Client(desk).create(ticket(1), key="once")

    with pytest.raises(KeyReusedError):
        Client(far).create(ticket(1), key="once")
    assert ours(other) == []


def as_a_task(sides, *items):
    """Ask as a task that was cleared does: always with the same key."""
    caller = Caller("airflow", Run("dag", "run", "task"), "the task and what it says", is_task=True)
    return opening.create(read(CreateTickets, {"data": list(items)}), sides=sides, caller=caller)


def test_a_task_whose_connection_leads_to_another_instance_now_opens_its_tickets_there(desk, elsewhere):
    other, far = elsewhere
    for each in (desk, far, far):
        as_a_task(Client(each).sides, ticket(1))

    assert len(ours(other)) == 1


def test_what_a_task_asks_for_elsewhere_stays_when_one_of_its_projects_moves(desk, sandbox, elsewhere):
    other, far = elsewhere
    staying = Client(desk).sides(PROJECT)

    def answered(mover):
        sides = {"moves": Side(mover, Project(id="moves")), PROJECT: staying}
        return as_a_task(sides.__getitem__, ticket(1), ticket(2, project="moves"))

    first, again, moved = (answered(each) for each in (desk, desk, far))

    assert [case.id for case in first.cases] == [case.id for case in again.cases]
    assert [case.id for case in moved.cases][:1] == [case.id for case in first.cases][:1]
    assert (len(ours(sandbox)), len(ours(other))) == (2, 1)
    assert members(far, result_of(Answer(cases=moved.cases[1:])).sys_id) == keys(2)


def test_findings_are_not_attached_to_a_case_at_an_instance_where_its_ticket_is_not(desk, elsewhere):
    """The same project of two connections: the ticket of the one must not seem to be gone at the other."""
    _, far = elsewhere
    theirs = far.table_api.create("incident", {"short_description": "by hand"})
    (case,) = Client(far).attach(theirs["number"], 1).cases

    with pytest.raises(NotFoundError, match=f"{far.host}.*servicenow_conn_id"):
        Client(desk).attach_case(case.id, 2)
    with desk.store.snapshot() as connection:
        (ticket,) = tickets.by_ids(connection, [1]).values()
    assert ticket.state != tickets.UNKNOWN
    assert members(far, theirs["sys_id"]) == keys(1)


def test_nobody_looks_for_a_ticket_on_another_instance(desk, elsewhere):
    _, far = elsewhere

    with pytest.raises(ValueError, match=f"{desk.host} has no tickets of {far.host}"):
        lookup.look(desk, [Address(far.host, "incident", "dq:x")], run="")


def test_a_finding_that_moves_to_another_instance_leaves_the_ticket_on_this_one(desk, sandbox, elsewhere):
    other, far = elsewhere
    before = result_of(Client(desk).create(ticket(1, 2)))

    after = result_of(Client(far).create(ticket(2)))
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    assert members(desk, before.sys_id) == keys(1)
    assert members(desk, after.sys_id) == keys(2)
    ((here,), (there,)) = ours(sandbox), ours(other)
    assert f"now on {there['number']} of {far.host}" in texts(sandbox, before.sys_id)
    assert f"until now on {here['number']} of {desk.host}" in texts(other, after.sys_id)


@pytest.mark.parametrize("closes", [True, False])
def test_whether_an_empty_case_is_closed_says_the_project_of_its_own_instance(
    desk, sandbox, elsewhere, closes
):
    """Ids of projects are the connection's own words: ``default`` is one of each."""
    _, far = elsewhere
    Client(desk, close_empty_cases=closes).create(ticket(1))

    Client(far, close_empty_cases=not closes).create(ticket(1))
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    (row,) = ours(sandbox)
    assert row["state"] == ("6" if closes else "1")
