"""What the store remembers of tickets, their notes and links, and of anomalies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, instances, schema, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting


@pytest.fixture
def add(store, address, now):
    """Remember a ticket, by the letter that its sys_id is made of."""

    def add_one(letter, state="1", created="2026-01-05 12:00:00", at=address, **facts):
        record = {"sys_id": letter * 32, "number": f"INC{letter}", "state": state, "sys_created_on": created}
        standing = {
            "created_by_us": True,
            "opened_in": "dag/run",
            "adopted_in": None,
            "seen": 1,
            "seen_at_note": 1,
            "noted_at": now,
            "severity": "high",
            "changed_at": now,
        }
        with store.begin() as connection:
            return tickets.add(connection, at, record, **{"made": False, **standing, **facts})

    return add_one


def numbers_at(store, address):
    with store.begin() as connection:
        return [ticket.number for ticket in tickets.at(connection, [address]).get(address, [])]


def test_a_ticket_is_remembered_as_the_instance_has_it(add, address, now):
    ticket = add("a")

    assert (ticket.number, ticket.state, ticket.sys_id, ticket.address) == ("INCa", "1", "a" * 32, address)
    assert (ticket.noted_at, ticket.changed_at) == (now, now)
    assert ticket.record["sys_created_on"] == "2026-01-05 12:00:00"


def test_an_open_ticket_comes_first_then_the_newest(store, add, address):
    add("a", state="6", created="2026-01-03 00:00:00")
    add("b", state="1", created="2026-01-02 00:00:00")
    add("c", state="8", created="2026-01-04 00:00:00")
    add("d", state="2", created="2026-01-01 00:00:00")

    assert numbers_at(store, address) == ["INCb", "INCd", "INCc", "INCa"]


@pytest.mark.parametrize("state", ["6", "7", "8", tickets.UNKNOWN])
def test_nobody_works_on_a_ticket_that_is_resolved_closed_canceled_or_unknown(add, state):
    assert not tickets.is_open(add("a", state=state))


@pytest.mark.parametrize("state", ["1", "2", "3", "-5", "waiting for vendor"])
def test_a_state_that_a_customer_made_up_counts_as_open(add, state):
    assert tickets.is_open(add("a", state=state))


def test_tickets_are_found_at_their_own_addresses_only(store, add, address):
    second = address._replace(correlation_id="dq:custom:" + "b" * 32)
    third = address._replace(correlation_id="dq:custom:" + "c" * 32)
    add("a")
    add("b", at=second)
    add("c", at=address._replace(instance="other"))
    add("d", at=address._replace(table="problem"))

    with store.begin() as connection:
        found = tickets.at(connection, [address, second, third])

    assert {place: [ticket.number for ticket in there] for place, there in found.items()} == {
        address: ["INCa"],
        second: ["INCb"],
    }


def test_a_ticket_that_is_found_again_keeps_what_we_counted(add):
    first = add("a", seen=7, opened_in="dag/run")

    again = add("a", state="2", seen=0, opened_in=None, adopted_in="dag/next")

    assert (again.id, again.state) == (first.id, "2")
    assert (again.seen, again.opened_in, again.adopted_in) == (7, "dag/run", None)


def test_a_changed_record_brings_number_and_state_along_and_keeps_the_rest(store, add, address):
    ticket = add("a")

    with store.begin() as connection:
        tickets.change(connection, ticket, record={"state": "2"}, seen=2)
        (now_there,) = tickets.at(connection, [address])[address]

    assert (now_there.state, now_there.number, now_there.seen) == ("2", "INCa", 2)
    assert now_there.record["sys_created_on"] == "2026-01-05 12:00:00"


def test_known_notes_are_counted_by_text_and_ticket(store, add):
    first, second = add("a"), add("b")

    with store.begin() as connection:
        tickets.know_notes(connection, first.id, {"one": 1, "two": 2})
        # Whoever finds them there again does not find more of them.
        tickets.know_notes(connection, first.id, {"one": 3})
        tickets.know_notes(connection, second.id, {})
        tickets.know_note(connection, first.id, "one")
        tickets.know_note(connection, first.id, "three")

        assert tickets.known_notes(connection, first.id) == {"one": 2, "two": 2, "three": 1}
        assert tickets.known_notes(connection, second.id) == {}


def test_a_note_from_before_this_store_takes_the_place_of_one_delivery(store, add):
    ticket = add("a")

    with store.begin() as connection:
        tickets.know_notes(connection, ticket.id, {"before": 2})
        tickets.know_note(connection, ticket.id, "ours")

        assert [tickets.claim_note(connection, ticket.id, "before") for _ in range(3)] == [True, True, False]
        assert not tickets.claim_note(connection, ticket.id, "ours")
        assert tickets.known_notes(connection, ticket.id) == {"before": 2, "ours": 1}


def test_an_anomaly_is_linked_to_a_ticket_once(store, add, now):
    ticket = add("a")

    with store.begin() as connection:
        tickets.link(connection, ticket.id, ["k1", "k2", "k1"], now=now)
        tickets.link(connection, ticket.id, ["k2", "k3"], now=now + timedelta(hours=1))

        assert tickets.members(connection, ticket.id) == {"k1", "k2", "k3"}
        times = connection.execute(sa.select(schema.link.c.key, schema.link.c.linked_at)).all()
    assert {key: at - now for key, at in times}["k2"] == timedelta(0)


def test_an_anomalys_ticket_is_the_open_one_of_those_it_is_linked_to_then_the_newest(
    store, add, address, now
):
    old = add("a", state="7", created="2026-01-01 00:00:00")
    new = add("b", state="7", created="2026-01-02 00:00:00")
    elsewhere = add("c", at=address._replace(instance="other"))
    with store.begin() as connection:
        for ticket in (old, new, elsewhere):
            tickets.link(connection, ticket.id, ["k1"], now=now)
        tickets.link(connection, old.id, ["k2"], now=now)

        found = tickets.of_keys(connection, ["k1", "k2", "k3"], instance=address.instance, table="incident")

    assert {key: ticket.number for key, ticket in found.items()} == {"k1": "INCb", "k2": "INCa"}


def test_a_runs_new_tickets_are_counted_without_the_roll_up(store, add, address):
    add("a")
    add("b", opened_in="dag/other")
    add("c", opened_in=None)
    add("d", at=address._replace(correlation_id="dq:rollup:" + "d" * 32))
    add("e", at=address._replace(instance="other"))

    with store.begin() as connection:
        assert tickets.opened_in(connection, "dag/run", instance=address.instance, besides="dq:rollup:") == 1


def test_what_is_learned_of_an_instance_adds_up(store):
    with store.begin() as connection:
        assert instances.get(connection, "acme") == instances.Instance("acme")
        instances.learn(connection, "acme", honours_sys_id=False)
        instances.learn(connection, "acme", conn_id="servicenow_default")

        assert instances.get(connection, "acme") == instances.Instance("acme", False, "servicenow_default")


def anomaly(**fields):
    return Anomaly(
        **{"source": "custom", "dataset": "nyc.flights", "check_name": "dep_time not null", **fields}
    )


def test_an_anomaly_keeps_its_first_and_newest_time_and_its_newest_content(store, now):
    later = now + timedelta(hours=1)
    with store.begin() as connection:
        anomalies.remember(connection, [Sighting("k", "at:1", anomaly(severity="low"))], now=now)
        anomalies.remember(connection, [Sighting("k", "at:2", anomaly(severity="high"))], now=later)
        row = connection.execute(sa.select(schema.anomaly)).one()

    assert (row.first_seen_at, row.last_seen_at, row.severity) == (now, later, "high")
    assert Anomaly.model_validate(row.content) == anomaly(severity="high")


def test_an_occurrence_is_remembered_once_with_its_first_time(store, now):
    sighting = Sighting("k", "at:1", anomaly(detected_at=now))
    with store.begin() as connection:
        anomalies.remember(connection, [sighting, sighting], now=now)
        anomalies.remember(connection, [sighting], now=now + timedelta(hours=1))
        row = connection.execute(sa.select(schema.occurrence)).one()

    assert (row.detected_at, row.recorded_at) == (now, now)


def test_of_several_reports_of_an_anomaly_at_once_the_last_is_kept(store, now):
    sightings = [Sighting("k", f"at:{hour}", anomaly(observed=str(hour))) for hour in range(3)]
    with store.begin() as connection:
        anomalies.remember(connection, sightings, now=now)
        content = connection.execute(sa.select(schema.anomaly.c.content)).scalar_one()
        occurrences = connection.execute(
            sa.select(sa.func.count()).select_from(schema.occurrence)
        ).scalar_one()

    assert (content["observed"], occurrences) == ("2", 3)


@pytest.mark.parametrize("hours", [-5, 0, 9])
def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store, hours):
    given = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=hours)))
    with store.begin() as connection:
        anomalies.remember(connection, [Sighting("k", "at:1", anomaly())], now=given)
        kept = connection.execute(sa.select(schema.anomaly.c.first_seen_at)).scalar_one()

    assert kept == given
    assert kept.tzinfo is UTC


def test_a_ticket_that_a_look_came_across_before_we_knew_that_we_made_it_is_ours(add):
    add("a", adopted_in="run", opened_in=None, seen=0)

    made = add("a", made=True, adopted_in=None, opened_in="run", seen=1)

    assert (made.adopted_in, made.opened_in, made.seen) == (None, "run", 1)
