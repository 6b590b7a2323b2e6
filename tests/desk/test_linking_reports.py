"""Reports of anomalies that a person has linked to a ticket or unlinked from it, and exclusive projects."""

from __future__ import annotations

import pytest
from linking_them import actions, entries_of, link, now_of, numbers_of, theirs, unlink
from reporting import anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.lookup import look
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError, ServiceNowConfigError
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store.outbox import Address

SYNC = Run("sync", "run", "deliver")


def end(sandbox, ticket, state="6"):
    done = {"close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", ticket["sys_id"], {"state": state, **done})


def look_at(desk, ticket):
    look(desk, [Address(desk.host, "incident", f"sys_id:{ticket['sys_id']}")], run="look")


def test_a_report_of_a_linked_anomaly_is_noted_there_and_opens_no_second_ticket(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())

    opening = report(desk, anomaly(hour=1), run="next")

    assert incidents(sandbox) == []
    assert actions(opening) == ["noted"]
    assert opening.results[0]["ticket"]["ticket_id"] == ticket["sys_id"]
    assert "Anomaly seen again, 2 times by now" in sandbox.notes(ticket["sys_id"])[-1]


def test_the_run_that_links_an_anomaly_does_not_note_it_as_seen_again(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())

    assert actions(report(desk, anomaly())) == ["unchanged"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1


@pytest.mark.parametrize("state", ["6", "7", "8"])
@pytest.mark.parametrize("known", [True, False], ids=["seen to be", "found to be"])
def test_its_own_ticket_is_opened_when_the_linked_one_is_no_longer_open(desk, sandbox, state, known):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    end(sandbox, ticket, state)
    if known:
        look_at(desk, ticket)

    opening = report(desk, anomaly(hour=1), run="next")

    (own,) = incidents(sandbox)
    assert actions(opening) == ["created"]
    assert opening.results[0]["ticket"]["ticket_id"] == own["sys_id"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1
    assert now_of(sandbox, ticket["sys_id"])["state"] == state
    assert numbers_of(desk, anomaly()) == sorted([own["number"], ticket["number"]])


def test_a_report_goes_to_its_own_ticket_while_that_is_open(desk, sandbox):
    report(desk, anomaly())
    (own,) = incidents(sandbox)
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())

    opening = report(desk, anomaly(hour=1), run="next")

    assert opening.results[0]["ticket"]["ticket_id"] == own["sys_id"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1


def test_a_linked_ticket_takes_over_when_the_own_one_is_done(desk, sandbox):
    report(desk, anomaly())
    (own,) = incidents(sandbox)
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    end(sandbox, own, "7")
    look(desk, [Address(desk.host, "incident", own["correlation_id"])], run="look")

    opening = report(desk, anomaly(hour=1), run="next")

    assert [each["sys_id"] for each in incidents(sandbox)] == [own["sys_id"]]
    assert opening.results[0]["ticket"]["ticket_id"] == ticket["sys_id"]


def test_unlinking_leaves_the_ticket_as_it_is_and_nothing_goes_there_any_more(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    before = now_of(sandbox, ticket["sys_id"])
    sandbox.clear_requests()

    unlinked = unlink(desk, anomaly(), incident=ticket["number"])

    assert writes(sandbox) == []
    assert now_of(sandbox, ticket["sys_id"]) == before
    assert actions(unlinked) == ["unlinked"]
    (result,) = unlinked.results
    assert result["message"] == (f"Anomaly {anomaly().anomaly_id} unlinked from ticket {ticket['number']}")
    assert numbers_of(desk, anomaly()) == []
    pushed = push_status(desk, [anomaly(status="acknowledged")], run=SYNC)
    assert actions(pushed) == ["suppressed"]
    assert writes(sandbox) == []


def test_unlinking_from_all_tickets_tells_of_each(desk, sandbox):
    report(desk, anomaly())
    (own,) = incidents(sandbox)
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())

    unlinked = unlink(desk, anomaly(), anomaly("another"))

    assert actions(unlinked) == ["unlinked", "unlinked", "suppressed"]
    told = {result["ticket"]["ticket_id"]: result["message"] for result in unlinked.results[:2]}
    assert told[own["sys_id"]].endswith("; the next report of it links it again")
    assert told[ticket["sys_id"]].endswith(ticket["number"])
    assert "it is not linked" in unlinked.results[2]["message"]


def test_an_anomaly_that_is_unlinked_twice_in_one_call_has_one_answer(desk):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())

    unlinked = unlink(desk, anomaly(), anomaly("another"), anomaly())

    assert actions(unlinked) == ["unlinked", "suppressed", "unlinked"]
    assert unlinked.results[0]["message"] == unlinked.results[2]["message"]


def test_unlinking_from_one_ticket_keeps_the_others(desk, sandbox):
    first, second = theirs(desk), theirs(desk)
    for ticket in (first, second):
        link(desk, ticket["number"], anomaly())

    url = f"{sandbox.url}/now/nav/ui/classic/params/target/incident.do%3Fsys_id%3D{first['sys_id']}"
    assert actions(unlink(desk, anomaly(), incident=url)) == ["unlinked"]
    assert numbers_of(desk, anomaly()) == [second["number"]]
    with pytest.raises(ServiceNowConfigError, match="another instance"):
        unlink(desk, anomaly(), incident=url.replace(sandbox.url, "https://other.service-now.com"))


def test_unlinking_by_a_number_that_two_linked_tickets_have_is_an_error(desk, sandbox):
    for table in ("incident", "problem"):
        link(desk, theirs(desk, table, number="X0077777")["sys_id"], anomaly())

    with pytest.raises(AmbiguousNameError):
        unlink(desk, anomaly(), incident="X0077777")
    link_of = f"{sandbox.url}/problem_list.do?sysparm_query=number=X0077777"
    assert actions(unlink(desk, anomaly(), incident=link_of)) == ["unlinked"]


def test_a_store_that_was_lost_unlinks_what_the_instance_tells_of(make_desk, sandbox):
    report(make_desk(), anomaly())

    assert actions(unlink(make_desk("lost"), anomaly())) == ["unlinked"]
    assert actions(push_status(make_desk("lost"), [anomaly(status="resolved")], run=SYNC)) == ["suppressed"]


def test_the_next_report_links_an_anomaly_to_its_own_ticket_again_and_says_so(desk, sandbox):
    report(desk, anomaly())
    (own,) = incidents(sandbox)
    unlink(desk, anomaly())

    opening = report(desk, anomaly(hour=1), run="next")

    assert actions(opening) == ["linked"]
    assert opening.results[0]["message"].endswith(f"linked to ticket {own['number']}")
    assert "linked again" in sandbox.notes(own["sys_id"])[-1]
    assert numbers_of(desk, anomaly()) == [own["number"]]
    assert len(incidents(sandbox)) == 1


def test_what_waited_for_the_ticket_is_not_sent_after_the_unlinking(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    sandbox.fail_next("accepted", method="PATCH", count=9)
    remark = anomaly(comments=[Comment(id="1", body="Known.")])
    push_comments(desk, [remark], run=Run("dag", "run", "comment"))
    assert entries_of(desk, outbox.COMMENT) == [("pending", None)]

    unlink(desk, anomaly())
    deliver_waiting(desk, SYNC)

    assert len(sandbox.notes(ticket["sys_id"])) == 1
    assert entries_of(desk, outbox.COMMENT) == [("discarded", "unlinked")]
    assert numbers_of(desk, anomaly()) == []


def test_linking_moves_an_anomaly_of_an_exclusive_project(desk, sandbox):
    report(desk, anomaly(), exclusive=True)
    (own,) = incidents(sandbox)
    ticket = theirs(desk)

    linked = link(desk, ticket["number"], anomaly(), exclusive=True)

    assert actions(linked) == ["linked"]
    assert numbers_of(desk, anomaly()) == [ticket["number"]]
    assert sandbox.notes(own["sys_id"]) == [
        f"No longer followed here, now on {ticket['number']}:\n- dep_time not null on nyc.flights"
    ]
    _, joined = sandbox.notes(ticket["sys_id"])
    assert joined.endswith(f"until now on {own['number']}")

    back = link(desk, own["number"], anomaly(), exclusive=True)
    assert actions(back) == ["linked"]
    assert numbers_of(desk, anomaly()) == [own["number"]]
    assert actions(link(desk, ticket["number"], anomaly(), exclusive=True)) == ["linked"]
    assert numbers_of(desk, anomaly()) == [ticket["number"]]


def test_reports_of_what_was_moved_are_noted_where_it_is_now(desk, sandbox):
    report(desk, anomaly(), exclusive=True)
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly(), exclusive=True)

    opening = report(desk, anomaly(hour=1), run="next", exclusive=True)

    assert opening.results[0]["ticket"]["ticket_id"] == ticket["sys_id"]
    assert numbers_of(desk, anomaly()) == [ticket["number"]]


def test_a_group_of_another_run_is_no_place_for_reports(desk, sandbox):
    report(desk, anomaly(), run="monday", group_by="dag_run")

    opening = report(desk, anomaly(hour=1), run="tuesday", group_by="dag_run")

    assert actions(opening) == ["created"]
    assert len(incidents(sandbox)) == 2


def test_a_report_that_could_not_be_noted_in_time_opens_its_own_ticket(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    sandbox.fail_next("accepted", method="PATCH", count=9)
    assert report(desk, anomaly(hour=1), run="next").pending
    end(sandbox, ticket, "7")
    look_at(desk, ticket)

    opening = report(desk, anomaly(hour=1), run="next")

    (own,) = incidents(sandbox)
    assert actions(opening) == ["created"]
    assert own["correlation_id"].startswith("dq:custom:")
    assert len(sandbox.notes(ticket["sys_id"])) == 1
