"""Findings that move on before they have arrived: wherever they were going, they end on one ticket."""

from __future__ import annotations

import pytest
from asking import Client, finding_id, keys, members, ours, texts, ticket

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run


@pytest.fixture
def desk(make_desk):
    return make_desk(patience_s=0)


@pytest.fixture
def client(desk):
    return Client(desk)


def deliver(desk):
    deliver_waiting(desk, Run("dag", "run", "deliver"))


def titled(sandbox, title):
    return next(row["sys_id"] for row in ours(sandbox) if row["short_description"] == title)


def links(desk, sandbox):
    return {row["short_description"]: members(desk, row["sys_id"]) for row in ours(sandbox)}


def lose(client, sandbox, item):
    """Create a ticket whose answer is lost, and which cannot be looked for."""
    client.create(ticket(8, title="first contact"))
    before = len(sandbox.requests)
    client.create(ticket(9, title="another"))
    looks = sum(each.method == "GET" for each in sandbox.requests[before:])
    sandbox.fail_next("drop_after", method="POST")
    sandbox.fail_next("error_before", method="GET", count=1000, skip=looks)
    waiting = client.create(item)
    assert len(ours(sandbox)) == 3
    return waiting


def test_what_waits_for_one_ticket_goes_to_the_other_alone(client, desk, sandbox):
    sandbox.stop()
    client.create(ticket(1, 2, title="first"))
    client.create(ticket(2, 3, title="second"))
    sandbox.start()

    deliver(desk)

    assert links(desk, sandbox) == {"first": keys(1), "second": keys(2, 3)}
    assert "i-00000000000000002" not in texts(sandbox, titled(sandbox, "first"))


def test_what_is_detached_while_it_waits_is_on_no_ticket(client, desk, sandbox):
    sandbox.stop()
    client.create(ticket(1, 2, title="first"))
    client.detach(2)
    sandbox.start()

    deliver(desk)

    assert links(desk, sandbox) == {"first": keys(1)}
    assert "i-00000000000000002" not in texts(sandbox, titled(sandbox, "first"))


def test_a_ticket_that_nobody_waits_for_any_more_is_not_opened(client, desk, sandbox):
    sandbox.stop()
    client.create(ticket(1, 2, title="first"))
    client.detach(1)
    client.create(ticket(2, title="second"))
    sandbox.start()

    deliver(desk)

    assert links(desk, sandbox) == {"second": keys(2)}


@pytest.mark.parametrize("is_down", [True, False], ids=["waiting", "refused"])
@pytest.mark.parametrize("then", ["detached", "in a case without a ticket"])
def test_what_was_on_its_way_to_another_ticket_leaves_the_one_that_it_is_on(
    client, desk, sandbox, is_down, then
):
    client.create(ticket(1, 2, title="first"))
    if is_down:
        sandbox.stop()
    else:
        sandbox.configure(abort=("incident when short_descriptionLIKEsecond",))
    client.create(ticket(2, title="second"))
    if then == "detached":
        client.detach(2)
    else:
        client.create_cases(ticket(2, kind="cases"))
    if is_down:
        sandbox.start()
    sandbox.configure(abort=())

    deliver(desk)

    assert links(desk, sandbox) == {"first": keys(1)}
    (left,) = sandbox.notes(titled(sandbox, "first"))
    assert "No longer followed here" in left
    assert "i-00000000000000002" in left


def test_a_ticket_that_was_opened_for_one_who_had_just_left_is_closed_if_the_project_says_so(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    lose(client, sandbox, ticket(1, title="first"))
    client.detach(1)
    sandbox.service.faults.clear()

    deliver(desk)

    assert links(desk, sandbox)["first"] == set()
    (row,) = [row for row in ours(sandbox) if row["short_description"] == "first"]
    assert row["state"] == "6"


def test_what_was_refused_on_one_ticket_is_on_the_other_when_both_are_let_in(client, desk, sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKEfirst",))
    client.create(ticket(1, 2, title="first"), key="once")
    client.create(ticket(2, 3, title="second"))
    sandbox.configure(abort=())

    client.create(ticket(1, 2, title="first"), key="once")

    assert links(desk, sandbox) == {"first": keys(1), "second": keys(2, 3)}


def test_what_may_have_arrived_is_told_that_it_has_left(client, desk, sandbox):
    waiting = lose(client, sandbox, ticket(1, 2, title="first"))
    client.create(ticket(2, 3, title="second"))
    sandbox.service.faults.clear()
    assert waiting.cases[0].attributes.servicenow_ticket.status == "IN_PROGRESS"

    deliver(desk)

    others = {"first contact": keys(8), "another": keys(9)}
    assert links(desk, sandbox) == {**others, "first": keys(1), "second": keys(2, 3)}
    assert len(ours(sandbox)) == 4


def test_back_and_forth_while_nothing_can_be_delivered_ends_where_it_was_put_last(client, desk, sandbox):
    (one,) = client.create(ticket(1, title="one")).cases
    (two,) = client.create(ticket(2, title="two")).cases
    sandbox.stop()
    client.attach_case(two.id, 1)
    client.attach_case(one.id, 1, 2)
    sandbox.start()

    deliver(desk)

    assert links(desk, sandbox) == {"one": keys(1, 2), "two": set()}
    (shown,) = client.attach_case(one.id, 1).cases
    assert [each.resource_id for each in shown.attributes.insights] == [finding_id(1), finding_id(2)]


def test_to_attach_costs_requests_by_what_is_written_not_by_the_number_of_findings(client, desk, sandbox):
    for start, numbers in ((0, 1), (50, 50)):
        row = desk.table_api.create("incident", {"short_description": "by hand"})
        before = len(sandbox.requests)
        client.attach(row["number"], *range(start, start + numbers))

        notes = len(sandbox.notes(row["sys_id"]))
        assert len(sandbox.requests) - before <= 8 + 3 * notes
    assert notes < 10
