"""Instances that ignore the sys_id we choose, and accounts that do not see what they create."""

from __future__ import annotations

import threading
import time

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.desk.delivery import send
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.store import instances, letters


@pytest.fixture
def hardened(sandbox):
    sandbox.configure(admin_only_sys_fields=True)
    return sandbox


def test_what_an_instance_does_with_our_sys_id_is_learned_and_remembered(make_desk, hardened):
    desk = make_desk()

    report(desk, anomaly())

    with desk.store.begin() as connection:
        assert instances.get(connection, desk.host).honours_sys_id is False


def test_a_ticket_is_found_again_by_its_correlation_id(make_desk, hardened):
    report(make_desk("one"), anomaly())

    again = report(make_desk("other"), anomaly(hour=1))

    assert actions(again) == ["unchanged"]
    assert len(incidents(hardened)) == 1


def test_of_twins_the_first_stays_and_the_other_names_it(make_desk, hardened):
    hardened.barrier(2, method="GET", path=r"table/incident\?.*correlation_idIN")
    openings = {}

    def open_it(store):
        openings[store] = report(make_desk(store), anomaly())

    workers = [threading.Thread(target=open_it, args=(store,)) for store in ("one", "other")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    first, *others = sorted(incidents(hardened), key=lambda each: (each["sys_created_on"], each["sys_id"]))
    assert first["state"] == "1"
    assert [other["state"] for other in others] == ["8"] * len(others)
    for other in others:
        assert first["number"] in hardened.notes(other["sys_id"])[0]
    again = report(make_desk("one"), anomaly(hour=1), run="next")
    assert again.results[0]["ticket"]["ticket_number"] == first["number"]


def test_an_account_that_does_not_see_what_it_creates_is_stopped_after_the_first(make_desk, hardened):
    hardened.configure(hidden=("incident",))

    opening = report(make_desk(), *(anomaly(f"check {number}") for number in range(5)))

    assert len(incidents(hardened)) == 1
    assert "nothing more is opened" in " ".join(opening.failures)


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "forbidden_but_done"])
def test_a_lost_create_is_looked_for_before_it_is_repeated(make_desk, hardened, kind):
    desk = make_desk()
    report(desk, anomaly("another"))
    hardened.fail_next(kind, method="POST")

    opening = report(desk, anomaly())

    assert actions(opening) == ["created"]
    assert len(incidents(hardened)) == 2


def test_an_account_that_stays_blind_opens_nothing_more_whoever_tries_again(make_desk, hardened):
    hardened.configure(hidden=("incident",))
    seen = [anomaly(f"check {number}") for number in range(3)]
    report(make_desk(), *seen)

    for run in ("run", "next"):
        opening = report(make_desk(), *seen, anomaly("new"), run=run)
        assert "nothing more is opened" in " ".join(opening.failures)
        assert opening.pending == []

    assert len(incidents(hardened)) == 1
    hardened.configure(hidden=())
    assert actions(report(make_desk(), *seen, run="last"))[1:] == ["created", "created"]
    assert len(incidents(hardened)) == 3


def test_after_a_replay_a_blind_account_tries_again(make_desk, hardened):
    hardened.configure(hidden=("incident",))
    desk = make_desk()
    report(desk, anomaly("one"))
    hardened.configure(hidden=())
    assert "outbox replay 1" in report(desk, anomaly("two")).failures[0]

    with desk.store.begin() as connection:
        letters.replay(connection, [1], now=desk.now())

    assert actions(report(desk, anomaly("two"))) == ["created"]


def twin(hardened, make_desk, monkeypatch, *, after=lambda _: None):
    """Let another store open the same ticket while ours is under way; return both and our opening."""
    real = send.create

    def create_at_the_same_moment(desk, address, write):
        monkeypatch.setattr(send, "create", real)
        report(make_desk("other"), anomaly())
        (first,) = incidents(hardened)
        time.sleep(1.1)  # the instance's clock tells seconds
        after(first)
        return real(desk, address, write)

    monkeypatch.setattr(send, "create", create_at_the_same_moment)
    opening = report(make_desk("ours"), anomaly())
    first, second = sorted(incidents(hardened), key=lambda each: each["sys_created_on"])
    return first, second, opening


