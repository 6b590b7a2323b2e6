"""Tickets for findings: a case each, its findings readable, nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import PROJECT, Client, finding_id, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError, KeyReusedError, NotFoundError
from airflow_provider_servicenow_dq.projects.project import Project


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


def test_what_was_refused_is_delivered_by_a_repeat_once_the_reason_is_gone(client, sandbox):
    items = [ticket(1, title="fine"), ticket(2, 3, title="refused")]
    sandbox.configure(abort=("incident when short_descriptionLIKErefused",))
    first = client.create(*items, key="once")
    sandbox.configure(abort=())

    again = client.create(*items, key="once")

    assert [case.attributes.servicenow_ticket.status for case in again.cases] == ["COMPLETED", "COMPLETED"]
    assert [case.id for case in again.cases] == [case.id for case in first.cases]
    assert again.failures == []
    assert members(client.desk, again.cases[1].attributes.servicenow_ticket.result.sys_id) == keys(2, 3)
    assert len(ours(sandbox)) == 2


def test_what_was_refused_and_has_moved_on_since_is_not_brought_back_by_a_repeat(client, sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKErefused",))
    client.create(ticket(2, 3, title="refused"), key="once")
    elsewhere = result_of(client.create(ticket(3, title="fine")))
    sandbox.configure(abort=())

    again = client.create(ticket(2, 3, title="refused"), key="once")

    assert members(client.desk, result_of(again).sys_id) == keys(2)
    assert finding_id(3) not in texts(sandbox, result_of(again).sys_id)
    assert members(client.desk, elsewhere.sys_id) == keys(3)


@pytest.mark.parametrize("how", ["detached", "put elsewhere"])
def test_what_somebody_has_undone_themselves_a_repeat_without_a_key_does_again(client, sandbox, how):
    first = client.create(ticket(1, 2, title="first"))
    if how == "detached":
        client.detach(1)
    else:
        client.create(ticket(1, title="second"))

    again = client.create(ticket(1, 2, title="first"))

    assert [case.id for case in again.cases] == [case.id for case in first.cases]
    assert members(client.desk, result_of(again).sys_id) == keys(1, 2)
    assert len(ours(sandbox)) == (1 if how == "detached" else 2)


def test_what_somebody_has_undone_themselves_is_done_again_whoever_changes_the_case_meanwhile(client, desk):
    first = client.create(ticket(1, title="first"))
    client.detach(1)
    Client(desk, user="bob").attach_case(first.cases[0].id, 9)

    again = client.create(ticket(1, title="first"))

    assert members(desk, result_of(again).sys_id) == keys(1, 9)


def _by_hand(desk):
    return desk.table_api.create("incident", {"short_description": "by hand"})["number"]


OTHER = Run("dag", "run", "other")
ELSEWHERE = {
    "moved": lambda desk: Client(desk, user="bob").create(ticket(1, title="second")),
    "detached": lambda desk: Client(desk, user="bob").detach(1),
    "unlinked": lambda desk: unlink_anomalies(desk, [finding_of(finding_id(1))], run=OTHER),
    "linked": lambda desk: link_anomalies(
        desk, [finding_of(finding_id(1))], incident=_by_hand(desk), run=OTHER, project=Project()
    ),
}


def test_what_somebody_else_has_put_elsewhere_is_theirs_though_it_was_taken_out_before(client, desk):
    client.create(ticket(1, 2, title="first"))
    client.detach(1)
    bobs = result_of(Client(desk, user="bob").create(ticket(1, title="second")))

    client.create(ticket(1, 2, title="first"))

    assert members(desk, bobs.sys_id) == keys(1)


@pytest.mark.parametrize("how", ELSEWHERE)
def test_what_somebody_else_has_taken_away_a_repeat_does_not_bring_back(client, desk, how):
    client.create(ticket(1, 2, title="first"))
    client.detach(1)
    client.create(ticket(1, 2, title="first"))
    ELSEWHERE[how](desk)

    again = client.create(ticket(1, 2, title="first"))

    assert members(desk, result_of(again).sys_id) == keys(2)


def test_a_request_that_was_limited_midway_goes_on_with_its_repeat(client, sandbox):
    items = [ticket(number, title=f"t{number}") for number in range(6)]
    sandbox.fail_next("rate_limited", method="POST", skip=3, retry_after=600)
    first = client.create(*items)
    forget_limits()  # ten minutes later

    again = client.create(*items)

    assert "IN_PROGRESS" in {case.attributes.servicenow_ticket.status for case in first.cases}
    assert {case.attributes.servicenow_ticket.status for case in again.cases} == {"COMPLETED"}
    assert len(ours(sandbox)) == 6


def test_a_finding_in_two_items_of_a_request_ends_in_the_last(client, sandbox):
    first, last = client.create(ticket(1, 2), ticket(2, 3)).cases

    assert [each.resource_id for each in first.attributes.insights] == [finding_id(1)]
    assert [each.resource_id for each in last.attributes.insights] == [finding_id(2), finding_id(3)]
    on_first, on_last = (case.attributes.servicenow_ticket.result.sys_id for case in (first, last))
    assert members(client.desk, on_first) == keys(1)
    assert members(client.desk, on_last) == keys(2, 3)
    assert "i-00000000000000002" not in texts(sandbox, on_first)


def test_requests_that_name_the_same_new_findings_in_another_order_do_not_stop_each_other(make_desk):
    desks = [make_desk() for _ in range(4)]

    def ask(number):
        client = Client(desks[number], user=f"user {number}")
        for start in range(0, 90, 30):
            order = range(start, start + 30)
            items = order if number % 2 else reversed(order)
            client.create_cases(*[ticket(each, kind="cases") for each in items])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))


def test_findings_can_be_read_whatever_the_words_of_whoever_asks(client, sandbox):
    title, description = "ü[code]" * 140, "日本[code]<b>x</b>[/code]\n" * 4000
    came = client.create(ticket(*range(50), title=title, description=description))

    (row,) = ours(sandbox)
    said = texts(sandbox, row["sys_id"])
    assert all(f"i-{number:017x}" in said for number in range(50))
    assert "[code]" not in said
    assert len(row["description"]) <= 4000
    assert row["description"].startswith("日本[ code]")
    assert (len(row["short_description"]), row["short_description"][-3:]) == (160, "[…]")
    (case,) = came.cases
    assert (case.attributes.title, case.attributes.description) == (title, description)
    assert came.failures == []


@pytest.mark.parametrize("words", ["a\x00b", "a\ud800b"])
def test_words_that_no_database_keeps_are_a_bad_request(client, sandbox, words):
    for name in ("title", "description", "assignee_id"):
        with pytest.raises(BadRequestError, match=f"data.0.attributes.{name}"):
            client.create(ticket(1, **{name: words}))

    assert ours(sandbox) == []


def test_a_title_of_blanks_is_none(client, sandbox):
    client.create(ticket(1, title="  \n "))

    assert ours(sandbox)[0]["short_description"].startswith("Security finding: def-00p-ier on i-")


def test_while_the_instance_is_down_the_request_waits_and_its_repeat_delivers_it(make_desk, sandbox):
    client = Client(make_desk(patience_s=0))
    sandbox.stop()
    waiting = client.create(ticket(1))
    sandbox.start()
    done = client.create(ticket(1))

    assert waiting.cases[0].attributes.servicenow_ticket.status == "IN_PROGRESS"
    assert waiting.pending
    assert done.cases[0].attributes.servicenow_ticket.status == "COMPLETED"
    assert done.cases[0].id == waiting.cases[0].id
    assert len(ours(sandbox)) == 1


def test_braces_in_a_title_stay(client, sandbox):
    client.create(ticket(1, title="{check_name} {oops"))

    assert ours(sandbox)[0]["short_description"] == "{check_name} {oops"
