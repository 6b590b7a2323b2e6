"""Tickets for findings: a case each, its findings readable, nothing twice."""

from __future__ import annotations

import pytest
from asking import PROJECT, Client, finding_id, ours, texts, ticket

from airflow_provider_servicenow_dq.findings.wrong import KeyReusedError, NotFoundError


@pytest.fixture
def client(desk):
    return Client(desk)


def test_a_request_makes_a_ticket_and_its_case(client, sandbox):
    came = client.create(ticket(1, title="A title", description="A description", priority="P2"))

    (row,) = ours(sandbox)
    (case,) = came.cases
    shown = case.attributes
    assert (row["short_description"], row["priority"]) == ("A title", "2")
    assert row["description"].startswith("A description\n\n## 1 security finding [")
    assert finding_id(1) in row["description"]
    assert (shown.key, shown.title, shown.description, shown.priority) == (
        "PROJ-1", "A title", "A description", "P2",
    )  # fmt: skip
    assert (shown.status, shown.status_group, shown.status_name) == ("OPEN", "SG_OPEN", "Open")
    assert [insight.resource_id for insight in shown.insights] == [finding_id(1)]
    assert shown.servicenow_ticket.status == "COMPLETED"
    result = shown.servicenow_ticket.result
    assert (result.sys_id, result.sys_target_sys_id, result.table_name) == (
        row["sys_id"],
        row["sys_id"],
        "incident",
    )
    assert result.sys_target_link == f"{sandbox.url}/incident.do?sys_id={row['sys_id']}"
    assert result.url == f"{sandbox.url}/now/nav/ui/classic/params/target/incident.do?sys_id={row['sys_id']}"
    assert case.relationships.project.data.id == PROJECT
    assert case.relationships.created_by.data.id == "ann"


def test_fifty_tickets_of_fifty_findings_cost_hardly_more_than_a_request_each_and_all_can_be_read(
    client, sandbox
):
    items = [ticket(*range(50 * number, 50 * number + 50), title=f"t{number}") for number in range(50)]

    came = client.create(*items)

    assert len(sandbox.requests) <= 50 + 8
    assert len(ours(sandbox)) == 50
    assert [case.attributes.key for case in came.cases] == [f"PROJ-{number}" for number in range(1, 51)]
    for number, case in enumerate(came.cases):
        said = texts(sandbox, case.attributes.servicenow_ticket.result.sys_id)
        assert len(case.attributes.insights) == 50
        for each in range(50 * number, 50 * number + 50):
            assert f"i-{each:017x}" in said


def test_a_request_whose_answer_was_lost_is_answered_with_the_same_cases(client, sandbox):
    first = client.create(ticket(1), ticket(2))
    again = client.create(ticket(1), ticket(2))

    assert [case.id for case in again.cases] == [case.id for case in first.cases]
    assert len(ours(sandbox)) == 2


def test_the_same_content_under_another_key_is_another_request(client, sandbox):
    client.create(ticket(1), key="a")
    client.create(ticket(1), key="a")
    client.create(ticket(1), key="b")

    assert len(ours(sandbox)) == 2


def test_a_key_that_came_with_another_content_is_refused(client):
    client.create(ticket(1), key="a")

    with pytest.raises(KeyReusedError, match="another request"):
        client.create(ticket(2), key="a")


def test_of_an_unknown_project_nothing_is_done(client, sandbox):
    with pytest.raises(NotFoundError, match="project not found"):
        client.create(ticket(1), ticket(2, project="elsewhere"))

    assert ours(sandbox) == []


def test_what_the_instance_refuses_fails_in_its_case_and_holds_up_no_other(client, sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKErefused",))

    came = client.create(ticket(1, title="fine"), ticket(2, title="refused"), ticket(3, title="fine too"))

    states = [case.attributes.servicenow_ticket.status for case in came.cases]
    assert states == ["COMPLETED", "FAILED", "COMPLETED"]
    assert came.cases[1].attributes.servicenow_ticket.error_message
    assert came.pending == []


def test_while_the_instance_is_down_the_request_waits_and_its_repeat_delivers_it(client, sandbox):
    sandbox.stop()
    waiting = client.create(ticket(1))
    sandbox.start()
    done = client.create(ticket(1))

    assert waiting.cases[0].attributes.servicenow_ticket.status == "PENDING"
    assert waiting.pending
    assert done.cases[0].attributes.servicenow_ticket.status == "COMPLETED"
    assert done.cases[0].id == waiting.cases[0].id
    assert len(ours(sandbox)) == 1


def test_braces_in_a_title_stay(client, sandbox):
    client.create(ticket(1, title="{check_name} {oops"))

    assert ours(sandbox)[0]["short_description"] == "{check_name} {oops"
