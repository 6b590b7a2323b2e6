"""A ticket has one at a time who works on it: whoever lost it writes no outcome, and order is kept."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from reporting import anomaly, incidents, report
from worlds import PausedApi, World, desk_at, sandbox_process

from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.desk import deliver as delivery
from airflow_provider_servicenow_dq.desk.deliver import deliver
from airflow_provider_servicenow_dq.desk.delivery.claimed import LeaseLostError
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store.outbox import Address, Entry

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk

FORK = multiprocessing.get_context("fork")
TIMEOUT_S = 1.0
TEXTS = [f"note {number}" for number in range(8)]


def record(desk: Desk, sandbox, texts=TEXTS) -> Address:
    """Open a ticket and write notes for it down."""
    report(desk, anomaly())
    (incident,) = incidents(sandbox)
    address = Address(desk.host, "incident", incident["correlation_id"])
    drafts = [outbox.Draft(address, f"note|{text}", outbox.NOTE, {"text": text}) for text in texts]
    with desk.store.begin() as connection:
        outbox.record(connection, drafts, recorded_by="somebody", now=desk.now())
    return address


def notes(sandbox) -> list[str]:
    (incident,) = incidents(sandbox)
    return sandbox.notes(incident["sys_id"])


def entries(desk: Desk) -> list[Entry]:
    """Return the notes in the outbox; the report that opened the ticket came before them."""
    with desk.store.begin() as connection:
        return [each for _, each in sorted(outbox.by_ids(connection, range(1, 50)).items())][1:]


def deliver_until_done(desk: Desk, address: Address, deadline: float) -> None:
    while time.time() < deadline:
        try:
            if not list(deliver(desk, address, run="run")):
                return
        except DeliveryPendingError as error:
            time.sleep(min(error.retry_after or 0.1, 1))
    raise AssertionError("not done in time")


def deliver_in_a_child(url: str, store: str, address: Address, start) -> None:
    desk = desk_at(url, store, timeout_s=10)
    start.wait(30)
    deliver_until_done(desk, address, time.time() + 60)


@pytest.mark.parametrize("fault", [None, "drop_after", "error_after"])
def test_threads_that_deliver_to_one_ticket_keep_its_order_and_send_each_note_once(store_url, fault):
    with World(store_url, timeout_s=TIMEOUT_S) as world:
        address = record(world.desk(), world.sandbox)
        if fault:
            world.sandbox.fail_next(fault, method="PATCH", skip=3)
        start = threading.Barrier(4)

        def work(desk: Desk) -> None:
            start.wait(30)
            deliver_until_done(desk, address, time.time() + 60)

        workers = [threading.Thread(target=work, args=(world.desk(),)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert notes(world.sandbox) == TEXTS
        assert {entry.state for entry in entries(world.desk())} == {"done"}


def test_processes_that_deliver_to_one_ticket_keep_its_order_and_send_each_note_once(store_url):
    with sandbox_process() as sandbox:
        store = store_url("store")
        desk = desk_at(sandbox.url, store, timeout_s=10)
        address = record(desk, sandbox)
        start = FORK.Event()
        workers = [
            FORK.Process(target=deliver_in_a_child, args=(sandbox.url, store, address, start))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        start.set()
        for worker in workers:
            worker.join(90)

        assert [worker.exitcode for worker in workers] == [0] * 4
        assert notes(sandbox) == TEXTS
        assert [entry.attempts for entry in entries(desk)] == [1] * len(TEXTS)
        desk.store.close()


@pytest.mark.parametrize("kind", ["drop_after", "delay"])
def test_who_takes_over_while_a_request_hangs_writes_its_outcome_and_the_first_one_does_not(store_url, kind):
    with World(store_url, timeout_s=TIMEOUT_S) as world:
        first, second = world.desk(api=PausedApi), world.desk()
        address = record(first, world.sandbox, ["one", "two"])
        first.table_api.stops.set()
        world.sandbox.fail_next(kind, method="PATCH")
        lost: list[BaseException] = []

        def work() -> None:
            try:
                list(deliver(first, address, run="run"))
            except LeaseLostError as error:
                lost.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        assert first.table_api.stopped.wait(30)
        deliver_until_done(second, address, time.time() + 60)
        before = entries(second)
        first.table_api.goes_on.set()
        worker.join()

        assert notes(world.sandbox) == ["one", "two"]
        assert len(lost) == 1
        assert entries(second) == before
        assert [(entry.state, entry.attempts) for entry in before] == [("done", 1), ("done", 1)]


class StopsAfterItsWrite(TableApi):
    """The process stops, as under a debugger or in a frozen container, right after a write was answered."""

    def update(self, table, sys_id, values):
        record = super().update(table, sys_id, values)
        os.kill(os.getpid(), signal.SIGSTOP)
        return record


def stop_before_the_write() -> None:
    """Let this process stop when it has written down that it sends, and has not sent yet."""
    real = delivery._Delivery.handle

    def handle(self, sending):
        if not sending.left_behind:
            os.kill(os.getpid(), signal.SIGSTOP)
        real(self, sending)

    delivery._Delivery.handle = handle


def deliver_and_stop(url: str, store: str, address: Address, where: str) -> None:
    """Exit with 3 if the lease was lost, with 0 if everything was delivered."""
    if where == "before":
        stop_before_the_write()
    api = StopsAfterItsWrite if where == "after" else TableApi
    try:
        list(deliver(desk_at(url, store, timeout_s=TIMEOUT_S, api=api), address, run="run"))
    except LeaseLostError:
        os._exit(3)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_process_that_stood_still_longer_than_its_lease_sends_nothing_and_writes_no_outcome(
    store_url, where
):
    with sandbox_process() as sandbox:
        store = store_url("store")
        desk = desk_at(sandbox.url, store, timeout_s=TIMEOUT_S)
        address = record(desk, sandbox, ["one", "two"])
        child = FORK.Process(target=deliver_and_stop, args=(sandbox.url, store, address, where))
        child.start()
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        try:
            deliver_until_done(desk, address, time.time() + 60)
            before = entries(desk)
        finally:
            os.kill(child.pid, signal.SIGCONT)
        child.join(30)

        assert child.exitcode == 3
        assert notes(sandbox) == ["one", "two"]
        assert entries(desk) == before
        assert {entry.state for entry in before} == {"done"}
        desk.store.close()


def test_a_process_that_stood_still_and_kept_its_ticket_sends_what_it_had_not_sent(store_url):
    with sandbox_process() as sandbox:
        store = store_url("store")
        desk = desk_at(sandbox.url, store, timeout_s=TIMEOUT_S)
        address = record(desk, sandbox, ["one"])
        child = FORK.Process(target=stop_once_and_deliver, args=(sandbox.url, store, address))
        child.start()
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        time.sleep(3 * TIMEOUT_S)
        os.kill(child.pid, signal.SIGCONT)
        child.join(30)

        assert child.exitcode == 0
        assert notes(sandbox) == ["one"]
        assert [(entry.state, entry.attempts) for entry in entries(desk)] == [("done", 1)]
        desk.store.close()


def stop_once_and_deliver(url: str, store: str, address: Address) -> None:
    real = delivery._Delivery.handle

    def handle(self, sending):
        delivery._Delivery.handle = real
        os.kill(os.getpid(), signal.SIGSTOP)
        real(self, sending)

    delivery._Delivery.handle = handle
    list(deliver(desk_at(url, store, timeout_s=TIMEOUT_S), address, run="run"))
