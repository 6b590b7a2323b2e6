"""Records in a file outlive the sandbox, however it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from plain_client import ADMIN, Client

from airflow_provider_servicenow_dq.sandbox.server import Sandbox

COMMAND = [str(Path(sys.executable).with_name("servicenow-dq")), "sandbox", "--port", "0"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "instance.db"


def test_records_notes_and_numbers_go_on_after_a_kill(file):
    with subprocess.Popen([*COMMAND, "--file", str(file)], stdout=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        made = Client(url).create(short_description="kept", work_notes="on it")
        Client(url).update(made["sys_id"], state="2")
        process.send_signal(signal.SIGKILL)

    with Sandbox(file=file) as sandbox:
        (record,) = sandbox.records("incident")
        assert (record["sys_id"], record["state"], record["sys_mod_count"]) == (made["sys_id"], "2", "1")
        assert sandbox.notes(made["sys_id"]) == ["on it"]
        assert Client(sandbox.url).create()["number"] == "INC0010002"


def test_what_was_deleted_or_changed_of_the_demo_data_stays_so(file):
    with Sandbox(file=file) as sandbox:
        admin = Client(sandbox.url, ADMIN)
        legacy = admin.find("name=Legacy Warehouse", "sys_user_group")[0]["sys_id"]
        network = admin.find("name=Network", "sys_user_group")[0]["sys_id"]
        admin.table("DELETE", f"sys_user_group/{legacy}")
        admin.update(network, "sys_user_group", name="Networks")

    with Sandbox(file=file) as sandbox:
        groups = {row["sys_id"]: row["name"] for row in sandbox.records("sys_user_group")}
        assert legacy not in groups
        assert groups[network] == "Networks"
        sandbox.reset()
        assert "Legacy Warehouse" in {row["name"] for row in sandbox.records("sys_user_group")}

    with Sandbox(file=file) as sandbox:
        assert "Legacy Warehouse" in {row["name"] for row in sandbox.records("sys_user_group")}


def test_a_write_that_was_refused_leaves_nothing_but_its_number(file):
    with Sandbox(file=file, mandatory=["incident.caller_id"]) as sandbox:
        assert Client(sandbox.url).table("POST", "incident", json={}).status_code == 403
    with Sandbox(file=file) as sandbox:
        assert sandbox.records("incident") == []
        assert Client(sandbox.url).create()["number"] == "INC0010002"


def test_two_sandboxes_do_not_share_a_file(file):
    with Sandbox(file=file), pytest.raises(ValueError, match="locked"):
        Sandbox(file=file)


def test_another_file_is_not_overwritten(file):
    file.write_text("a letter to somebody, long enough to be no empty database" * 20)
    with pytest.raises(ValueError, match=r"cannot hold the sandbox's records: file is not a database"):
        Sandbox(file=file)
