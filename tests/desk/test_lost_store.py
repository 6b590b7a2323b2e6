"""A lost store doubles nothing: the instance knows what is on it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key, correlation_id
from airflow_provider_servicenow_dq.desk.adopt import Adopted, adopt_all
from airflow_provider_servicenow_dq.desk.order import Order, payload
from airflow_provider_servicenow_dq.store import instances, tickets
from airflow_provider_servicenow_dq.tickets.notes import repeat_note
from airflow_provider_servicenow_dq.tickets.ticket import sys_id_for

RESOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}


def adopt(desk):
    *_, adopted = adopt_all(desk, "incident")
    return adopted


def notes_of(sandbox):
    return {record["number"]: sandbox.notes(record["sys_id"]) for record in incidents(sandbox)}


@pytest.fixture
def thousand(sandbox):
    """A thousand tickets as an earlier store made them: every third with a note, every tenth resolved."""
    instance, now = sandbox.instance, datetime.now(UTC)
    ourselves = instance.account("svc_airflow")
    reported = []
    for number in range(1000):
        problem = anomaly(f"check {number:04}")
        correlation = correlation_id("custom", anomaly_key(problem))
        fields = payload(Order(), problem, correlation_id=correlation, now=now, run="dag/lost")["fields"]
        sys_id = sys_id_for("incident", correlation)
        instance.insert(ourselves, "incident", {**fields, "sys_id": sys_id})
        reported.append(problem)
        if number % 3 == 0:
            again = anomaly(f"check {number:04}", hour=1)
            note = repeat_note(again, now=now, seen=2, reason="seen again")
            instance.update(ourselves, "incident", sys_id, {"work_notes": note})
            reported.append(again)
        if number % 10 == 0:
            sandbox.act_as("beth.anglin", "incident", sys_id, RESOLVED)
    return reported


# The small ones below run on both kinds of store; a thousand are for the instance's side.
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_thousand_tickets_survive_their_store(thousand, make_desk, sandbox):
    before = notes_of(sandbox)

    # Without a hand's turn: the next report finds them.
    opening = report(make_desk("found"), *thousand, run="after", max_new_tickets=1000)
    assert opening.failures == []
    assert writes(sandbox) == []
    # Not a look for each.
    assert len(sandbox.requests) < 60

    # Adopted: every ticket, link and note is known before anybody reports.
    desk = make_desk("adopted")
    sandbox.clear_requests()
    adopted = adopt(desk)
    assert adopted == Adopted(found=1000, tickets=1000, links=1000, notes=334)
    assert len(sandbox.requests) < 60
    again = thousand[::3]
    assert report(desk, *again, run="after", max_new_tickets=1000).failures == []
    assert writes(sandbox) == []
    assert notes_of(sandbox) == before

    # What is new is written, once each.
    noted = {number for number, texts in before.items() if texts}
    reported = {problem.check_name for problem in again}
    open_ones = [
        record
        for record in incidents(sandbox)
        if record["state"] == "1"
        and record["number"] not in noted
        and record["short_description"].split(" failed")[0] in reported
    ][:20]
    checks = [record["short_description"].split(" failed")[0] for record in open_ones]
    new = [anomaly(check, hour=24) for check in checks]
    assert actions(report(desk, *new, run="later")) == ["noted"] * 20
    after = notes_of(sandbox)
    assert {number: len(texts) - len(before[number]) for number, texts in after.items()} == {
        number: int(number in {record["number"] for record in open_ones}) for number in before
    }


def test_adopting_twice_changes_nothing(make_desk, sandbox):
    report(make_desk("lost"), anomaly(), anomaly("other"))
    desk = make_desk("new")
    adopt(desk)
    with desk.store.begin() as connection:
        before = tickets.by_ids(connection, [1, 2])

    assert adopt(desk) == Adopted(found=2)

    with desk.store.begin() as connection:
        assert tickets.by_ids(connection, [1, 2]) == before
        assert instances.get(connection, desk.host).honours_sys_id


def test_what_the_store_knows_stays_as_it_is(make_desk, sandbox):
    desk = make_desk()
    report(desk, anomaly(hour=0))
    report(desk, anomaly(hour=1), run="second")
    with desk.store.begin() as connection:
        before = tickets.by_ids(connection, [1])

    assert adopt(desk) == Adopted(found=1)

    with desk.store.begin() as connection:
        assert tickets.by_ids(connection, [1]) == before


def test_what_only_looks_like_ours_is_left_alone(make_desk, desk, sandbox):
    report(make_desk("lost"), anomaly())
    (incident,) = incidents(sandbox)
    for text in ("dq:custom:short", "dq:custom:" + "A" * 32, "DQ:" + incident["correlation_id"][3:]):
        desk.table_api.create("incident", {"short_description": "theirs", "correlation_id": text})

    assert adopt(desk) == Adopted(found=1, tickets=1, links=1)


def test_the_members_of_a_ticket_that_holds_many_are_read_off_it(make_desk, sandbox):
    lost = make_desk("lost")
    many = [anomaly(f"check {number}", message=f"m{'x' * 150}") for number in range(60)]
    report(lost, *many, group_by="dataset")
    report(lost, *(anomaly(f"roll {number}") for number in range(8)), run="rolled", max_new_tickets=2)
    count = len(incidents(sandbox))
    assert count == 4
    desk = make_desk("new")

    adopted = adopt(desk)

    assert (adopted.tickets, adopted.links) == (4, 68)
    sandbox.clear_requests()
    assert report(desk, *many, group_by="dataset", run="after").failures == []
    rolled = [anomaly(f"roll {number}") for number in range(8)]
    assert set(actions(report(desk, *rolled, run="after", max_new_tickets=2))) == {"unchanged"}
    assert writes(sandbox) == []


def test_a_resolved_ticket_that_was_adopted_reopens_once_and_then_is_like_any_other(make_desk, sandbox):
    report(make_desk("lost"), anomaly())
    (incident,) = incidents(sandbox)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], RESOLVED)
    desk = make_desk("new")
    adopt(desk)
    time.sleep(1.1)  # an occurrence of the second in which it was resolved is no later one

    assert actions(report(desk, anomaly(hour=None), run="one")) == ["reopened"]
    assert actions(report(desk, anomaly(hour=None), run="two")) == ["noted"]
    assert len(sandbox.notes(incident["sys_id"])) == 2
