"""Instances that ignore the sys_id we choose, and accounts that do not see what they create."""

from __future__ import annotations

import threading

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.store import instances


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
