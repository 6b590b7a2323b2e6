"""``servicenow-dq sandbox`` as a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from plain_client import Client

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.switches import Switches

COMMAND = [str(Path(sys.executable).with_name("servicenow-dq")), "sandbox", "--port", "0"]


def test_it_prints_its_address_and_users_serves_and_ends_on_ctrl_c():
    options = ["--user", "me:mine:itil,itil_admin", "--mandatory", "incident.caller_id"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://\S+", process.stdout.readline())[0]
            printed = [process.stdout.readline() for _ in range(5)]
            client = Client(url, ("me", "mine"))
            assert client.table("POST", "incident", json={}).status_code == 403
            assert [logged.user for logged in SandboxControl(url).requests] == ["me"]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert "  svc_airflow / airflow-secret  (itil)\n" in printed
    assert "  me / mine  (itil, itil_admin)\n" in printed


def test_it_ends_on_ctrl_c_also_where_a_script_started_it_in_the_background():
    started = f"trap '' INT; exec {' '.join(COMMAND)}"
    with subprocess.Popen(["sh", "-c", started], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert "http://" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_help_lists_users_and_every_switch():
    text = CliRunner().invoke(main, ["sandbox", "--help"]).output
    switches = [f"--{option.name.replace('_', '-')}" for option in fields(Switches)]
    for words in ("svc_airflow / airflow-secret", "sandbox-client / sandbox-secret", *switches):
        assert words in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--user", "nobody"], "NAME:PASSWORD:ROLES"),
        (["--mandatory", "incident"], "names a column"),
        (["--time-zone", "Mars/Olympus"], "Mars/Olympus"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(options, words):
    result = CliRunner().invoke(main, ["sandbox", *options])
    assert result.exit_code != 0
    assert words in result.output


def test_neither_the_sandbox_nor_the_list_of_commands_loads_airflow():
    script = (
        "import sys, airflow_provider_servicenow_dq.sandbox.server, airflow_provider_servicenow_dq.cli;"
        "print([name for name in sys.modules if name.split('.')[0] in {'airflow', 'sqlalchemy', 'requests'}])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
