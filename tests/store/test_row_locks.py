"""What somebody decides about stays as it was read; on PostgreSQL by locks on rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from databases import until_somebody_waits

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, outbox, passes, pulling, schema, tickets, twins
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.passes import Streak

TABLE = schema.outbox


@pytest.fixture
def refused():
    """What happens to somebody who does not wait for a lock."""
    return pytest.raises(sa.exc.OperationalError, match="lock timeout")


@pytest.fixture
def record(postgres_store, draft, now):
    def record_one(state=outbox.PENDING):
        with postgres_store.begin() as connection:
            (entry,) = outbox.record(connection, [draft()], recorded_by="task", now=now)
            connection.execute(TABLE.update().where(TABLE.c.id == entry.id).values(state=state))
        return entry

    return record_one


@pytest.fixture
def ticket(postgres_store, address, now):
    facts = {"created_by_us": True, "seen": 1, "seen_at_note": 1, "severity": "high"}
    facts |= {"noted_at": now, "changed_at": now}
    with postgres_store.begin() as connection:
        record = {"sys_id": "1" * 32, "number": "INC1", "state": "1"}
        return tickets.add(connection, address, record, made=True, **facts)


@pytest.mark.parametrize("fate", [outbox.DISCARDED, outbox.DONE])
def test_what_ends_just_before_it_is_recorded_again_is_not_revived(
    postgres_store, record, draft, now, monkeypatch, fate
):
    entry = record(outbox.DEAD)
    real = outbox._renew

    def ended_meanwhile(*args):
        with postgres_store.begin() as connection:
            connection.execute(TABLE.update().where(TABLE.c.id == entry.id).values(state=fate))
        real(*args)

    monkeypatch.setattr(outbox, "_renew", ended_meanwhile)

    with postgres_store.begin() as connection:
        (again,) = outbox.record(connection, [draft(text="second")], recorded_by="other", now=now)

    assert (again.state, again.payload) == (fate, {"text": "first"})


def test_what_is_about_to_be_sent_is_neither_moved_nor_replaced(
    postgres_store, impatient, record, draft, address, now, refused
):
    entry = record()
    home = address._replace(correlation_id="dq:rollup:" + "c" * 32)

    with postgres_store.begin() as deciding:
        assert [each.id for each in outbox.waiting(deciding, address)] == [entry.id]
        with refused, impatient.begin_nested():
            outbox.move(impatient, [entry.id], home)
        with refused, impatient.begin_nested():
            outbox.record(impatient, [draft(text="second")], recorded_by="other", now=now)

    outbox.move(impatient, [entry.id], home)


def test_what_a_look_compares_with_stays_as_it_was(postgres_store, impatient, ticket, address, now, refused):
    with postgres_store.begin() as looking:
        tickets.at(looking, [address], for_update=True)
        with refused, impatient.begin_nested():
            tickets.change(impatient, ticket, seen=2)
    with postgres_store.begin() as counting:
        tickets.locked(counting, ticket.id)
        with refused, impatient.begin_nested():
            tickets.change(impatient, ticket, seen=2)

    tickets.change(impatient, ticket, seen=2)


@pytest.mark.parametrize("deciding_by", [passes.streaks, passes.goes_on])
def test_an_anomaly_is_not_seen_again_while_its_passes_are_counted(
    postgres_store, impatient, now, refused, deciding_by
):
    key = "k" * 32
    sighting = Sighting(key, "at:1", Anomaly(source="custom", dataset="d", check_name="c"))
    streak = Streak(now, 1, now, now)
    with postgres_store.begin() as connection:
        anomalies.remember(connection, [sighting], now=now)

    with postgres_store.begin() as counting:
        if deciding_by is passes.streaks:
            passes.streaks(counting, [key])
        else:
            assert passes.goes_on(counting, key, streak)
        with refused, impatient.begin_nested():
            anomalies.remember(impatient, [sighting._replace(occurrence="at:2")], now=now)

    anomalies.remember(impatient, [sighting._replace(occurrence="at:2")], now=now)


def a_twin(postgres_store, ticket, now):
    """Return another ticket, which comes before the first one wherever rows are taken as they lie."""
    facts = {"created_by_us": True, "seen": 1, "seen_at_note": 1, "severity": "high"}
    facts |= {"noted_at": now, "changed_at": now}
    with postgres_store.begin() as connection:
        record = {"sys_id": "2" * 32, "number": "INC2", "state": "1"}
        twin = tickets.add(connection, ticket.address, record, made=True, **facts)
        of_ticket = schema.ticket.c.id == ticket.id
        # Of a column that is indexed, so that the row moves.
        connection.execute(schema.ticket.update().where(of_ticket).values(sys_id="3" * 32))
    return twin


def test_whoever_has_seen_tickets_takes_them_in_the_order_of_all(postgres_store, ticket, now):
    twin = a_twin(postgres_store, ticket, now)

    def see():
        with postgres_store.begin() as seeing:
            pulling.seen(seeing, [ticket.id, twin.id], now=now)

    with ThreadPoolExecutor() as pool:
        with postgres_store.begin() as deciding:
            tickets.locked(deciding, ticket.id)
            seeing = pool.submit(see)
            until_somebody_waits(postgres_store)
            tickets.locked(deciding, twin.id)
        seeing.result(20)


def test_whoever_gives_reports_to_a_twin_takes_them_in_the_order_of_all(postgres_store, ticket, draft, now):
    twin = a_twin(postgres_store, ticket, now)
    with postgres_store.begin() as connection:
        drafts = [draft("report|one"), draft("report|two")]
        entries = outbox.record(connection, drafts, recorded_by="task", now=now)
        first, second = sorted(entry.id for entry in entries)
        for entry_id in (second, first):
            outbox.settle(connection, [entry_id], state=outbox.DONE, now=now, ticket_id=twin.id)

    def give():
        with postgres_store.begin() as giving:
            twins.hand_over(giving, twin.id, ticket.id, message="a twin", now=now)

    with ThreadPoolExecutor() as pool:
        with postgres_store.begin() as deciding:
            outbox.lock(deciding, [first])
            giving = pool.submit(give)
            until_somebody_waits(postgres_store)
            outbox.lock(deciding, [second])
        giving.result(20)
