"""What waits is delivered later, by whoever comes: each thing once, in order, nobody's work taken away."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.store import claims, letters, outbox

LATER = Run("deliver", "later", "deliver")
POISON = ("incident when short_descriptionLIKEpoison",)


def states(desk):
    with desk.store.begin() as connection:
        counted = letters.count_by_state(connection)
    return {state: number for state, number in counted.items() if number}


def report_in_vain(desk, sandbox, *anomalies, **details):
    sandbox.fail_next("error_before", count=10_000)
    assert report(desk, *anomalies, **details).failures
    sandbox.reset()


def test_a_create_and_the_notes_behind_it_arrive_in_their_order(desk, sandbox):
    report_in_vain(desk, sandbox, anomaly(hour=0))
    report_in_vain(desk, sandbox, anomaly(hour=1), run="second")

    clearing = deliver_waiting(desk, LATER)

    assert (clearing.delivered, clearing.causes) == (2, [])
    (incident,) = incidents(sandbox)
    assert len(sandbox.notes(incident["sys_id"])) == 1
    assert states(desk) == {"done": 2}
    sandbox.clear_requests()
    assert deliver_waiting(desk, LATER).delivered == 0
    assert sandbox.requests == []


def test_what_a_dead_worker_left_in_doubt_is_found_and_not_sent_again(desk, sandbox):
    report(desk, anomaly("known"))
    sandbox.fail_next("drop_after", method="POST")
    sandbox.fail_next("error_before", method="GET", skip=2, count=10)
    assert report(desk, anomaly()).failures
    assert states(desk) == {"done": 1, "sending": 1}
    sandbox.service.faults.clear()
    sandbox.clear_requests()

    assert deliver_waiting(desk, LATER).delivered == 1

    assert len(incidents(sandbox)) == 2
    assert writes(sandbox) == []


def test_a_ticket_that_somebody_works_on_is_waited_for_and_the_others_are_not_held_up(make_desk, sandbox):
    desk = make_desk()
    report_in_vain(desk, sandbox, anomaly("one"), anomaly("two"))
    with desk.store.begin() as connection:
        first = outbox.by_ids(connection, [1])[1].address
        claim = claims.take(connection, first, now=desk.now(), lease=timedelta(seconds=30))

    opened_meanwhile = []

    def finish():
        for _ in range(200):
            if incidents(sandbox):
                break
            time.sleep(0.05)
        opened_meanwhile.extend(record["short_description"] for record in incidents(sandbox))
        with desk.store.begin() as connection:
            claims.release(connection, claim)

    holder = threading.Thread(target=finish)
    holder.start()
    clearing = deliver_waiting(desk, LATER)
    holder.join()

    assert opened_meanwhile == ["two failed on nyc.flights"]
    assert (clearing.delivered, clearing.causes) == (2, [])
    assert len(incidents(sandbox)) == 2


def test_more_than_one_batch_is_delivered_and_only_what_was_there_at_the_beginning(
    desk, sandbox, monkeypatch
):
    monkeypatch.setattr("airflow_provider_servicenow_dq.desk.clear._AT_ONCE", 3)
    report_in_vain(desk, sandbox, *(anomaly(f"check {number}") for number in range(10)))

    assert deliver_waiting(desk, LATER).delivered == 10

    assert len(incidents(sandbox)) == 10


def test_an_instance_that_is_down_is_not_asked_for_every_ticket(desk, sandbox, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.desk.clear._AT_ONCE", 3)
    report_in_vain(desk, sandbox, *(anomaly(f"check {number}") for number in range(10)))
    sandbox.fail_next("error_before", count=10_000)

    clearing = deliver_waiting(desk, LATER)

    assert clearing.delivered == 0
    assert not clearing.refused
    assert len(sandbox.requests) <= 5


def test_a_create_in_doubt_keeps_its_place_when_the_rest_joins_a_roll_up(desk, sandbox):
    report(desk, anomaly("known"))
    sandbox.fail_next("drop_before", method="POST")
    sandbox.fail_next("error_before", method="GET", skip=2, count=10)
    assert report(desk, anomaly("late"), max_new_tickets=9).failures
    assert states(desk) == {"done": 1, "sending": 1}
    sandbox.service.faults.clear()

    more = [anomaly(f"check {number}") for number in range(3)]
    while report(desk, anomaly("late"), *more, max_new_tickets=1).failures:
        time.sleep(0.3)

    opened = incidents(sandbox)
    assert len(opened) == 3
    assert sum("late failed" in record["short_description"] for record in opened) == 1
    assert states(desk) == {"done": 5}


def test_followers_of_a_refused_create_are_blocked_and_go_on_when_it_is_replayed(desk, sandbox):
    sandbox.configure(abort=POISON)
    many = [anomaly(f"check {number}", dataset="poison", message="m" * 200) for number in range(60)]
    first = report(desk, *many, group_by="dataset")
    assert first.failures
    assert report(desk, anomaly("fine")).failures == []
    counted = states(desk)
    assert (counted["dead"], counted["done"]) == (60, 1)
    assert counted["blocked"] > 0, "the further pages of the list wait for their ticket"

    sandbox.configure(abort=())
    with desk.store.begin() as connection:
        answers = letters.replay(connection, letters.dead_ids(connection), now=desk.now())
    assert all(answer.done for answer in answers)
    clearing = deliver_waiting(desk, LATER)

    assert clearing.causes == []
    assert states(desk).keys() == {"done"}
    (incident,) = [each for each in incidents(sandbox) if "poison" in each["short_description"]]
    assert len(sandbox.notes(incident["sys_id"])) == counted["blocked"]


def test_a_discarded_report_is_not_sent_when_it_is_reported_again(desk, sandbox):
    sandbox.configure(abort=POISON)
    report(desk, anomaly("poison"))
    with desk.store.begin() as connection:
        (answer,) = letters.discard(connection, [1], now=desk.now())
    assert answer.done
    sandbox.configure(abort=())
    sandbox.clear_requests()

    report(desk, anomaly("poison"))

    assert writes(sandbox) == []
    assert states(desk) == {"discarded": 1}
    # The next time that it is seen is another report.
    assert actions(report(desk, anomaly("poison", hour=1))) == ["created"]


def test_what_was_given_up_and_arrived_all_the_same_is_known_when_it_is_replayed(desk, sandbox):
    report(desk, anomaly("known"))
    sandbox.fail_next("forbidden_but_done", method="POST")
    sandbox.configure(hidden=("incident when short_descriptionLIKEpoison",))
    report(desk, anomaly("poison"))
    assert states(desk) == {"done": 1, "dead": 1}

    sandbox.configure(hidden=())
    with desk.store.begin() as connection:
        letters.replay(connection, letters.dead_ids(connection), now=desk.now())
    sandbox.clear_requests()
    clearing = deliver_waiting(desk, LATER)

    assert (clearing.delivered, writes(sandbox)) == (1, [])
    assert len(incidents(sandbox)) == 2


def test_what_a_run_recorded_on_an_older_ticket_is_not_noted_by_whoever_delivers_it(
    make_desk, sandbox, monkeypatch
):
    report(make_desk("lost"), anomaly())
    desk = make_desk()

    def die(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("airflow_provider_servicenow_dq.desk.crew.Crew.deliver_all", die)
        with pytest.raises(KeyboardInterrupt):
            report(desk, anomaly(), anomaly(hour=1))

    deliver_waiting(desk, LATER)

    assert states(desk) == {"done": 2}
    assert sandbox.notes(incidents(sandbox)[0]["sys_id"]) == []
    assert actions(report(desk, anomaly(hour=2), run="next")) == ["unchanged"]
    assert actions(report(desk, anomaly(hour=3), run="later")) == ["noted"]
