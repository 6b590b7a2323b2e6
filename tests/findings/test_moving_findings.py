"""A finding is in one case and on one ticket; the notes tell its way."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import Client, finding_id, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.desk.desk import utc_now
from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.findings.recording import know
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError, NotFoundError
from airflow_provider_servicenow_dq.store import case_findings, cases, instances, tickets


@pytest.fixture
def client(desk):
    return Client(desk)


def test_a_finding_leaves_its_ticket_for_a_new_one_and_both_say_so(client, desk, sandbox):
    before = result_of(client.create(ticket(1, 2)))
    after = result_of(client.create(ticket(2, 3)))

    assert members(desk, before.sys_id) == keys(1)
    assert members(desk, after.sys_id) == keys(2, 3)
    numbers = {row["sys_id"]: row["number"] for row in ours(sandbox)}
    assert f"now on {numbers[after.sys_id]}" in texts(sandbox, before.sys_id)
    assert f"until now on {numbers[before.sys_id]}" in texts(sandbox, after.sys_id)


def test_each_of_fifty_with_long_names_is_told_of_where_it_left(client, desk, sandbox):
    long = [
        finding_of(finding_id(number)).model_copy(update={"check_name": f"rule {number:02} {'x' * 180}"})
        for number in range(50)
    ]
    with desk.store.begin() as connection:
        know(connection, long, namespace="", now=utc_now())
    (case,) = client.create(ticket(*range(50))).cases
    there = case.attributes.servicenow_ticket.result.sys_id
    client.create(ticket(*range(25)))

    client.detach(*range(25, 50))

    left = [note for note in sandbox.notes(there) if note.startswith("No longer followed here")]
    assert all(any(f"- rule {number:02} " in note for note in left) for number in range(50))
    assert not any("[…]" in note for note in left)


def test_findings_are_attached_to_a_ticket_that_somebody_else_has_opened(client, desk, sandbox):
    row = desk.table_api.create("incident", {"short_description": "by hand"})
    url = f"{sandbox.url}/nav_to.do?uri=incident.do?sys_id={row['sys_id']}"

    first = client.attach(url, 1, 2)
    again = client.attach(url, 1, 2)

    assert first.cases[0].id == again.cases[0].id
    assert first.cases[0].attributes.title == row["short_description"]
    assert result_of(first).sys_id == row["sys_id"]
    assert members(desk, row["sys_id"]) == keys(1, 2)
    assert texts(sandbox, row["sys_id"]).count("Anomaly Linked: ") == 2


def test_findings_are_attached_to_a_case_and_to_its_ticket(client, desk, sandbox):
    (case,) = client.create(ticket(1)).cases

    came = client.attach_case(case.id, 2, 3)

    assert [each.resource_id for each in came.cases[0].attributes.insights] == [
        finding_id(n) for n in (1, 2, 3)
    ]
    assert members(desk, result_of(came).sys_id) == keys(1, 2, 3)
    assert "i-00000000000000003" in texts(sandbox, result_of(came).sys_id)
    assert len(ours(sandbox)) == 1


def test_a_case_without_a_ticket_takes_findings_off_their_tickets(client, desk, sandbox):
    before = result_of(client.create(ticket(1, 2)))

    came = client.create_cases(ticket(2, kind="cases"))

    assert came.cases[0].attributes.servicenow_ticket is None
    assert members(desk, before.sys_id) == keys(1)
    assert f"now on {came.cases[0].attributes.key}" in texts(sandbox, before.sys_id)


def test_detached_findings_are_on_no_ticket_and_the_ticket_says_so(client, desk, sandbox):
    before = result_of(client.create(ticket(1, 2)))

    client.detach(1)
    client.detach(1)

    assert members(desk, before.sys_id) == keys(2)
    assert texts(sandbox, before.sys_id).count("No longer followed here:") == 1


def test_of_findings_never_heard_of_none_is_detached(client, desk):
    before = result_of(client.create(ticket(1)))

    with pytest.raises(NotFoundError, match="finding not found"):
        client.detach(1, 9)

    assert members(desk, before.sys_id) == keys(1)


def test_a_finding_that_comes_back_is_told_of_again(client, desk, sandbox):
    (case,) = client.create(ticket(1, 2)).cases
    client.detach(1)
    came = client.attach_case(case.id, 1)

    assert members(desk, result_of(came).sys_id) == keys(1, 2)
    assert texts(sandbox, result_of(came).sys_id).count("i-00000000000000001") == 3


def test_the_address_of_another_instance_is_a_bad_request(client):
    with pytest.raises(BadRequestError, match="servicenow_ticket_url"):
        client.attach(f"https://other.service-now.com/incident.do?sys_id={'a' * 32}", 1)


def test_a_case_that_is_not_there_is_not_found(client):
    with pytest.raises(NotFoundError, match="case not found"):
        client.attach_case("7d16945b-baf8-411e-ab2a-20fe43af1ea3", 1)


def test_whoever_races_each_finding_ends_in_one_case_and_on_its_ticket(desk, make_desk, sandbox):
    first = Client(desk)
    cases_there = [first.create(ticket(number)).cases[0] for number in range(4)]
    numbers = list(range(20))

    def move_about(seed):
        chance = random.Random(seed)  # noqa: S311 (the same way each time)
        client = Client(make_desk(), user=f"user{seed}")
        for _ in range(6):
            some = chance.sample(numbers, 5)
            if chance.random() < 0.4:
                client.create(ticket(*some, title=f"of {seed}"))
            else:
                client.attach_case(chance.choice(cases_there).id, *some)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move_about, range(4)))
    first.create(ticket(99))

    with desk.store.begin() as connection:
        owners = case_findings.owners(connection, keys(*numbers))
        known = cases.by_ids(connection, owners.values())
        linked = {
            each.address: tickets.members(connection, each.id)
            for each in tickets.by_ids(connection, range(1, 500)).values()
        }
    for key in keys(*numbers):
        on = [address for address, found in linked.items() if key in found]
        assert on == ([known[owners[key]].address] if key in owners else [])


def state_of(sandbox, sys_id):
    return next(row["state"] for row in sandbox.records("incident") if row["sys_id"] == sys_id)


def test_a_case_that_is_left_by_its_last_finding_is_closed_and_reopened_if_the_project_says_so(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    (case,) = client.create(ticket(1, 2)).cases
    there = case.attributes.servicenow_ticket.result.sys_id

    client.detach(1)
    assert state_of(sandbox, there) == "1"
    client.detach(2)
    assert state_of(sandbox, there) == "6"
    came = client.attach_case(case.id, 1)

    assert state_of(sandbox, there) == "2"
    assert came.cases[0].attributes.status == "IN_PROGRESS"
    assert len(ours(sandbox)) == 1


def test_a_case_whose_findings_all_move_to_a_new_ticket_is_closed_if_the_project_says_so(desk, sandbox):
    client = Client(desk, close_empty_cases=True)
    before = result_of(client.create(ticket(1, 2)))
    after = result_of(client.create(ticket(1, 2, 3)))
    client.create(ticket(9))

    assert state_of(sandbox, before.sys_id) == "6"
    assert state_of(sandbox, after.sys_id) == "1"


def test_a_case_stays_open_without_findings_otherwise(client, sandbox):
    there = result_of(client.create(ticket(1))).sys_id

    client.detach(1)

    assert state_of(sandbox, there) == "1"


def test_to_detach_opens_its_connections_outside_of_the_transaction(client, desk, sandbox):
    client.create(ticket(1))
    known = client.sides

    def sides(name):
        with desk.store.begin() as connection:  # as who remembers under which connection an instance is known
            instances.get(connection, desk.host)
        return known(name)

    client.sides = sides
    client.detach(1)

    assert members(desk, ours(sandbox)[0]["sys_id"]) == set()
