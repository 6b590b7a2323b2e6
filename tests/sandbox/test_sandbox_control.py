"""The controls of the sandbox, in this process and over HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest
import requests

from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError
from airflow_provider_servicenow_dq.sandbox.server import Sandbox


@pytest.fixture(params=["in this process", "over HTTP"])
def control(request, sandbox):
    return sandbox if request.param == "in this process" else SandboxControl(sandbox.url)


def test_requests_are_remembered_with_who_what_and_when(control, client):
    client.table("POST", "incident?sysparm_fields=number", json={"impact": "1"})
    (logged,) = control.requests
    assert (logged.method, logged.path, logged.status, logged.user) == (
        "POST", "/api/now/table/incident", 201, "svc_airflow",
    )  # fmt: skip
    assert (logged.query, logged.body) == ({"sysparm_fields": "number"}, {"impact": "1"})
    assert logged.started <= logged.finished
    control.clear_requests()
    assert control.requests == []


def test_records_and_notes_are_the_truth_whoever_may_see_it(control, client):
    control.configure(hidden=["incident"])
    client.table("POST", "incident", json={"short_description": "hidden", "work_notes": "note"})
    (row,) = control.records("incident")
    assert row["short_description"] == "hidden"
    assert control.notes(row["sys_id"]) == ["note"]
    assert [entry["value"] for entry in control.records("sys_journal_field")] == ["note"]


def test_people_act_and_are_refused(control, client):
    sys_id = client.create()["sys_id"]
    assert (
        control.act_as("beth.anglin", "incident", sys_id, {"state": "2"})["sys_updated_by"] == "beth.anglin"
    )
    with pytest.raises(RefusedError) as refusal:
        control.act_as("beth.anglin", "incident", sys_id, {"state": "6"})
    assert (refusal.value.status, refusal.value.message) == (403, "Operation Failed")
    with pytest.raises(RefusedError):
        control.act_as("beth.anglin", "incident", "0" * 32, {})
    with pytest.raises(ValueError, match="nobody can act as"):
        control.act_as("nobody", "incident", sys_id, {})


def test_faults_and_barriers_are_set(control, client):
    control.fail_next("accepted", method="GET", skip=1, count=1)
    control.barrier(1, path="problem")
    statuses = [client.table("GET", table).status_code for table in ("incident", "incident", "problem")]
    assert statuses == [200, 202, 200]
    with pytest.raises(ValueError, match="no fault"):
        control.fail_next("explode")


def test_a_reset_brings_back_the_demo_data_and_keeps_the_switches(control, client):
    control.configure(close_code_set="old")
    client.create()
    control.reset()
    assert control.records("incident") == []
    assert control.requests == []
    codes = {row["value"] for row in control.records("sys_choice") if row["element"] == "close_code"}
    assert "Solved (Permanently)" in codes
    assert "Solution provided" not in codes
    assert client.create()["number"] == "INC0010001"


def test_a_switch_that_does_not_exist_or_does_not_fit_is_an_error(control):
    for switches in (
        {"bogus": 1},
        {"close_code_set": "newest"},
        {"mandatory": ["incident"]},
        {"time_zone": "X"},
    ):
        with pytest.raises((ValueError, TypeError)):
            control.configure(**switches)


def test_the_clock_can_be_moved(control, client):
    before = client.create()["sys_created_on"]
    control.configure(clock_offset_s=3600)
    assert client.create()["sys_created_on"] > before


def test_a_web_page_of_another_origin_cannot_use_the_controls(sandbox):
    for headers in ({"Content-Type": "text/plain"}, {}):
        answer = requests.post(f"{sandbox.url}/sandbox/reset", data="{}", headers=headers, timeout=5)
        assert answer.status_code == 405
    assert requests.get(f"{sandbox.url}/sandbox/reset", timeout=5).status_code == 405
    assert requests.get(f"{sandbox.url}/sandbox/nothing", timeout=5).status_code == 404
    assert requests.get(f"{sandbox.url}/sandbox/switches", timeout=5).json()["result"]["semaphores"] == 4


def test_an_instance_that_is_down_comes_back_with_its_data_at_its_address(sandbox, client):
    session = requests.Session()
    session.auth = client.auth
    address = f"{sandbox.url}/api/now/table/incident"
    session.post(address, json={"short_description": "kept"}, timeout=5)
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        session.get(address, timeout=5)
    sandbox.start()
    assert [row["short_description"] for row in session.get(address, timeout=5).json()["result"]] == ["kept"]


def test_two_sandboxes_know_nothing_of_each_other(sandbox, client):
    with Sandbox(journal_acl=True) as other:
        client.create()
        assert other.url != sandbox.url
        assert other.records("incident") == []
        assert other.requests == []


@contextlib.contextmanager
def forked_process():
    """A child with a copy of every socket that is open."""
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_instance_is_down_even_if_a_forked_process_holds_its_sockets(sandbox, client):
    client.create()
    with forked_process():
        sandbox.stop()
        with pytest.raises(requests.ConnectionError):
            client.table("GET", "incident", timeout=2)


def test_a_connection_is_dropped_even_if_a_forked_process_holds_a_copy(sandbox, client):
    with requests.Session() as session:
        session.auth = client.auth
        address = f"{sandbox.url}/api/now/table/incident"
        session.get(address, timeout=5)
        with forked_process():
            sandbox.fail_next("drop_before")
            with pytest.raises(requests.ConnectionError):
                session.get(address, timeout=2)
