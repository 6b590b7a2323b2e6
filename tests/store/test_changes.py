"""Changes: numbers without gaps for whoever reads, and what of them is forgotten."""

from __future__ import annotations

import threading
from datetime import timedelta

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import changes, schema, taken
from airflow_provider_servicenow_dq.store.changes import Change
from airflow_provider_servicenow_dq.store.prune import Pruned, prune
from airflow_provider_servicenow_dq.store.taken import RETURNED, SUCCEEDED, Consumer, Stretch

HOST = "acme.service-now.com"
YEAR = timedelta(days=365)


def change(name):
    return Change("incident", "a" * 32, "k" * 32, "state", {"name": name})


def read(store, after=0, up_to=1000):
    with store.begin() as connection:
        found = changes.read(connection, HOST, "incident", after=after, up_to=up_to)
        return [each.content["name"] for each in found]


def test_changes_are_read_in_the_order_in_which_they_were_written_down(store, now):
    with store.begin() as connection:
        changes.add(connection, HOST, [change(name) for name in range(1200)], now=now)
        changes.add(connection, "other", [change("elsewhere")], now=now)

    assert read(store, up_to=5000) == list(range(1200))
    assert read(store, after=3, up_to=5) == [3, 4]
    with store.begin() as connection:
        assert (changes.last_number(connection, HOST), changes.last_number(connection, "other")) == (1200, 1)


def test_no_lower_number_appears_after_a_higher_one(store, open_store, now):
    started, seen = threading.Event(), []
    store.upgrade()

    def write_later():
        started.set()
        with open_store().begin() as connection:
            changes.add(connection, HOST, [change("late")], now=now)

    with store.begin() as connection:
        changes.add(connection, HOST, [change("early")], now=now)
        other = threading.Thread(target=write_later)
        other.start()
        started.wait()
        other.join(0.3)
        assert other.is_alive()
    other.join()

    seen = read(store)
    assert seen == ["early", "late"]


def test_changes_go_with_their_time(store, now):
    with store.begin() as connection:
        changes.add(connection, HOST, [change(name) for name in range(700)], now=now - 2 * YEAR)
        changes.add(connection, HOST, [change("kept")], now=now)

    counted = sum(each.changes for each in prune(store, before=now - YEAR, dry_run=True))
    gone = sum(each.changes for each in prune(store, before=now - YEAR))

    assert (counted, gone) == (700, 700)
    assert read(store) == ["kept"]
    assert sum(each.changes for each in prune(store, before=now - YEAR)) == Pruned().changes


def test_the_last_run_that_succeeded_is_not_forgotten(store, now):
    consumer = Consumer(HOST, "incident", "dag/pull")
    with store.begin() as connection:
        for number, state in enumerate([SUCCEEDED, SUCCEEDED, RETURNED]):
            stretch = Stretch(f"run {number}", number, number + 1, state)
            taken.put(connection, consumer, stretch, now=now - 2 * YEAR + timedelta(days=number))

    list(prune(store, before=now - YEAR))

    with store.begin() as connection:
        rows = connection.execute(sa.select(schema.taken.c.run).order_by(schema.taken.c.run)).scalars().all()
        assert rows == ["run 1", "run 2"]
        assert taken.succeeded_to(connection, consumer) == 2


def test_of_two_who_hear_the_same_text_said_twice_each_takes_one_for_an_echo(store, open_store, now):
    said = Change("incident", "a" * 32, "k" * 32, "comments", {"new": "still missing"}, text_hash="t" * 32)
    with store.begin() as connection:
        changes.add(connection, HOST, [said, said], now=now)
    claimed = []

    def claim(connection):
        claimed.append(changes.claim_echo(connection, HOST, "a" * 32, "k" * 32, "t" * 32))

    def claim_later():
        with open_store().begin() as connection:
            claim(connection)

    other = threading.Thread(target=claim_later)
    with store.begin() as connection:
        claim(connection)
        other.start()
        other.join(0.5)
        assert other.is_alive()
    other.join()

    assert claimed == [True, True]
    claim_later()
    assert claimed[2:] == [False]
