"""Leases: one worker at a time on a ticket, and whoever lost one can write nothing."""

from __future__ import annotations

import multiprocessing
import random
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_servicenow_dq.store import claims, schema
from airflow_provider_servicenow_dq.store.claims import Claim
from airflow_provider_servicenow_dq.store.store import Store

_fork = multiprocessing.get_context("fork")

LEASE = timedelta(seconds=60)


@pytest.fixture
def take(store, address, now):
    """Try to take a ticket, some seconds after noon."""

    def take_one(seconds=0, at=address):
        with store.begin() as connection:
            return claims.take(connection, at, now=now + timedelta(seconds=seconds), lease=LEASE)

    return take_one


@pytest.fixture
def renew(store, now):
    def renew_one(claim, seconds):
        with store.begin() as connection:
            return claims.renew(connection, claim, now=now + timedelta(seconds=seconds), lease=LEASE)

    return renew_one


@pytest.fixture
def holds(store):
    def ask(claim):
        with store.begin() as connection:
            return claims.holds(connection, claim)

    return ask


@pytest.fixture
def release(store):
    def give_back(claim):
        with store.begin() as connection:
            claims.release(connection, claim)

    return give_back


def test_a_free_ticket_is_taken_for_the_length_of_the_lease(take, holds, address, now):
    claim = take()

    assert isinstance(claim, Claim)
    assert (claim.address, claim.leased_until) == (address, now + LEASE)
    assert holds(claim)


def test_the_second_taker_is_told_until_when_to_wait(take, now):
    take()

    assert take(seconds=1) == now + LEASE


def test_another_ticket_another_table_and_another_instance_are_free(take, address):
    take()

    for other in (
        address._replace(correlation_id="dq:custom:" + "b" * 32),
        address._replace(table="problem"),
        address._replace(instance="other"),
    ):
        assert isinstance(take(at=other), Claim)


def test_a_released_ticket_is_free_at_once(take, release):
    release(take())

    assert isinstance(take(seconds=1), Claim)


def test_an_expired_lease_still_holds_until_somebody_takes_it(take, holds, renew):
    claim = take()

    assert holds(claim)
    assert renew(claim, 61).leased_until == claim.leased_until + timedelta(seconds=61)


def test_an_expired_lease_is_taken_over(take, holds):
    old = take()

    new = take(seconds=60)

    assert isinstance(new, Claim)
    assert (holds(old), holds(new)) == (False, True)


def test_whoever_lost_the_ticket_cannot_get_it_back_by_renewing(take, renew, holds, now):
    old = take()
    new = take(seconds=61)

    assert renew(old, 62) is None
    assert holds(new)
    assert take(seconds=63) == now + timedelta(seconds=61) + LEASE


def test_the_release_of_a_lost_ticket_leaves_it_with_its_new_holder(take, release, holds):
    old = take()
    new = take(seconds=61)

    release(old)

    assert holds(new)
    assert not isinstance(take(seconds=62), Claim)


def test_a_renewed_lease_keeps_others_away_for_longer(take, renew, now):
    claim = take()

    renewed = renew(claim, 30)

    assert renewed == Claim(claim.address, claim.token, now + timedelta(seconds=30) + LEASE)
    assert take(seconds=61) == renewed.leased_until


def test_a_claim_that_was_never_in_the_store_holds_nothing(holds, address, now):
    assert not holds(Claim(address, "t" * 32, now + LEASE))


def _take(url, barrier, address, now, tokens):
    store = Store(url)
    barrier.wait()
    with store.begin() as connection:
        taken = claims.take(connection, address, now=now, lease=LEASE)
    tokens.put(taken.token if isinstance(taken, Claim) else None)


def test_of_eight_processes_that_want_a_ticket_one_gets_it(url, store, address, now):
    barrier, tokens = _fork.Barrier(8, timeout=30), _fork.SimpleQueue()
    crowd = [_fork.Process(target=_take, args=(url, barrier, address, now, tokens)) for _ in range(8)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()

    assert [process.exitcode for process in crowd] == [0] * 8
    got = [tokens.get() for _ in crowd]
    assert sum(token is not None for token in got) == 1


def test_nobody_waits_for_who_is_writing_an_outcome(postgres_store, impatient, address, now):
    with postgres_store.begin() as connection:
        claim = claims.take(connection, address, now=now, lease=LEASE)

    later = now + 2 * LEASE
    with postgres_store.begin() as writing:
        assert claims.holds(writing, claim)

        assert claims.take(impatient, address, now=later, lease=LEASE) == claim.leased_until

    assert isinstance(claims.take(impatient, address, now=later, lease=LEASE), Claim)


def test_nobody_waits_for_who_is_leasing_again_or_giving_back(postgres_store, impatient, address, now):
    with postgres_store.begin() as connection:
        claim = claims.take(connection, address, now=now, lease=LEASE)

    with postgres_store.begin() as writing:
        claims.renew(writing, claim, now=now + LEASE, lease=LEASE)
        assert claims.take(impatient, address, now=now + LEASE, lease=LEASE) == claim.leased_until
    with postgres_store.begin() as writing:
        claims.release(writing, claim)
        assert claims.take(impatient, address, now=now, lease=LEASE) == claim.leased_until + LEASE


def test_a_claim_that_was_pruned_while_it_was_looked_at_is_free_at_once(
    postgres_store, impatient, address, now, monkeypatch
):
    with postgres_store.begin() as connection:
        claims.release(connection, claims.take(connection, address, now=now, lease=LEASE))
    real = type(impatient).execute

    def pruned_after_the_first_look(self, statement, *args, **options):
        answer = real(self, statement, *args, **options)
        if self is impatient:
            monkeypatch.undo()
            with postgres_store.begin() as connection:
                connection.execute(schema.claim.delete())
        return answer

    monkeypatch.setattr(type(impatient), "execute", pruned_after_the_first_look)

    assert claims.take(impatient, address, now=now, lease=LEASE) == now
    assert isinstance(claims.take(impatient, address, now=now, lease=LEASE), Claim)


def _work_on_all(url, barrier, addresses, seed, held, overlaps):
    store = Store(url)
    barrier.wait()
    random.Random(seed).shuffle(addresses)  # noqa: S311 (an order, no secret)
    for address in addresses:
        taken = None
        while not isinstance(taken, Claim):
            with store.begin() as connection:
                taken = claims.take(connection, address, now=datetime.now(UTC), lease=LEASE)
        number = int(address.correlation_id)
        # Shared memory sees what the database promises: nobody else is between these lines.
        held[number] += 1
        with store.begin() as connection:
            assert claims.holds(connection, taken)
        overlaps.value += held[number] != 1
        held[number] -= 1
        with store.begin() as connection:
            claims.release(connection, taken)


def test_of_eight_processes_one_at_a_time_works_on_each_of_fifty_tickets(url, address):
    addresses = [address._replace(correlation_id=str(number)) for number in range(50)]
    barrier, held, overlaps = _fork.Barrier(8, timeout=30), _fork.RawArray("i", 50), _fork.RawValue("i")
    crowd = [
        _fork.Process(target=_work_on_all, args=(url, barrier, list(addresses), seed, held, overlaps))
        for seed in range(8)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()

    assert [process.exitcode for process in crowd] == [0] * 8
    assert overlaps.value == 0
