"""Anomalies are linked to tickets that are there: details into the description and a work note, each once."""

from __future__ import annotations

import re

import pytest
from linking_them import actions, entries_of, link, now_of, numbers_of, qualytics, theirs, unlink
from reporting import incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.lookup import look
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import (
    DeliveryRefusedError,
)
from airflow_provider_servicenow_dq.store import outbox, tickets
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.tickets.notes import details


def heads(text):
    return re.findall(r"^## Qualytics Anomaly Linked \[.* UTC\]$", text, re.MULTILINE)


def test_the_details_go_to_the_end_of_the_description_and_a_work_note_tells_of_the_link(desk, sandbox):
    ticket = theirs(desk, description="Somebody wrote this.\n")
    sandbox.clear_requests()

    linked = link(desk, ticket["number"], qualytics())

    now = now_of(sandbox, ticket["sys_id"])
    before, _, after = now["description"].partition("\n\n")
    stamp = re.search(r"\[.* UTC\]", after).group()
    assert before == "Somebody wrote this."
    assert re.sub(r"\[.* UTC\]", "[]", after) == re.sub(
        r"\[.* UTC\]", "[]", details(qualytics(), now=qualytics().detected_at)
    )
    (note,) = sandbox.notes(ticket["sys_id"])
    assert note.startswith(
        f"{stamp} Qualytics Anomaly Linked: 824, dep_time not null on nyc.flights (dq:qualytics:"
    )
    assert writes(sandbox) == ["PATCH"]
    assert actions(linked) == ["linked"]
    (result,) = linked.results
    assert result["message"] == f"Anomaly 824 linked to ticket {ticket['number']}"
    assert result["ticket"]["ticket_id"] == ticket["sys_id"]
    assert result["warnings"] == []
    assert linked.failures == []


def test_linking_again_changes_nothing(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], qualytics())
    sandbox.clear_requests()

    again = link(desk, ticket["sys_id"], qualytics(), run="next")

    assert actions(again) == ["unchanged"]
    assert "is linked already" in again.results[0]["message"]
    assert writes(sandbox) == []


def test_a_task_that_runs_again_tells_what_it_did(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], qualytics())

    assert actions(link(desk, ticket["number"], qualytics())) == ["linked"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1


def test_the_anomaly_given_twice_is_linked_once(desk, sandbox):
    ticket = theirs(desk)

    assert actions(link(desk, ticket["number"], qualytics(), qualytics())) == ["linked", "unchanged"]
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 1


def test_an_empty_description_holds_the_details_alone(desk, sandbox):
    ticket = theirs(desk)

    link(desk, ticket["number"], qualytics())

    assert now_of(sandbox, ticket["sys_id"])["description"].startswith("## Qualytics Anomaly Linked [")


@pytest.mark.parametrize(("state", "label"), [("7", "Closed"), ("8", "Canceled")])
def test_nothing_is_linked_to_a_locked_ticket(desk, sandbox, state, label):
    ticket = theirs(desk)
    done = {"close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", ticket["sys_id"], {"state": state, **done})
    sandbox.clear_requests()

    with pytest.raises(DeliveryRefusedError, match=f"{ticket['number']} is {label}, and locked"):
        link(desk, ticket["number"], qualytics())

    assert writes(sandbox) == []
    assert entries_of(desk, outbox.LINK) == []


def test_many_anomalies_of_a_task_are_linked_with_one_update(desk, sandbox):
    ticket = theirs(desk)
    found = [qualytics(str(number)) for number in range(5)]
    sandbox.clear_requests()

    linked = link(desk, ticket["number"], *found)

    assert writes(sandbox) == ["PATCH"]
    assert actions(linked) == ["linked"] * 5
    (note,) = sandbox.notes(ticket["sys_id"])
    assert len(note.splitlines()) == 5
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 5
    assert [result["anomaly_id"] for result in linked.results] == ["0", "1", "2", "3", "4"]


def test_an_anomaly_may_be_on_several_tickets_and_all_of_them_are_told(desk, sandbox):
    first, second = theirs(desk), theirs(desk)
    report(desk, qualytics())
    (own,) = incidents(sandbox)
    link(desk, first["number"], qualytics())
    link(desk, second["number"], qualytics())

    assert numbers_of(desk, qualytics()) == sorted([own["number"], first["number"], second["number"]])

    remark = qualytics(comments=[Comment(id="1", body="Known.")])
    pushed = push_comments(desk, [remark], run=Run("dag", "run", "comment"))
    resolved = push_status(desk, [qualytics(status="resolved")], run=Run("dag", "run", "push"))

    assert actions(pushed) == ["noted"] * 3
    assert sorted(actions(resolved)) == ["noted", "noted", "resolved"]
    for ticket in (first, second):
        assert now_of(sandbox, ticket["sys_id"])["state"] == "1"
        _, comment, status = sandbox.notes(ticket["sys_id"])
        assert comment == "Comment from Qualytics: Known."
        assert status.endswith("Qualytics Anomaly Status: Resolved")
    assert now_of(sandbox, own["sys_id"])["state"] == "6"


def test_an_own_ticket_has_the_details_already_and_is_not_linked_twice(desk, sandbox):
    report(desk, qualytics())
    (own,) = incidents(sandbox)

    assert actions(link(desk, own["number"], qualytics())) == ["unchanged"]
    assert actions(link(desk, own["number"], qualytics("825"))) == ["linked"]
    assert len(heads(now_of(sandbox, own["sys_id"])["description"])) == 2
    assert numbers_of(desk, qualytics("825")) == [own["number"]]


def test_a_ticket_is_not_resolved_while_an_anomaly_that_was_linked_to_it_is_open(desk, sandbox):
    report(desk, qualytics())
    (own,) = incidents(sandbox)
    link(desk, own["number"], qualytics("825"))

    pushed = push_status(desk, [qualytics(status="resolved")], run=Run("dag", "run", "push"))
    assert actions(pushed) == ["noted"]

    pushed = push_status(desk, [qualytics("825", status="resolved")], run=Run("dag", "run", "push"))
    assert actions(pushed) == ["resolved"]


def test_after_a_lost_store_the_same_link_writes_nothing(make_desk, sandbox):
    ticket = theirs(make_desk())
    link(make_desk(), ticket["number"], qualytics(), qualytics("825"))
    sandbox.clear_requests()

    again = link(make_desk("lost"), ticket["number"], qualytics("825"))

    assert writes(sandbox) == []
    assert actions(again) == ["linked"]
    assert numbers_of(make_desk("lost"), qualytics("825")) == [ticket["number"]]


def test_after_an_unlinking_a_new_note_tells_of_the_link_and_the_details_stay_once(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], qualytics())
    unlink(desk, qualytics())

    assert actions(link(desk, ticket["number"], qualytics())) == ["linked"]
    assert len(sandbox.notes(ticket["sys_id"])) == 2
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 1
    assert numbers_of(desk, qualytics()) == [ticket["number"]]


