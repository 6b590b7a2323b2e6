"""Whoever reports a problem that has joined a roll-up ticket meanwhile finds it there."""

from __future__ import annotations

import itertools
import threading

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.places import rollup
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store.outbox import Address


def storm(desk, task="storm"):
    anomalies = [anomaly("a", severity="critical"), anomaly("b")]
    return report(desk, *anomalies, task=task, max_new_tickets=1)


def test_what_waited_when_a_roll_up_was_opened_comes_along(desk, sandbox):
    sandbox.fail_next("error_before", method="GET", path="table/incident", count=100)
    assert report(desk, anomaly("b", hour=1), run="early", max_new_tickets=1).pending
    sandbox.service.faults.clear()

    assert actions(storm(desk)) == ["created", "created"]

    (again,) = report(desk, anomaly("b", hour=1), run="early", max_new_tickets=1).results
    assert (again["action"], again["delivered"]) == ("linked", True)
    assert deliver_waiting(desk, Run("sync", "run", "deliver")).delivered == 0
    assert sorted(each["correlation_id"][:9] for each in incidents(sandbox)) == ["dq:custom", "dq:rollup"]


def test_a_report_that_was_given_up_finds_the_roll_up_when_it_is_made_again(desk, sandbox):
    columns = {"assignment_group": "Analytics Support"}
    two_of_that_name = Order(Project(max_new_tickets=1), columns=columns)
    refused = report(desk, anomaly("b", hour=1), run="early", order=two_of_that_name)
    assert "2 records" in refused.failures[0]
    assert actions(storm(desk)) == ["created", "created"]

    again = report(desk, anomaly("b", hour=1), run="early", max_new_tickets=1)

    assert actions(again) == ["noted"]
    assert sorted(each["correlation_id"][:9] for each in incidents(sandbox)) == ["dq:custom", "dq:rollup"]


@pytest.fixture
def meanwhile(monkeypatch):
    """Let somebody else work just before this one goes on with a step."""

    def arrange(place, name, work):
        real = getattr(place, name)

        def interrupted(*args, **options):
            monkeypatch.setattr(place, name, real)
            work()
            return real(*args, **options)

        monkeypatch.setattr(place, name, interrupted)

    return arrange


def test_who_comes_while_the_roll_up_is_about_to_be_opened_joins_it(make_desk, sandbox, meanwhile):
    others = []

    def report_the_same():
        others.append(report(make_desk(), anomaly("b", hour=1), task="other", max_new_tickets=1))

    meanwhile(Crew, "deliver_all", report_the_same)

    storm(make_desk())

    own = [each for each in incidents(sandbox) if each["correlation_id"].startswith("dq:custom:")]
    assert len(own) == 1
    assert len(incidents(sandbox)) == 2
    assert others[0].results[0]["delivered"]


def test_who_comes_just_before_the_roll_up_takes_it_along_is_told_of_it(make_desk, sandbox, meanwhile):
    desk = make_desk()

    def die_after_moving():
        meanwhile(Crew, "deliver_all", _die)
        with pytest.raises(KeyboardInterrupt):
            storm(make_desk())

    def _die():
        raise KeyboardInterrupt

    meanwhile(Crew, "deliver_all", die_after_moving)

    opening = report(desk, anomaly("b", hour=1), task="other", max_new_tickets=1)

    assert opening.results[0]["delivered"]
    assert [each["correlation_id"][:9] for each in incidents(sandbox)] == ["dq:rollup"]


def test_who_opens_the_roll_up_says_so_though_it_lists_somebody_elses_report_first(
    make_desk, sandbox, meanwhile
):
    worst, opened = anomaly("a", severity="critical"), []

    def reach_the_limit_as_well():
        opened.append(report(make_desk(), worst, anomaly("c"), anomaly("d"), task="other", max_new_tickets=1))

    meanwhile(Crew, "deliver_all", reach_the_limit_as_well)

    late = report(make_desk(), worst, anomaly("b"), task="first", max_new_tickets=1)

    assert actions(opened[0]) == ["created", "created", "linked"]
    assert actions(late) == ["unchanged", "unchanged"]
    numbers = {each["ticket"]["ticket_number"] for each in [*opened[0].results, *late.results]}
    assert numbers == {each["number"] for each in incidents(sandbox)}
    assert len(numbers) == 2


def test_what_is_taken_to_a_roll_up_that_had_its_turn_already_is_delivered_too(
    make_desk, sandbox, monkeypatch
):
    report(make_desk(), anomaly("a", severity="critical"), anomaly("z"), max_new_tickets=1)
    roll_up_was_served = threading.Event()
    deliver, deliver_all = Crew.deliver, Crew.deliver_all

    def die(*_, **__):
        raise KeyboardInterrupt

    def move_and_die_before_the_second(crew, address):
        if address.correlation_id.startswith("dq:rollup:"):
            deliver(crew, address)
            roll_up_was_served.set()
            return
        assert roll_up_was_served.wait(30)
        monkeypatch.setattr(Crew, "deliver", deliver)
        monkeypatch.setattr(Crew, "deliver_all", die)
        with pytest.raises(KeyboardInterrupt):
            report(make_desk(), anomaly("b", hour=2), task="storm", max_new_tickets=1)
        monkeypatch.setattr(Crew, "deliver_all", deliver_all)
        deliver(crew, address)

    monkeypatch.setattr(Crew, "deliver", move_and_die_before_the_second)

    opening = report(make_desk(), anomaly("z", hour=1), anomaly("b", hour=1), task="other", max_new_tickets=9)

    assert [result["delivered"] for result in opening.results] == [True, True]
    assert sorted(each["correlation_id"][:9] for each in incidents(sandbox)) == ["dq:custom", "dq:rollup"]


def test_a_report_that_is_moved_again_and_again_is_left_to_the_retry(make_desk, monkeypatch):
    desk = make_desk()
    deliver = Crew.deliver
    homes = (Address(desk.host, "incident", f"dq:rollup:{number:032}") for number in itertools.count())

    def move_before(crew, address):
        with desk.store.begin() as connection:
            waits = [entry.id for entry in outbox.waiting(connection, address)]
            outbox.move(connection, waits, next(homes))
        deliver(crew, address)

    monkeypatch.setattr(Crew, "deliver", move_before)

    opening = report(desk, anomaly("b"))

    assert not opening.results[0]["delivered"]
    assert "moved" in str(opening.pending[0])


def test_of_two_that_reach_the_limit_at_once_the_first_decides_where_to(make_desk, sandbox, meanwhile):
    def another_run():
        anomalies = [anomaly("c", severity="critical"), anomaly("b", hour=1)]
        report(make_desk(), *anomalies, run="other", max_new_tickets=1)

    meanwhile(rollup, "_join", another_run)

    storm(make_desk())

    listing = [
        each
        for each in incidents(sandbox)
        if any(" b on " in text for text in (each["description"], *sandbox.notes(each["sys_id"])))
        or each["short_description"].startswith("b ")
    ]
    assert len(listing) == 1
