"""Processes that report overlapping problems at once, each in an order of its own, over one store."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import subprocess
import sys
from collections import Counter

import pytest
from reporting import actions, anomaly, incidents, report

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.store.store import Store

pytestmark = pytest.mark.heavy

PROCESSES = 6
PROBLEMS = 24
ROUNDS = 3


@pytest.fixture
def instance():
    """A sandbox in a process of its own: a fork must not copy a running server."""
    start = "from airflow_provider_servicenow_dq.cli import main; main(['sandbox', '--port', '0'])"
    command = [sys.executable, "-u", "-c", start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+", process.stdout.readline()).group()
        yield SandboxControl(address)
        process.terminate()


def report_in_rounds(instance_url, store_url, most, barrier, results, number):
    order = random.Random(number)  # noqa: S311 (an order, no secret)
    config = InstanceConfig(instance_url, login="svc_airflow", password="airflow-secret", timeout_s=30)
    told = []
    with Transport(config) as transport:
        table_api = TableApi(transport)
        desk = Desk(config, table_api, Names(table_api), Store(store_url))
        for hour in range(ROUNDS):
            seen = order.sample(range(PROBLEMS), PROBLEMS * 3 // 4)
            barrier.wait()
            # Who meets the others at one ticket for too long is sent back, and tries again as in Airflow.
            for _ in range(5):
                opening = report(
                    desk,
                    *[anomaly(f"check {each}", hour=hour) for each in seen],
                    run=f"run {hour}",
                    task=f"task {number}",
                    max_new_tickets=most,
                )
                if not opening.pending:
                    break
            done = zip([f"check {each}" for each in seen], actions(opening), opening.results, strict=True)
            told += [(check, act, result["ticket"]["ticket_number"]) for check, act, result in done]
            assert opening.failures == []
    (results / f"{number}.json").write_text(json.dumps(told))


@pytest.mark.parametrize("most", [PROBLEMS, 5], ids=["a ticket each", "most in a roll-up ticket"])
def test_whoever_reports_what_in_whatever_order_each_problem_has_one_ticket(
    instance, store_url, tmp_path, most
):
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(PROCESSES, timeout=120)
    work = (instance.url, store_url(), most, barrier, tmp_path)
    processes = [fork.Process(target=report_in_rounds, args=(*work, number)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=240)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    told = [each for path in tmp_path.glob("*.json") for each in json.loads(path.read_text())]
    opened = incidents(instance)
    assert {number for _, _, number in told} == {each["number"] for each in opened}
    assert {check: len({n for c, _, n in told if c == check}) for check, _, _ in told} == dict.fromkeys(
        {check for check, _, _ in told}, 1
    )
    assert Counter(number for _, act, number in told if act == "created") == dict.fromkeys(
        (each["number"] for each in opened), 1
    )
    for each in opened:
        notes = instance.notes(each["sys_id"])
        assert len(notes) == len(set(notes))
