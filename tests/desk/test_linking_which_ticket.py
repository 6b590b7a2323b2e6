"""Which ticket is meant when anomalies are linked: its number, its sys_id or an address."""

from __future__ import annotations

import pytest
from linking_them import actions, link, now_of, qualytics, theirs

from airflow_provider_servicenow_dq.desk.search import NoSuchTicketError, find_ticket
from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    ServiceNowConfigError,
)

NAMES = (
    "{number}",
    "  {number}  ",
    "{sys_id}",
    "{url}/nav_to.do?uri=incident.do?sys_id={sys_id}",
    "{url}/nav_to.do?uri=incident.do%3Fsys_id%3D{sys_id}",
    "{url}/now/nav/ui/classic/params/target/incident.do%3Fsys_id%3D{sys_id}",
    "{url}/incident.do?sys_id={sys_id}",
    "{url}/now/sow/record/incident/{sys_id}",
    "{url}/task.do?sys_id={sys_id}",
    "{url}/api/now/table/incident/{sys_id}",
    "{url}/incident.do?sysparm_query=number={number}",
)


def test_however_a_ticket_is_named_it_is_the_same_one(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], qualytics())
    given = {
        name: name.format(url=sandbox.url, number=ticket["number"].lower(), sys_id=ticket["sys_id"])
        for name in NAMES
    }

    told = {name: actions(link(desk, text, qualytics(), run="next")) for name, text in given.items()}

    assert told == {name: ["unchanged"] for name in NAMES}
    assert len(sandbox.notes(ticket["sys_id"])) == 1


def test_the_address_of_another_instance_is_refused_in_words_that_name_both(desk, sandbox):
    address = "https://other.service-now.com/nav_to.do?uri=incident.do?sys_id=" + "a" * 32
    sandbox.clear_requests()

    with pytest.raises(ServiceNowConfigError, match=f"other.service-now.com.*{desk.host}"):
        link(desk, address, qualytics())
    assert sandbox.requests == []


@pytest.mark.parametrize("name", ["INC9999999", "a" * 32])
def test_a_ticket_that_is_not_there_is_named_in_an_error_that_says_so(desk, sandbox, name):
    with pytest.raises(NoSuchTicketError, match=f"no ticket {name} on .* or this account may not see it"):
        link(desk, name, qualytics())


@pytest.mark.parametrize("table", ["sys_user", "sys_user_group"])
def test_a_record_that_is_no_ticket_is_not_written_on(desk, sandbox, table):
    record = sandbox.records(table)[0]
    sandbox.clear_requests()

    with pytest.raises(NoSuchTicketError, match=f"{table} is no table of tickets"):
        link(desk, f"{sandbox.url}/{table}.do?sys_id={record['sys_id']}", qualytics())
    assert {request.method for request in sandbox.requests} == {"GET"}


def test_a_ticket_of_what_extends_the_projects_table_is_one_of_its_tickets(desk, sandbox):
    sandbox.configure(table=["u_dq_ticket", "u_dq_urgent extends u_dq_ticket"])
    sys_id = desk.table_api.create("u_dq_urgent", {})["sys_id"]
    address = f"{sandbox.url}/u_dq_urgent.do?sys_id={sys_id}"

    assert find_ticket(desk.table_api, address, table="u_dq_ticket").table == "u_dq_urgent"


@pytest.mark.parametrize("extends", [" extends task", ""])
def test_a_ticket_of_a_table_of_ones_own_is_a_task_or_of_the_projects_table(desk, sandbox, extends):
    sandbox.configure(table=[f"u_dq_ticket{extends}"])
    values = {"short_description": "by hand"} if extends else {}
    sys_id = desk.table_api.create("u_dq_ticket", values)["sys_id"]
    address = f"{sandbox.url}/u_dq_ticket.do?sys_id={sys_id}"

    if extends:
        assert actions(link(desk, address, qualytics())) == ["linked"]
    else:
        with pytest.raises(NoSuchTicketError):
            link(desk, address, qualytics())


def test_a_number_that_two_tickets_have_is_an_error(desk, sandbox):
    theirs(desk, number="INC0077777")
    theirs(desk, number="INC0077777")

    with pytest.raises(AmbiguousNameError, match="2 records of incident match 'INC0077777'"):
        link(desk, "INC0077777", qualytics())


@pytest.mark.parametrize("table", ["problem", "change_request"])
def test_a_number_of_another_table_is_found_among_all_tasks(desk, sandbox, table):
    ticket = theirs(desk, table)

    linked = link(desk, ticket["number"], qualytics())

    assert actions(linked) == ["linked"]
    assert f"uri={table}.do" in linked.results[0]["ticket"]["url"]
    assert "824" in now_of(sandbox, ticket["sys_id"], table)["description"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1
