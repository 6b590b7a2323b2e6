"""Two who lock the same rows: SQLite lets one transaction write at a time, PostgreSQL rows of their own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import Client, finding_id, keys, members, ours, ticket
from databases import until_somebody_waits

from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.pulling import pulled_cases
from airflow_provider_servicenow_dq.findings import opening
from airflow_provider_servicenow_dq.findings.asked import CreateTickets, read
from airflow_provider_servicenow_dq.findings.parties import Caller
from airflow_provider_servicenow_dq.store import cases, exclusive

#: Longer than PostgreSQL takes to find out that two wait for each other.
_PATIENCE_S = 20


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_who_asks_for_a_finding_again_while_its_note_is_sent_holds_nobody_up(make_desk, sandbox, monkeypatch):
    lead = Client(make_desk())
    (case,) = lead.create(ticket(0)).cases
    lead.create_cases(ticket(1, kind="cases"))
    first, second = Client(make_desk(), user="ann"), Client(make_desk(), user="bob")
    real = exclusive.alone
    second_is_there, first_delivers, second_goes_on = (threading.Event() for _ in range(3))

    with ThreadPoolExecutor(1, "second") as pool:
        later = []

        def alone(connection):
            name = threading.current_thread().name
            if name == "MainThread":
                real(connection)
                # The second one begins when the first one is about to write its request down.
                later.append(pool.submit(second.attach_case, case.id, 1))
                until_somebody_waits(lead.desk.store, or_else=second_is_there.is_set)
                return
            if name.startswith("second") and not second_is_there.is_set():
                second_is_there.set()
                assert first_delivers.wait(_PATIENCE_S)
                real(connection)
                second_goes_on.set()
                return
            # Whoever delivers does so from a thread of its own.
            if not first_delivers.is_set():
                first_delivers.set()
                assert second_goes_on.wait(_PATIENCE_S)
            real(connection)

        monkeypatch.setattr(exclusive, "alone", alone)
        assert first.attach_case(case.id, 1).failures == []
        assert later[0].result(_PATIENCE_S).failures == []

    (row,) = ours(sandbox)
    assert members(lead.desk, row["sys_id"]) == keys(0, 1)
    assert len(sandbox.notes(row["sys_id"])) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_who_moves_findings_and_who_follows_the_tickets_that_they_leave_hold_nobody_up(
    make_desk, monkeypatch
):
    pulling, client = make_desk(), Client(make_desk())
    both = sorted(client.create(ticket(0), ticket(1)).cases, key=lambda case: case.id)
    first, last = [case.attributes.insights[0].resource_id == finding_id(1) for case in both]
    with pulling.store.snapshot() as connection:
        known = cases.by_ids(connection, [case.id for case in both])
    changed = [
        pulled_cases.Changed(known[case.id].address, result.sys_id, "priority", "1", "beth.anglin")
        for case in reversed(both)
        for result in [case.attributes.servicenow_ticket.result]
    ]
    real, later = cases.change, []

    def change(connection, case, **values):
        real(connection, case, **values)
        if not later:
            items = [ticket(int(number), title="again") for number in (first, last)]
            later.append(pool.submit(client.create, *items))
            until_somebody_waits(pulling.store)

    monkeypatch.setattr(cases, "change", change)
    with ThreadPoolExecutor(1) as pool:
        with pulling.store.begin() as connection:
            pulled_cases.follow(connection, changed, rules=client.project, now=pulling.now())
        assert later[0].result(_PATIENCE_S).failures == []


def test_all_cases_that_a_request_changes_are_locked_at_once(make_desk, monkeypatch):
    """A task whose first item is answered, and whose second takes a finding from an older case."""
    client = Client(make_desk())
    caller = Caller("airflow", Run("dag", "run", "task"), "the task and what it says", is_task=True)

    def as_a_task(*items):
        body = read(CreateTickets, {"data": list(items)})
        return opening.create(body, sides=client.sides, caller=caller).cases

    (answered,) = as_a_task(ticket(1))
    (other,) = client.create(ticket(2)).cases
    before = {answered.id, other.id}
    real, locked = cases.lock, []

    def lock(connection, ids):
        ids = set(ids)
        locked.append(ids & before - set().union(*locked))
        real(connection, ids)

    monkeypatch.setattr(cases, "lock", lock)
    as_a_task(ticket(1), ticket(2))

    assert [len(each) for each in locked if each] == [2]
