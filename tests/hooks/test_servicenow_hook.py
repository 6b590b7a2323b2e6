"""The hook turns an Airflow connection into a client, and nothing more."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from airflow.sdk.log import redact

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.hooks import servicenow
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

OAUTH = {
    "auth_type": "oauth_client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture
def connect(monkeypatch):
    """Make the connection ``servicenow_default`` and return its hook."""

    def make(host, **fields):
        connection = {"conn_type": "servicenow", "host": host} | fields
        monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))
        return ServiceNowHook()

    return make


@pytest.fixture
def hook(connect, sandbox):
    made = connect(
        sandbox.url, login="svc_airflow", password="airflow-secret", port=0, extra={"timeout_s": None}
    )
    yield made
    made.close()


def test_records_are_created_found_counted_changed_and_read(hook):
    made = hook.create_record("incident", {"short_description": "by the hook", "sys_id": "1" * 32})
    assert made["sys_id"] == "1" * 32
    (found,) = hook.find_records("incident", {"short_description": "by the hook"}, fields=["number"])
    assert found == {"number": made["number"]}
    assert list(hook.find_records("incident", Query.equals({"active": "true"}), limit=1))
    assert hook.count_records("incident", {"short_description": "by the hook"}) == 1
    assert hook.update_record("incident", made["sys_id"], {"state": "2"})["state"] == "2"
    assert hook.get_record("incident", made["sys_id"], fields=["state"]) == {"state": "2"}
    with pytest.raises(exceptions.ForbiddenError):
        hook.delete_record("incident", made["sys_id"])
    assert [choice.value for choice in hook.get_choices("incident", "urgency")] == ["1", "2", "3"]


def test_an_encoded_query_must_be_wrapped(hook):
    with pytest.raises(ValueError, match=r"Query\.raw"):
        list(hook.find_records("incident", "active=true"))


@pytest.mark.parametrize("field", ["sys_created_by", "sys_updated_on", "sys_mod_count"])
def test_fields_that_the_platform_keeps_are_not_written(hook, sandbox, field):
    sandbox.clear_requests()
    for write in (
        lambda: hook.create_record("incident", {field: "x"}),
        lambda: hook.update_record("incident", "1" * 32, {field: "x"}),
    ):
        with pytest.raises(exceptions.ServiceNowConfigError, match=field):
            write()
    assert sandbox.requests == []


def test_the_session_is_authenticated_and_bound_to_the_instance(hook):
    answer = hook.get_conn().get("/api/now/table/incident", params={"sysparm_limit": "1"})
    assert answer.status_code == 200
    assert hook.get_conn() is hook.get_conn()


def test_a_closed_hook_opens_again(hook):
    hook.get_record("sys_user", "46d44a23a9fe19810012d100cca80666")
    hook.close()
    assert hook.get_record("sys_user", "46d44a23a9fe19810012d100cca80666")["name"] == "Beth Anglin"


def test_nothing_is_looked_up_before_the_first_use():
    hook = ServiceNowHook("no_such_connection")
    hook.close()
    assert hook.servicenow_conn_id == "no_such_connection"


def test_a_connection_given_as_uri_works_too(monkeypatch, sandbox):
    port = urlsplit(sandbox.url).port
    uri = f"servicenow://svc_airflow:airflow-secret@http%3A%2F%2F127.0.0.1:{port}/?timeout_s=5&verify=true"
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", uri)
    assert ServiceNowHook().instance_config().timeout_s == 5.0
    assert ServiceNowHook().test_connection()[0]


def test_test_connection_says_what_is_wrong_and_never_raises(connect, sandbox):
    assert connect(sandbox.url, login="svc_airflow", password="airflow-secret").test_connection()[0]
    works, words = connect(sandbox.url, login="svc_airflow", password="wrong-4711").test_connection()
    assert (works, "refuses the login or password" in words, "wrong-4711" in words) == (False, True, False)
    for fields, expected in [
        ({"host": "http://acme.service-now.com", "login": "a", "password": "b"}, "plain http"),
        ({"host": sandbox.url, "login": "a"}, "needs password"),
        ({"host": sandbox.url, "login": "a", "password": "b", "extra": {"auth_type": "odd"}}, "auth_type"),
    ]:
        works, words = connect(**fields).test_connection()
        assert (works, expected in words) == (False, True)
    works, words = ServiceNowHook("no_such_connection").test_connection()
    assert (works, "cannot be read" in words) == (False, True)


def test_derived_secrets_are_masked(connect, sandbox, monkeypatch):
    masked = []
    monkeypatch.setattr(servicenow, "mask_secret", masked.append)
    servicenow.mask.cache_clear()
    for _ in range(2):
        connect(sandbox.url, login="svc_airflow", password="airflow-secret").test_connection()
        connect(sandbox.url, extra=OAUTH).test_connection()
    assert len(masked) == len(set(masked)) >= 2
    assert "c3ZjX2FpcmZsb3c6YWlyZmxvdy1zZWNyZXQ=" in masked


def test_airflows_masker_hides_a_derived_secret():
    servicenow.mask("derived-secret-4711")
    assert redact("a line with derived-secret-4711 in it") == "a line with *** in it"


def test_a_whole_exchange_at_debug_shows_no_secret(connect, sandbox, caplog, monkeypatch):
    derived = []
    monkeypatch.setattr(servicenow, "mask_secret", derived.append)
    servicenow.mask.cache_clear()
    caplog.set_level(logging.DEBUG)
    for settings in ({"login": "svc_airflow", "password": "airflow-secret"}, {"extra": OAUTH}):
        hook = connect(sandbox.url, **settings)
        hook.create_record("incident", {"short_description": "x"})
        list(hook.find_records("incident", {}))
    ours = "\n".join(item.getMessage() for item in caplog.records if not item.name.startswith("airflow."))
    assert len(derived) >= 2
    for secret in ("airflow-secret", "sandbox-secret", *derived):
        assert secret not in ours
    assert "answered 201" in ours


def test_importing_the_hook_loads_no_http_library(tmp_path):
    code = (
        "import sys; from airflow.sdk import DAG, BaseOperator; before = set(sys.modules)\n"
        "import airflow_provider_servicenow_dq.hooks.servicenow\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " & {'requests', 'urllib3', 'authlib', 'tenacity', 'sqlalchemy', 'pydantic', 'joserfc'}))"
    )
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "[]"
