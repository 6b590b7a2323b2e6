"""Tickets that people opened are followed once an anomaly is linked to them, and no longer after that."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from linking_them import actions, link, numbers_of, theirs, unlink
from pulls import by_hand, in_short, known, told
from reporting import anomaly

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.store import claims
from airflow_provider_servicenow_dq.store.outbox import Address


def test_what_people_do_to_a_linked_ticket_is_pulled_and_what_we_wrote_there_is_not(desk, sandbox):
    ticket = theirs(desk, description="Before.")
    told(desk)
    link(desk, ticket["number"], anomaly())
    assert told(desk) == []

    by_hand(sandbox, ticket, work_notes="On it.", state="2")

    changes = told(desk)
    assert sorted(in_short(changes)) == [("state", "1", "2"), ("work_notes", None, "On it.")]
    assert {change["ticket"] for change in changes} == {ticket["number"]}
    assert {change["anomaly_id"] for change in changes} == {anomaly().anomaly_id}


def test_the_end_of_a_linked_ticket_is_fed_back(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    told(desk)

    by_hand(sandbox, ticket, state="6", close_code="Solution provided", close_notes="done")
    told(desk)

    assert known(desk, anomaly_key(anomaly(), desk.namespace)).status == "resolved"


def test_after_the_unlinking_nothing_is_pulled_from_there(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    told(desk)
    unlink(desk, anomaly())

    by_hand(sandbox, ticket, work_notes="On it.", state="2")

    assert told(desk) == []


def test_unlinking_waits_for_who_is_at_work_on_the_ticket(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    address = Address(desk.host, "incident", f"sys_id:{ticket['sys_id']}")
    with desk.store.begin() as connection:
        claims.take(connection, address, now=desk.now(), lease=timedelta(hours=1))

    hasty = dataclasses.replace(desk, config=dataclasses.replace(desk.config, timeout_s=0.05))
    unlinked = unlink(hasty, anomaly())

    assert actions(unlinked) == ["unchanged"]
    assert unlinked.pending
    assert unlinked.results[0]["warnings"] == ["not unlinked: somebody is at work on the ticket"]
    assert numbers_of(desk, anomaly()) == [ticket["number"]]