def test_what_was_reported_on_the_twin_that_goes_belongs_to_the_one_that_stays(
    make_desk, hardened, monkeypatch
):
    first, second, opening = twin(hardened, make_desk, monkeypatch)

    assert (first["state"], second["state"]) == ("1", "8")
    assert [first["number"] in text for text in hardened.notes(second["sys_id"])] == [True]
    assert actions(opening) == ["unchanged"]
    assert opening.results[0]["ticket"]["ticket_number"] == first["number"]
    assert second["number"] in opening.results[0]["message"]


def test_a_twin_that_somebody_has_worked_on_is_left_and_told_of(make_desk, hardened, monkeypatch):
    hardened.configure(clock_offset_s=0)

    def make_ours_the_first(first):
        # A note by a person: the other one is not ours to cancel any more.
        hardened.act_as("beth.anglin", "incident", first["sys_id"], {"work_notes": "looking into it"})
        hardened.configure(clock_offset_s=-60)

    try:
        ours, touched, opening = twin(hardened, make_desk, monkeypatch, after=make_ours_the_first)
    finally:
        hardened.configure(clock_offset_s=0)

    assert (ours["state"], touched["state"]) == ("1", "1")
    (warning,) = opening.results[0]["warnings"]
    assert touched["number"] in warning
    assert "somebody has worked on it" in warning


@pytest.mark.parametrize("slow_by_s", [0, 60])
def test_a_twin_of_one_that_is_resolved_already_goes_as_well(make_desk, hardened, monkeypatch, slow_by_s):
    def resolve_it(first):
        done = anomaly(status="resolved")
        push_status(make_desk("other"), [done], run=Run("dag", "push", "push"))
        # Ours may look older than the one that was there before it.
        hardened.configure(clock_offset_s=-slow_by_s)

    try:
        both = twin(hardened, make_desk, monkeypatch, after=resolve_it)[:2]
        resolved, gone = sorted(both, key=lambda each: each["state"])
        again = report(make_desk("ours"), anomaly())
    finally:
        hardened.configure(clock_offset_s=0)

    assert (resolved["state"], gone["state"]) == ("6", "8")
    assert [resolved["number"] in text for text in hardened.notes(gone["sys_id"])] == [True]
    assert again.results[0]["ticket"]["ticket_number"] == resolved["number"]


def test_a_successor_is_no_twin_of_the_one_that_it_follows(make_desk, hardened):
    desk = make_desk()
    report(desk, anomaly())
    push_status(desk, [anomaly(status="resolved")], run=Run("dag", "push", "push"))

    report(desk, anomaly(hour=9_000), run="later", on_refire="new")

    assert [each["state"] for each in incidents(hardened)] == ["6", "1"]


def test_a_note_of_our_own_does_not_make_a_twin_look_touched(make_desk, hardened, monkeypatch):
    def note_by_us(first):
        report(make_desk("other"), anomaly(hour=1), run="next")
        hardened.configure(clock_offset_s=-60)

    try:
        ours, noted, _ = twin(hardened, make_desk, monkeypatch, after=note_by_us)
    finally:
        hardened.configure(clock_offset_s=0)

    assert (ours["state"], noted["state"]) == ("1", "8")
    assert len(hardened.notes(noted["sys_id"])) == 2


def test_a_worker_that_dies_before_it_has_looked_for_twins_leaves_none(make_desk, hardened, monkeypatch):
    def die(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        twin(
            hardened,
            make_desk,
            dying,
            after=lambda _: dying.setattr("airflow_provider_servicenow_dq.desk.delivery.twins.find", die),
        )
    assert [each["state"] for each in incidents(hardened)] == ["1", "1"]

    report(make_desk("ours"), anomaly("another problem"))

    states = [each["state"] for each in incidents(hardened)]
    assert sorted(states) == ["1", "1", "8"]


def test_a_lost_answer_to_the_end_of_a_twin_leaves_one_note(make_desk, hardened, monkeypatch):
    def lose_it(_first):
        hardened.fail_next("drop_after", method="PATCH")

    _, second, opening = twin(hardened, make_desk, monkeypatch, after=lose_it)

    assert second["state"] == "8"
    assert len(hardened.notes(second["sys_id"])) == 1
    assert opening.failures == []
