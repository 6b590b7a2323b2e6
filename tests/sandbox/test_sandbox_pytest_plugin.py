"""The fixtures that pytest finds by itself where this package is installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook


def test_the_fixture_gives_address_users_and_control(servicenow_sandbox):
    user = servicenow_sandbox.users[0]
    answer = requests.post(
        f"{servicenow_sandbox.url}/api/now/table/incident",
        json={"short_description": "by a test"},
        auth=(user.user_name, user.password),
        timeout=10,
    )
    assert answer.status_code == 201
    assert [row["short_description"] for row in servicenow_sandbox.records("incident")] == ["by a test"]
    assert [logged.user for logged in servicenow_sandbox.requests] == ["svc_airflow"]


@pytest.mark.servicenow_sandbox(close_code_set="old", table=["u_dq_issue"])
def test_the_marker_sets_the_sandbox_up(servicenow_sandbox):
    codes = {
        row["value"] for row in servicenow_sandbox.records("sys_choice") if row["element"] == "close_code"
    }
    assert "Solved (Permanently)" in codes
    assert servicenow_sandbox.records("u_dq_issue") == []


def test_the_second_fixture_is_an_airflow_connection(servicenow_sandbox, servicenow_connection):
    made = ServiceNowHook(servicenow_connection).create_record("incident", {"short_description": "by a hook"})
    assert servicenow_sandbox.records("incident")[0]["sys_id"] == made["sys_id"]


def test_the_connection_may_be_a_uri_of_any_user_and_have_extras(servicenow_sandbox, monkeypatch):
    uri = servicenow_sandbox.connection_uri("admin", auth_type="basic", timeout_s=5)
    monkeypatch.setenv("AIRFLOW_CONN_SANDBOX", uri)
    ServiceNowHook("sandbox").create_record("incident", {})
    assert servicenow_sandbox.records("incident")[0]["sys_created_by"] == "admin"


def test_who_does_not_use_it_does_not_load_the_sandbox(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_nothing(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.hasplugin('servicenow_sandbox')\n"
        "    ours = [name for name in sys.modules if name.startswith('airflow_provider_servicenow_dq')]\n"
        "    assert sorted(ours) == ['airflow_provider_servicenow_dq', "
        "'airflow_provider_servicenow_dq.sandbox', 'airflow_provider_servicenow_dq.sandbox.pytest_plugin']\n"
    )
    # Airflow brings a plugin of its own in some versions; what it loads is not ours.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout
