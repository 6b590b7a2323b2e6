"""What the notifier does when ServiceNow or the store is slow or away."""

from __future__ import annotations

import socket
import time

import pytest
from notifying import dag_of, deliver, failed, from_payload, notify, of_dag, titles, writes

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, DeliveryRefusedError
from airflow_provider_servicenow_dq.notifications import patience

ONE = ["Task failed: load on etl"]


@pytest.fixture
def silent():
    """The address of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def remote(monkeypatch):
    """Tasks run on many machines, each of which has a store of its own."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")


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


def test_a_dag_of_many_failed_tasks_is_told_whole(sandbox, monkeypatch):
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    names = tuple(f"task{number}" for number in range(12))
    answer = staticmethod(lambda *, dag_id, run_ids: {run_ids[0]: dict.fromkeys(names, "failed")})
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", answer)

    notify(of_dag(dag=dag_of(tasks=names)))

    assert len(titles(sandbox)) == 12