def test_details_that_their_source_has_written_itself_are_not_repeated(desk, sandbox):
    ticket = theirs(desk, description=details(qualytics(), now=qualytics().detected_at))

    link(desk, ticket["number"], qualytics())

    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 1
    assert len(sandbox.notes(ticket["sys_id"])) == 1


def test_what_the_description_has_no_room_for_goes_to_work_notes_whole(desk, sandbox):
    full = "x" * 3950
    ticket = theirs(desk, description=full)

    link(desk, ticket["number"], qualytics())

    assert now_of(sandbox, ticket["sys_id"])["description"] == full
    (note,) = sandbox.notes(ticket["sys_id"])
    assert len(heads(note)) == 1
    assert "https://q.example/?id=824" in note


def test_details_too_long_for_one_work_note_fill_several(desk, sandbox):
    ticket = theirs(desk, description="x" * 3950)
    checks = [f"check {number} " + "y" * 900 for number in range(4)]

    link(desk, ticket["number"], qualytics(failed_checks=checks), qualytics("825"))

    notes = sandbox.notes(ticket["sys_id"])
    assert all(len(note) <= 4000 for note in notes)
    assert all(any(check in note for note in notes) for check in checks)
    assert sum(len(heads(note)) for note in notes) == 2
    assert any("id=824" in note for note in notes)


def test_a_description_that_cannot_be_read_is_left_alone(desk, sandbox):
    ticket = theirs(desk, description="secret")
    sandbox.configure(unreadable=("incident.description",))

    link(desk, ticket["number"], qualytics())

    sandbox.configure(unreadable=())
    assert now_of(sandbox, ticket["sys_id"])["description"] == "secret"
    (note,) = sandbox.notes(ticket["sys_id"])
    assert len(heads(note)) == 1


def test_who_follows_a_foreign_ticket_sees_that_it_is_gone(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], qualytics())
    address = Address(desk.host, "incident", f"sys_id:{ticket['sys_id']}")
    sandbox.configure(hidden=("incident",))

    look(desk, [address], run="look")

    with desk.store.begin() as connection:
        (known,) = tickets.at(connection, [address])[address]
    assert known.state == "unknown"
    assert not known.created_by_us
