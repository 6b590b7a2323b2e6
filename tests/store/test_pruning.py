"""Forgetting what is over: never what is still needed, and never what keeps a thing from being sent twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from databases import until_somebody_waits

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, outbox, passes, schema, tickets
from airflow_provider_servicenow_dq.store import prune as module
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.outbox import Address, Draft
from airflow_provider_servicenow_dq.store.passes import Passing
from airflow_provider_servicenow_dq.store.prune import Pruned, prune

YEAR = timedelta(days=365)
CLOSED, RESOLVED = "7", "6"


@pytest.fixture
def past(now):
    """When what is over was over."""
    return now - 2 * YEAR


@pytest.fixture
def problem(store, past):
    """Make an anomaly with its ticket and its delivered report, all of them old."""

    def make(name="a", state=CLOSED, at=None, when=past, ended=outbox.DONE, number=1):
        key = name * 32
        address = Address("acme.service-now.com", "incident", at or f"dq:custom:{key}")
        anomaly = Anomaly(source="custom", dataset="nyc.flights", check_name=f"check {name}")
        with store.begin() as connection:
            anomalies.remember(connection, [Sighting(key, f"at:{number}", anomaly)], now=when)
            passes.remember(connection, [Passing(key, f"at:{number}", when)])
            ticket = tickets.add(
                connection,
                address,
                {"sys_id": f"{name}{number}" * 16, "number": f"INC{name}", "state": state},
                made=True,
                created_by_us=True,
                seen=1,
                seen_at_note=1,
                noted_at=when,
                severity="high",
                changed_at=when,
            )
            tickets.link(connection, ticket.id, [key], now=when)
            tickets.know_notes(connection, ticket.id, {"f" * 32: 1})
            draft = Draft(address, f"report|{key}|{number}", outbox.REPORT, {"anomaly": {"text": "x"}}, key)
            (entry,) = outbox.record(connection, [draft], recorded_by="task", now=when)
            outbox.settle(
                connection,
                [entry.id],
                state=ended,
                now=when,
                ticket_id=ticket.id,
                message="said",
                warnings=["w"],
            )
        return key, address, ticket, entry

    return make


def run(store, now, **options):
    total = Pruned()
    for part in prune(store, before=now - YEAR, **options):
        total.add(part)
    return total


def rows(store):
    with store.begin() as connection:
        return {
            table.name.removeprefix("dq_"): connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in schema.metadata.sorted_tables
        }


def entry_of(store, entry):
    with store.begin() as connection:
        return outbox.by_ids(connection, [entry.id]).get(entry.id)


def test_what_is_over_goes_altogether(store, problem, now):
    problem()

    gone = run(store, now)

    assert gone == Pruned(anomalies=1, occurrences=1, tickets=1, links=1, known_notes=1, entries=1, texts=0)
    assert not any(rows(store).values())


def test_a_dry_run_counts_the_same_and_changes_nothing(store, problem, now):
    problem("a")
    problem("b", state=RESOLVED)
    before = rows(store)

    counted = run(store, now, dry_run=True)

    assert rows(store) == before
    assert (counted.texts, counted.tickets) == (1, 1)
    assert run(store, now) == counted


@pytest.mark.parametrize(
    "still_needed",
    [
        {"state": RESOLVED},
        {"state": "1"},
        {"state": tickets.UNKNOWN},
        {"ended": outbox.DEAD},
        {"ended": outbox.PENDING},
        {"ended": outbox.BLOCKED},
        {"ended": outbox.SENDING},
        {"ended": outbox.DISCARDED},
    ],
    ids=lambda case: "-".join(case.values()),
)
def test_nothing_goes_that_is_still_needed(store, problem, now, still_needed):
    _, _, _, entry = problem(**still_needed)
    before = rows(store)

    gone = run(store, now)

    assert rows(store) == before
    assert gone == Pruned(texts=1 if "state" in still_needed else 0)
    assert entry_of(store, entry).state == still_needed.get("ended", outbox.DONE)
    if "ended" in still_needed:
        assert (entry_of(store, entry).payload, entry_of(store, entry).message) == (
            {"anomaly": {"text": "x"}},
            "said",
        )


def test_of_a_delivered_entry_the_texts_go_and_it_is_still_not_sent_again(store, problem, now):
    _, address, ticket, entry = problem(state=RESOLVED)

    assert run(store, now).texts == 1

    pruned = entry_of(store, entry)
    assert (pruned.payload, pruned.message, pruned.warnings) == ({}, None, [])
    assert (pruned.state, pruned.ticket_id) == (outbox.DONE, ticket.id)
    with store.begin() as connection:
        (again,) = outbox.record(
            connection,
            [Draft(address, entry.idempotency_key, outbox.REPORT, {"new": 1})],
            recorded_by="t",
            now=now,
        )
    assert (again.id, again.state) == (entry.id, outbox.DONE)
    assert run(store, now) == Pruned()


def test_what_a_status_change_said_is_kept_since_the_next_one_is_compared_with_it(store, address, past, now):
    with store.begin() as connection:
        draft = Draft(address, "status|x", outbox.STATUS, {"status": "resolved"}, "k" * 32)
        (entry,) = outbox.record(connection, [draft], recorded_by="task", now=past)
        outbox.settle(connection, [entry.id], state=outbox.DONE, now=past)

    assert run(store, now) == Pruned()
    assert entry_of(store, entry).payload == {"status": "resolved"}


def test_a_ticket_that_ended_lately_stays(store, problem, now):
    problem(when=now - timedelta(days=300))

    assert run(store, now) == Pruned()


def test_what_was_reported_since_stays_with_all_that_belongs_to_it(store, problem, now):
    key, *_ = problem()
    anomaly = Anomaly(source="custom", dataset="nyc.flights", check_name="check a")
    with store.begin() as connection:
        anomalies.remember(connection, [Sighting(key, "at:2", anomaly)], now=now)
    before = rows(store)

    assert run(store, now) == Pruned(texts=1)
    assert rows(store) == before


def test_a_ticket_of_several_goes_only_with_the_last_of_them(store, problem, now):
    group = "dq:group:" + "c" * 32
    problem("a", at=group)
    problem("b")
    with store.begin() as connection:
        tickets.link(connection, 1, ["b" * 32], now=now)
        anomalies.remember(
            connection,
            [Sighting("b" * 32, "at:2", Anomaly(source="custom", dataset="d", check_name="check b"))],
            now=now,
        )

    assert run(store, now) == Pruned(texts=2)


def test_the_followers_of_a_ticket_stay_together(store, problem, now):
    problem("a", number=1)
    problem("a", number=2, state="1")

    gone = run(store, now)

    assert (gone.tickets, gone.anomalies) == (0, 0)


def test_an_anomaly_that_never_had_a_ticket_goes_too(store, past, now):
    anomaly = Anomaly(source="custom", dataset="nyc.flights", check_name="below the floor")
    with store.begin() as connection:
        anomalies.remember(connection, [Sighting("a" * 32, "at:1", anomaly)], now=past)

    assert run(store, now) == Pruned(anomalies=1, occurrences=1)


def test_more_than_one_batch_goes(store, problem, now, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.store.prune._AT_ONCE", 2)
    for name in "abcde":
        problem(name)

    assert run(store, now).tickets == 5
    assert not any(rows(store).values())


@pytest.mark.parametrize("just_before", ["_settled", "_remove"])
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_is_reported_while_it_is_forgotten_is_not_lost(store, problem, now, monkeypatch, just_before):
    """On PostgreSQL others write meanwhile."""
    key, address, _, _ = problem()
    real, reported = getattr(module, just_before), []

    def after_a_report(*args, **options):
        if not reported:
            with store.begin() as connection:
                found = Anomaly(source="custom", dataset="nyc.flights", check_name="check a")
                anomalies.remember(connection, [Sighting(key, "at:2", found)], now=now)
                draft = Draft(address, f"report|{key}|2", outbox.REPORT, {"anomaly": {}}, key)
                reported.extend(outbox.record(connection, [draft], recorded_by="task", now=now))
        return real(*args, **options)

    monkeypatch.setattr(module, just_before, after_a_report)
    run(store, now)

    with store.begin() as connection:
        assert outbox.waiting(connection, address) == reported
        assert anomalies.contents(connection, [key])


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_somebody_is_about_to_change_is_looked_at_again_with_all_that_is_there(store, problem, now):
    _, address, first, entry = problem(number=1)
    problem(number=2)
    with ThreadPoolExecutor() as pool:
        with store.begin() as reopening:
            tickets.change(reopening, first, state="2", changed_at=now)
            forgetting = pool.submit(run, store, now)
            until_somebody_waits(store)
        gone = forgetting.result(20)

    assert (gone.tickets, gone.entries, gone.links) == (0, 0, 0)
    with store.begin() as connection:
        assert len(tickets.at(connection, [address])[address]) == 2
    assert entry_of(store, entry) is not None
