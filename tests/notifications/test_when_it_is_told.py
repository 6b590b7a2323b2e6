"""What the notifier does when ServiceNow or the store is slow or away, and when all is well again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import time

import pytest
from airflow.sdk import BaseHook
from notifying import dag_of, deliver, failed, from_payload, incidents, of_dag, titles, well, writes

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, DeliveryRefusedError
from airflow_provider_servicenow_dq.notifications import errand, patience
from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier

ONE = ["Task failed: load on etl"]


@pytest.fixture
def short(monkeypatch):
    """Wait for a second where it would be ten."""
    monkeypatch.setattr(patience, "LONGEST_S", 1.0)
    monkeypatch.setattr(errand, "LONGEST_S", 1.0)


@pytest.fixture
def silent():
    """The address of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def remote(monkeypatch):
    """Tasks run on many machines, each of which has a store of its own."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")


def notify(context, **parameters):
    """Notify; return how long that took."""
    began = time.monotonic()
    ServiceNowNotifier(**parameters)(context)
    return time.monotonic() - began


def the_state(sandbox):
    (incident,) = incidents(sandbox)
    return incident["state"]


def notes(sandbox):
    return [note for incident in incidents(sandbox) for note in sandbox.notes(incident["sys_id"])]


def test_ten_seconds_are_the_limit():
    assert patience.LONGEST_S == 10


@pytest.mark.parametrize("times", [1, 3])
def test_an_instance_that_is_down_fails_nothing_and_loses_nothing(sandbox, caplog, times):
    sandbox.fail_next("error_before", count=1000)

    context = failed()
    for _ in range(times):
        notify(context)

    assert titles(sandbox) == []
    assert "servicenow_sync" in caplog.text
    sandbox.service.faults.clear()
    assert deliver()["delivered"] == 1
    assert titles(sandbox) == ONE


def test_nobody_listening_is_an_instance_that_is_down(sandbox, connect, caplog):
    notify(failed())
    connect("http://127.0.0.1:9")

    notify(failed(task_id="other"))

    assert "ServiceNow has not taken everything yet" in caplog.text


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_instance_that_does_not_answer_is_waited_for_no_longer_and_nothing_is_doubled(
    sandbox, short, caplog, when
):
    """What the thread that is left behind does, the outbox knows."""
    sandbox.fail_next("delay", method="POST", seconds=2, when=when)

    assert notify(failed()) < 2

    assert "has not taken everything within 1 s" in caplog.text
    deliver()
    deliver()
    assert titles(sandbox) == ONE
    assert writes(sandbox).count("POST") == 1


def test_an_instance_that_takes_connections_and_is_silent_does_not_hold_up_a_task(
    sandbox, connect, short, silent, caplog
):
    connect(f"http://{silent}", timeout_s=1)

    assert notify(failed()) < 3

    assert "It is written down in the store" in caplog.text


def test_a_store_that_does_not_answer_holds_up_no_task_and_what_may_be_lost_is_said(
    sandbox, short, silent, monkeypatch
):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"postgresql+psycopg2://airflow@{silent}/store")
    began = time.monotonic()

    with pytest.raises(DeliveryPendingError, match=r"task etl\.load: the store has not answered within 1 s"):
        notify(failed())

    assert time.monotonic() - began < 3


def test_a_store_that_cannot_be_opened_is_an_error_that_says_what_is_lost(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "sqlite:////no/such/folder/store.db")

    with pytest.raises(
        DeliveryPendingError, match=r"task etl\.load: there will be no ticket.*cannot be opened"
    ):
        notify(failed())


def test_with_a_store_for_each_machine_what_is_not_delivered_is_an_error(sandbox, remote):
    sandbox.fail_next("error_before", count=1000)

    with pytest.raises(DeliveryPendingError, match=r"nobody may deliver it: name a PostgreSQL"):
        notify(failed())


def test_with_a_store_for_each_machine_what_is_delivered_is_well(sandbox, remote):
    notify(failed())

    assert titles(sandbox) == ONE


def test_what_the_instance_refuses_for_good_is_an_error_in_its_words(sandbox):
    sandbox.configure(abort=("incident",))

    with pytest.raises(DeliveryRefusedError, match=r"aborted by Business Rule.*outbox list --state dead"):
        notify(failed())


def test_a_wrong_password_is_an_error_at_once(sandbox, monkeypatch, connect):
    sandbox.fail_next("unauthorized", count=100)

    with pytest.raises(DeliveryRefusedError, match="401"):
        notify(failed())


def test_of_many_checks_all_are_written_down_before_the_first_is_delivered(sandbox, short):
    sandbox.fail_next("delay", seconds=2, count=1)

    notify(from_payload("sql_column_check"))

    deliver()
    assert len(titles(sandbox)) == 3


def test_a_success_resolves_the_ticket_and_the_next_failure_opens_it_again(sandbox):
    for failing, state in ((True, "1"), (False, "6"), (True, "2"), (False, "6")):
        notify(failed() if failing else well(), resolve_on_success=True)
        assert the_state(sandbox) == state

    assert sum("load on etl passed, and did not fail since" in note for note in notes(sandbox)) == 2


def test_a_success_is_told_once_and_only_where_something_is_open(sandbox):
    notify(failed())
    notify(well(), resolve_on_success=True)
    sandbox.clear_requests()

    notify(well(run_id="next"), resolve_on_success=True)
    notify(well(task_id="never failed"), resolve_on_success=True)

    assert sandbox.requests == []


def test_checks_that_pass_again_are_resolved_one_by_one(sandbox):
    notify(from_payload("sql_column_check"))
    context = from_payload("sql_column_check", run_id="next", state="success") | {"exception": None}
    results = context["task"].check_results
    for result in results:
        result.success = result.success or result.name != "dep_delay.max"
    context["task"].check_results = [result for result in results if result.success]

    notify(context, resolve_on_success=True)

    states = {each["short_description"].split()[0]: each["state"] for each in incidents(sandbox)}
    assert states == {"dep_delay.max": "1", "dep_time.null_check": "6", "tailnum.distinct_check": "6"}


def test_a_dag_that_succeeds_resolves_what_it_told(sandbox, monkeypatch):
    notify(of_dag("timed_out"))

    notify(of_dag("success", run_id="manual__2"), resolve_on_success=True)

    assert the_state(sandbox) == "6"


def test_a_person_who_works_on_the_ticket_in_another_state_keeps_it(sandbox):
    notify(failed())
    (incident,) = incidents(sandbox)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "3", "hold_reason": "1"})

    notify(well(), resolve_on_success=True)

    assert the_state(sandbox) == "3"


def test_where_the_project_counts_passes_one_success_resolves_nothing(sandbox, connect):
    connect(sandbox.url, projects={"default": {"resolve_after": 2}})
    notify(failed())

    notify(well(), resolve_on_success=True)
    notify(well(run_id="next"), resolve_on_success=True)

    assert the_state(sandbox) == "1", "24 hours must be quiet as well"


def test_a_success_while_the_instance_is_down_fails_no_task(sandbox, caplog):
    notify(failed())
    sandbox.fail_next("error_before", count=1000)

    notify(well(), resolve_on_success=True)

    assert "servicenow_sync" in caplog.text
    sandbox.service.faults.clear()
    forget_limits()
    deliver()
    assert the_state(sandbox) == "6"


async def on_a_loop(notifier, ticks):
    """Await a notifier beside something that ticks."""

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    try:
        await notifier
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


DEADLINE = {
    "dag_run": {"dag_id": "etl", "dag_run_id": "scheduled__1"},
    "deadline": {"id": "1", "deadline_time": "2026-01-05T06:00:00Z"},
}


def test_a_missed_deadline_is_told_beside_the_loop_with_connections_awaited_on_it(
    sandbox, monkeypatch, tmp_path
):
    """As the triggerer does it: the class, its parameters and a context of plain JSON."""
    store = f'{{"conn_type": "sqlite", "host": "{tmp_path / "store.db"}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_THE_STORE", store)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "the_store")
    awaited = []
    look_up = BaseHook.aget_connection

    async def remember(conn_id):
        awaited.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(BaseHook, "aget_connection", remember)
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: pytest.fail("it would block the loop"))
    sandbox.fail_next("delay", seconds=0.5, count=1)
    ticks = []

    asyncio.run(on_a_loop(ServiceNowNotifier(context=dict(DEADLINE)), ticks))

    assert titles(sandbox) == ["Deadline missed: etl"]
    (incident,) = incidents(sandbox)
    assert "Run scheduled__1 was not done by 2026-01-05T06:00:00Z" in incident["description"]
    assert set(awaited) == {"servicenow_default", "the_store"}
    assert max(b - a for a, b in itertools.pairwise(ticks)) < 0.4


def test_deadlines_of_later_runs_are_the_same_problem_and_the_same_run_is_told_once(sandbox):
    later = {"dag_run": {"dag_id": "etl", "dag_run_id": "scheduled__2"}, "deadline": {"deadline_time": None}}
    for context in (DEADLINE, DEADLINE, later):
        asyncio.run(on_a_loop(ServiceNowNotifier(context=dict(context)), []))

    assert titles(sandbox) == ["Deadline missed: etl"]
    assert len(notes(sandbox)) == 1


def test_a_loop_is_held_up_no_longer_than_a_task(sandbox, short, caplog):
    sandbox.fail_next("delay", method="POST", seconds=2)
    began = time.monotonic()

    asyncio.run(on_a_loop(ServiceNowNotifier(context=failed()), []))

    assert time.monotonic() - began < 2
    assert "has not taken everything within 1 s" in caplog.text
    deliver()
    assert titles(sandbox) == ONE


def test_a_dag_of_many_failed_tasks_is_told_whole(sandbox, monkeypatch):
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    names = tuple(f"task{number}" for number in range(12))
    answer = staticmethod(lambda *, dag_id, run_ids: {run_ids[0]: dict.fromkeys(names, "failed")})
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", answer)

    notify(of_dag(dag=dag_of(tasks=names)))

    assert len(titles(sandbox)) == 12


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)
