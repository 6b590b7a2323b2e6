"""One request that arrives twice at the same moment: one set of cases, and both are answered alike."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import Client, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.findings.wrong import KeyReusedError
from airflow_provider_servicenow_dq.store import exclusive


def at_once(desk, *requests):
    """Send requests that all wait, having looked, until they may move findings; return what came of them."""
    with ThreadPoolExecutor(len(requests)) as pool:
        with desk.store.begin() as connection:
            exclusive.alone(connection)
            sent = [pool.submit(request) for request in requests]
            time.sleep(0.3)
        return [each.exception() or each.result() for each in sent]


@pytest.fixture
def clients(desk, make_desk):
    # What nobody knew yet would let the second wait for the first before it has looked.
    Client(desk).create(ticket(1, 2, 3, title="before"))
    return Client(make_desk()), Client(make_desk())


@pytest.mark.parametrize("key", ["once", None], ids=["with a key", "by its content"])
def test_a_request_that_arrives_twice_at_once_opens_its_cases_once(clients, desk, sandbox, key):
    items = ticket(1, title="one"), ticket(2, 3, title="two")

    first, second = at_once(desk, *[lambda each=each: each.create(*items, key=key) for each in clients])

    assert [case.id for case in first.cases] == [case.id for case in second.cases]
    assert [case.attributes.key for case in first.cases] == ["PROJ-2", "PROJ-3"]
    assert sorted(row["short_description"] for row in ours(sandbox)) == ["before", "one", "two"]
    again = clients[0].create(*items, key=key)
    assert [case.id for case in again.cases] == [case.id for case in first.cases]
    at = {case.attributes.title: case.attributes.servicenow_ticket.result.sys_id for case in again.cases}
    assert {title: members(desk, sys_id) for title, sys_id in at.items()} == {
        "one": keys(1),
        "two": keys(2, 3),
    }


def test_of_two_requests_with_one_key_at_once_only_one_is_done(clients, desk, sandbox):
    one, two = clients

    came = at_once(
        desk,
        lambda: one.create(ticket(1, title="one"), key="once"),
        lambda: two.create(ticket(1, title="two"), key="once"),
    )

    (refused,) = [each for each in came if isinstance(each, KeyReusedError)]
    (done,) = [each for each in came if each is not refused]
    assert len(ours(sandbox)) == 2
    assert members(desk, result_of(done).sys_id) == keys(1)


def test_two_users_who_ask_for_the_same_at_once_get_a_case_each(desk, make_desk, sandbox):
    users = [Client(make_desk(), user=name) for name in ("ann", "bob")]
    Client(desk).create(ticket(1, title="before"))

    first, second = at_once(desk, *[lambda each=each: each.create(ticket(1, title="new")) for each in users])

    assert first.cases[0].id != second.cases[0].id
    Client(desk).create(ticket(9))  # delivers what somebody had to leave to others
    on = [row["sys_id"] for row in ours(sandbox) if members(desk, row["sys_id"]) & keys(1)]
    assert len(on) == 1


def test_a_ticket_that_is_attached_to_twice_at_once_has_one_case(clients, desk, sandbox):
    row = desk.table_api.create("incident", {"short_description": "by hand"})

    first, second = at_once(desk, *[lambda each=each: each.attach(row["number"], 1, 2) for each in clients])

    assert first.cases[0].id == second.cases[0].id
    assert members(desk, row["sys_id"]) == keys(1, 2)
    assert texts(sandbox, row["sys_id"]).count("Anomaly Linked: ") == 2
