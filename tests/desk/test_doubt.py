"""Doubt that cannot be resolved at once, and tickets that somebody else has taken over."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.desk.deliver import deliver
from airflow_provider_servicenow_dq.desk.delivery import send
from airflow_provider_servicenow_dq.desk.delivery.claimed import LeaseLostError, claimed
from airflow_provider_servicenow_dq.desk.lookup import look
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.store import claims, outbox, tickets
from airflow_provider_servicenow_dq.store.outbox import Address


def test_at_first_contact_a_lost_create_is_not_waited_out_in_the_worker(make_desk, sandbox):
    slept = []
    desk = make_desk(sleep=slept.append)
    sandbox.fail_next("drop_before", method="POST")

    opening = report(desk, anomaly())

    (error,) = opening.pending
    assert isinstance(error, DeliveryPendingError)
    assert 0 < error.retry_after <= desk.doubt_wait.total_seconds()
    assert slept == []
    assert writes(sandbox) == ["POST"]


def test_a_wait_that_is_too_long_for_a_worker_becomes_a_retry(make_desk, sandbox, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.desk.deliver.LONGEST_SLEEP_S", 0.1)
    slept = []
    desk = make_desk(sleep=slept.append)
    report(desk, anomaly(hour=0))
    sandbox.fail_next("drop_before", method="PATCH")

    opening = report(desk, anomaly(hour=1))

    assert opening.pending[0].retry_after > 0.1
    assert slept == []
    assert writes(sandbox) == ["POST", "PATCH"]


def test_a_create_that_was_given_up_and_arrives_late_is_still_ours(make_desk, sandbox):
    desk = make_desk()
    report(desk, anomaly("another"))
    sandbox.fail_next("late_commit", method="POST", after_s=1.5)
    sandbox.fail_next("drop_before", method="POST", count=2)

    first = report(desk, anomaly())
    assert first.pending
    time.sleep(1.7)
    opening = report(desk, anomaly())

    assert actions(opening) == ["created"]
    assert len(incidents(sandbox)) == 2


def test_equal_notes_on_purpose_are_both_delivered_when_the_answer_to_the_second_is_lost(make_desk, sandbox):
    desk = make_desk()
    report(desk, anomaly())
    (incident,) = incidents(sandbox)
    address = Address(desk.host, "incident", incident["correlation_id"])

    for number in (1, 2):
        draft = outbox.Draft(address, f"note|{number}", outbox.NOTE, {"text": "rows still missing"})
        with desk.store.begin() as connection:
            outbox.record(connection, [draft], recorded_by="somebody", now=desk.now())
        if number == 2:
            sandbox.fail_next("drop_before", method="PATCH")
        assert list(deliver(desk, address, run="run"))

    assert sandbox.notes(incident["sys_id"]) == ["rows still missing"] * 2


def test_a_text_from_before_this_store_does_not_count_as_the_note_that_got_lost(
    make_desk, sandbox, monkeypatch
):
    monkeypatch.setattr("airflow_provider_servicenow_dq.tickets.notes.stamp", lambda _moment: "[then]")
    report(make_desk("gone"), anomaly(hour=0), anomaly(hour=1))
    report(make_desk("new"), anomaly(hour=2), run="adopts")
    sandbox.fail_next("drop_before", method="PATCH")

    report(make_desk("new"), anomaly(hour=1), run="next")

    first, second = sandbox.notes(incidents(sandbox)[0]["sys_id"])
    assert first == second


@pytest.mark.parametrize("kind", ["drop_after", "late_commit"])
def test_after_a_lost_create_the_next_repeat_is_noted_as_after_any_other(make_desk, sandbox, kind):
    desk = make_desk()
    sandbox.fail_next(kind, method="POST")
    first = report(desk, anomaly(hour=0))
    time.sleep(max((error.retry_after or 0.0 for error in first.pending), default=0.0) + 0.1)

    opening = report(desk, anomaly(hour=0), anomaly(hour=1), anomaly(hour=2), anomaly(hour=3))

    assert actions(opening) == ["created", "noted", "unchanged", "noted"]


def test_a_group_that_arrives_late_takes_only_those_along_that_it_lists(make_desk, sandbox):
    desk = make_desk()
    report(desk, anomaly("known", dataset="other"))
    sandbox.fail_next("late_commit", method="POST", after_s=1.5)
    sandbox.fail_next("drop_before", method="POST", count=2)
    assert report(desk, anomaly("a"), anomaly("b"), group_by="dataset").pending
    time.sleep(1.7)

    opening = report(desk, anomaly("a"), anomaly("b"), anomaly("c"), group_by="dataset")

    assert actions(opening) == ["created", "linked", "linked"]
    group = next(each for each in incidents(sandbox) if each["correlation_id"].startswith("dq:group:"))
    texts = [group["description"], *sandbox.notes(group["sys_id"])]
    assert [sum(f" {check} on " in text for text in texts) for check in "abc"] == [1, 1, 1]


def test_a_ticket_that_somebody_closes_just_before_our_note_gets_a_successor(desk, sandbox, monkeypatch):
    report(desk, anomaly(hour=None), run="first")
    (old,) = incidents(sandbox)
    real = send.update

    def closed_meanwhile(working, address, write):
        monkeypatch.setattr(send, "update", real)
        done = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
        sandbox.act_as("admin", "incident", old["sys_id"], done)
        time.sleep(1.1)
        return real(working, address, write)

    monkeypatch.setattr(send, "update", closed_meanwhile)

    opening = report(desk, anomaly(hour=None), run="second")

    assert actions(opening) == ["created"]
    new = next(each for each in incidents(sandbox) if each["sys_id"] != old["sys_id"])
    assert old["number"] in new["description"].splitlines()[0]


def test_a_look_that_took_long_does_not_overwrite_what_was_written_meanwhile(make_desk, sandbox, monkeypatch):
    desk = make_desk()
    report(desk, anomaly())
    address = Address(desk.host, "incident", incidents(sandbox)[0]["correlation_id"])
    real = type(desk.table_api).first_page

    def answered_late(self, *args, **options):
        rows = real(self, *args, **options)
        with desk.store.begin() as connection:
            (ticket,) = tickets.at(connection, [address])[address]
            newer = {**ticket.record, "state": "2", "sys_updated_on": "2999-01-01 00:00:00"}
            tickets.change(connection, ticket, record=newer)
        return rows

    monkeypatch.setattr(type(desk.table_api), "first_page", answered_late)

    look(desk, [address], run="run")

    with desk.store.begin() as connection:
        assert tickets.at(connection, [address])[address][0].state == "2"


def test_who_lost_the_ticket_writes_nothing_more(make_desk):
    desk = make_desk()
    address = Address(desk.host, "incident", "dq:custom:" + "0" * 32)
    later = desk.now() + desk.lease + timedelta(seconds=1)

    with claimed(desk, address) as lease:
        with desk.store.begin() as connection:
            taken = claims.take(connection, address, now=later, lease=desk.lease)
        assert isinstance(taken, claims.Claim)

        with pytest.raises(LeaseLostError), lease.transaction():
            pass
        with pytest.raises(LeaseLostError):
            lease.renew()

    with desk.store.begin() as connection:
        assert claims.holds(connection, taken)


def test_a_paused_worker_that_wakes_after_its_lease_leaves_the_outcome_to_the_next(
    make_desk, sandbox, monkeypatch
):
    """It has sent its create; the next one finds the ticket, and there is one."""
    desk = make_desk()
    report(desk, anomaly("another"))
    real = send.create
    others = []

    def create_and_sleep_through_the_lease(working, address, write):
        record = real(working, address, write)
        monkeypatch.setattr(send, "create", real)
        time.sleep(desk.lease.total_seconds() + 0.2)
        others.append(report(make_desk(), anomaly(), task="other"))
        return record

    monkeypatch.setattr(send, "create", create_and_sleep_through_the_lease)

    late = report(desk, anomaly())

    assert actions(others[0]) == ["created"]
    assert isinstance(late.pending[0], LeaseLostError)
    assert len(incidents(sandbox)) == 2
    with desk.store.begin() as connection:
        assert [entry.state for entry in outbox.by_ids(connection, [1, 2]).values()] == ["done", "done"]


def test_who_meets_another_at_work_waits_and_then_asks_for_a_retry(make_desk, sandbox):
    desk = make_desk()
    report(desk, anomaly(hour=0))
    address = Address(desk.host, "incident", incidents(sandbox)[0]["correlation_id"])
    with desk.store.begin() as connection:
        claims.take(connection, address, now=desk.now(), lease=timedelta(hours=1))

    opening = report(desk, anomaly(hour=1))

    assert isinstance(opening.pending[0], DeliveryPendingError)
    assert "somebody else" in opening.failures[0]
    assert writes(sandbox) == ["POST"]


def test_a_look_that_the_instance_refuses_for_good_is_not_worth_a_retry(make_desk, sandbox):
    wrong = report(make_desk(), anomaly(), table="no_such_table")

    assert wrong.pending == []
    assert "Invalid table no_such_table" in wrong.failures[0]


def test_a_refusal_that_often_passes_is_worth_a_retry(make_desk, sandbox):
    sandbox.fail_next("api_acl", method="GET", count=5)

    assert report(make_desk(), anomaly()).pending
