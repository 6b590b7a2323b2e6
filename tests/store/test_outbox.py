"""Intents: recorded once, replaced while nothing has left, and never lost."""

from __future__ import annotations

import multiprocessing

import pytest

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, outbox
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.store import Store

_fork = multiprocessing.get_context("fork")

WRITE = {"op": "create", "sys_id": "f" * 32}


@pytest.fixture
def record(store, now):
    """Record intents in a transaction of their own."""

    def record_one(*drafts, by="task"):
        with store.begin() as connection:
            return outbox.record(connection, drafts, recorded_by=by, now=now)

    return record_one


@pytest.fixture
def read(store):
    def read_one(entry):
        with store.begin() as connection:
            return outbox.by_ids(connection, [entry.id])[entry.id]

    return read_one


@pytest.fixture
def send(store, now):
    def start(*entries):
        with store.begin() as connection:
            outbox.start(connection, [entry.id for entry in entries], write=WRITE, now=now)

    return start


@pytest.fixture
def end(store, now):
    def settle(entry, state, **facts):
        with store.begin() as connection:
            outbox.settle(connection, [entry.id], state=state, now=now, **facts)

    return settle


def waiting(store, address):
    with store.begin() as connection:
        return [entry.idempotency_key for entry in outbox.waiting(connection, address)]


def test_a_new_intent_is_pending_with_what_it_was_given(record, draft, address):
    (entry,) = record(draft(), by="dag/run/task/-1")

    assert (entry.state, entry.payload, entry.attempts) == ("pending", {"text": "first"}, 0)
    assert (entry.address, entry.key, entry.recorded_by) == (address, "k" * 32, "dag/run/task/-1")
    assert (entry.write, entry.tried_at, entry.action, entry.message) == (None, None, None, None)


def test_entries_come_back_in_the_order_of_the_intents(record, draft):
    record(draft("report|2"))

    intents = [f"report|{number}" for number in range(4)]

    assert [entry.idempotency_key for entry in record(*map(draft, intents))] == intents


def test_the_same_intent_twice_is_one_entry(record, draft):
    first, second = record(draft(), draft())

    assert first.id == second.id


def test_the_same_intent_for_another_instance_or_table_is_another_entry(record, draft, address):
    places = [address, address._replace(instance="other"), address._replace(table="problem")]

    assert len({entry.id for entry in record(*(draft(at=place) for place in places))}) == 3


def test_more_intents_than_one_statement_takes_are_all_recorded(record, draft):
    entries = record(*(draft(f"report|{number}") for number in range(1201)))

    assert len({entry.id for entry in entries}) == 1201


def test_a_pending_intent_takes_the_new_payload(record, draft, read):
    (first,) = record(draft(text="first"))

    (again,) = record(draft(text="corrected"), by="another task")

    assert (again.id, again.state, again.payload) == (first.id, "pending", {"text": "corrected"})
    assert again == read(first)


@pytest.mark.parametrize("state", [outbox.DEAD, outbox.BLOCKED])
def test_what_was_given_up_comes_back_to_life_with_the_new_payload(record, draft, send, end, state):
    (entry,) = record(draft(text="refused"))
    send(entry)
    end(entry, state, message="the instance said no")

    (revived,) = record(draft(text="corrected"), by="another task")

    assert revived.recorded_by == "another task"
    assert (revived.state, revived.payload, revived.message) == ("pending", {"text": "corrected"}, None)
    # A dead create may have arrived after all; the write is how it is known when it shows up.
    assert (revived.write, revived.attempts) == (WRITE, 1)


def test_what_is_being_sent_keeps_its_write(record, draft, send):
    (entry,) = record(draft(text="first"))
    send(entry)

    (again,) = record(draft(text="corrected"), by="another task")

    assert (again.state, again.write, again.attempts) == ("sending", WRITE, 1)
    assert (again.payload, again.recorded_by) == ({"text": "corrected"}, "task")


