"""Twenty forked processes that see the same problem at the same moment."""

from __future__ import annotations

import json
import multiprocessing
import re
import subprocess
import sys

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

PROCESSES = 20


@pytest.fixture
def instance():
    """A sandbox in a process of its own: a fork must not copy a running server."""
    start = "from airflow_provider_servicenow_dq.cli import main; main(['sandbox', '--port', '0'])"
    command = [sys.executable, "-u", "-c", start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+", process.stdout.readline()).group()
        yield SandboxControl(address)
        process.terminate()


def open_at_once(url, store, results, number):
    config = InstanceConfig(url, login="svc_airflow", password="airflow-secret", timeout_s=30)
    with Transport(config) as transport:
        table_api = TableApi(transport)
        desk = Desk(config, table_api, Names(table_api), Store(store))
        opening = report(desk, anomaly(), task=f"task {number}")
    (results / f"{number}.json").write_text(
        json.dumps({"actions": actions(opening), "results": opening.results, "failures": opening.failures})
    )


@pytest.mark.parametrize(
    ("shared", "database_kind"),
    [
        # Twenty stores have nothing to do with each other, whatever they are kept in.
        pytest.param(False, "sqlite", id="each its own store"),
        pytest.param(True, "sqlite", id="one store, sqlite"),
        pytest.param(True, "postgresql", id="one store, postgresql"),
    ],
)
def test_twenty_processes_open_one_incident(instance, tmp_path, store_url, shared):
    fork = multiprocessing.get_context("fork")
    # The last look before the decision: by correlation id, after that by sys_id.
    instance.barrier(PROCESSES, method="GET", path=r"table/incident\?.*correlation_idIN", timeout_s=60)
    results = tmp_path / "results"
    results.mkdir()
    processes = [
        fork.Process(
            target=open_at_once,
            args=(instance.url, store_url("one" if shared else str(number)), results, number),
        )
        for number in range(PROCESSES)
    ]

    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)

    told = [json.loads(path.read_text()) for path in results.iterdir()]
    assert len(told) == PROCESSES
    assert [each["failures"] for each in told if each["failures"]] == []
    (incident,) = incidents(instance)
    assert {each["results"][0]["ticket"]["ticket_number"] for each in told} == {incident["number"]}
    assert sorted(each["actions"][0] for each in told) == ["created"] + ["unchanged"] * (PROCESSES - 1)
    assert instance.notes(incident["sys_id"]) == []
    looks = [each for each in instance.requests if "correlation_idIN" in each.query.get("sysparm_query", "")]
    creates = [each for each in instance.requests if each.method == "POST"]
    # All had looked, and nobody had been answered, before the first could create.
    assert len(looks) >= PROCESSES
    assert min(each.finished for each in looks) >= max(sorted(each.started for each in looks)[:PROCESSES])
    assert min(each.started for each in creates) >= min(each.finished for each in looks)
    assert len(creates) == (1 if shared else PROCESSES)