def test_what_is_done_stays_as_it_is(record, draft, send, end):
    (entry,) = record(draft(text="first"))
    send(entry)
    end(entry, outbox.DONE, action="created", message="first seen", warnings=["one"])

    (again,) = record(draft(text="corrected"), by="another task")

    assert (again.state, again.payload, again.recorded_by) == ("done", {"text": "first"}, "task")
    assert (again.action, again.message, again.warnings) == ("created", "first seen", ["one"])
    assert again.write is None


def test_what_waits_at_an_address_comes_in_the_order_in_which_it_was_recorded(store, record, draft, address):
    elsewhere = address._replace(correlation_id="dq:custom:" + "b" * 32)
    record(draft("report|b"), draft("elsewhere", at=elsewhere), draft("report|a"))
    record(draft("report|b"))  # a second time does not put it at the end

    assert waiting(store, address) == ["report|b", "report|a"]


def test_only_what_is_still_to_be_done_waits(store, record, draft, send, end, address):
    _, sending, blocked, dead, done = record(*map(draft, ("pending", "sending", "blocked", "dead", "done")))
    send(sending)
    end(blocked, outbox.BLOCKED)
    end(dead, outbox.DEAD)
    end(done, outbox.DONE)

    assert waiting(store, address) == ["pending", "sending", "blocked"]


def test_entries_that_are_sent_together_name_the_one_that_carries_the_write(record, draft, send, read, now):
    first, second = record(draft("report|1"), draft("report|2"))

    send(first, second)

    assert read(first).write == WRITE
    assert read(second).write == {"op": "with", "entry": first.id}
    assert {read(entry).tried_at for entry in (first, second)} == {now}


def test_an_attempt_that_cannot_have_happened_is_not_counted(record, draft, send, end, read):
    (entry,) = record(draft())
    send(entry)
    end(entry, outbox.PENDING, message="connection refused", uncount=True)
    assert read(entry).attempts == 0

    send(entry)
    end(entry, outbox.PENDING, message="timeout")
    assert read(entry).attempts == 1


def test_only_what_is_pending_moves_to_another_ticket(store, record, draft, send, address):
    pending, sending = record(draft("pending"), draft("sending"))
    send(sending)
    home = address._replace(correlation_id="dq:rollup:" + "c" * 32)

    with store.begin() as connection:
        outbox.move(connection, [pending.id, sending.id], home)

    assert waiting(store, home) == ["pending"]
    assert waiting(store, address) == ["sending"]


def _report(url, barrier, names, draft, now):
    store = Store(url)
    sightings = [
        Sighting(name, "at:1", Anomaly(source="custom", dataset="nyc.flights", check_name=name))
        for name in names
    ]
    barrier.wait()
    with store.begin() as connection:
        anomalies.remember(connection, sightings, now=now)
        outbox.record(connection, [draft(f"report|{name}") for name in names], recorded_by="task", now=now)


def test_two_processes_that_report_the_same_in_opposite_order_record_it_once(url, store, draft, now, address):
    names = [f"{number:03}" for number in range(300)]
    barrier = _fork.Barrier(2, timeout=30)
    both = [
        _fork.Process(target=_report, args=(url, barrier, part, draft, now)) for part in (names, names[::-1])
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()

    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(waiting(store, address)) == [f"report|{name}" for name in names]


def test_what_is_recorded_together_for_a_ticket_waits_in_the_order_given(store, draft, now, address):
    other = address._replace(correlation_id="dq:custom:" + "0" * 32)
    drafts = [draft(f"comment|{number}", at=(address, other)[number % 2]) for number in (10, 9, 8, 7, 12, 11)]

    with store.begin() as connection:
        recorded = outbox.record(connection, drafts, recorded_by="task", now=now)

    assert [entry.idempotency_key for entry in recorded] == [each.idempotency_key for each in drafts]
    assert waiting(store, address) == ["comment|10", "comment|8", "comment|12"]
    assert waiting(store, other) == ["comment|9", "comment|7", "comment|11"]
