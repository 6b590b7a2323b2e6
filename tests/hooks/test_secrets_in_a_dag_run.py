"""A whole DAG run at DEBUG, with every way to log in, and no secret in anything that it writes."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time

import pytest
import requests
from certificates import Authority
from conversations import Wire
from forward_proxy import ForwardProxy

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.oauth import fetch_token
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.tls import Tls

DAG_FILE = """
import time

from airflow.sdk import dag, task

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator


@dag(schedule=None, catchup=False)
def every_login():
    @task
    def talk(conn_id):
        hook = ServiceNowHook(conn_id)
        hook.create_record("incident", {"short_description": conn_id})
        time.sleep(1.1)  # longer than the tokens of this sandbox live
        assert list(hook.find_records("incident", {"short_description": conn_id}))
        answer = hook.get_conn().get("/api/now/table/incident?sysparm_limit=1")
        assert answer.status_code == 200
        print("shown on purpose:", dict(answer.request.headers))
        works, sentence = hook.test_connection()
        assert works, sentence

    @task
    def be_refused(conn_id):
        hook = ServiceNowHook(conn_id)
        print("said by the button:", hook.test_connection())
        list(hook.find_records("incident", {}))

    talk.expand(conn_id=RIGHT)
    be_refused.expand(conn_id=WRONG)
    ServiceNowCreateIncidentOperator(
        task_id="open",
        servicenow_conn_id="oauth_password",
        anomalies={"dataset": "nyc.flights", "check_name": "no_nulls", "severity": "high"},
    )


every_login()
"""
PROXY_LOGIN = "proxy-user:proxy-Geheimnis-4714"
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
PERSON = {"login": "svc_airflow", "password": "airflow-secret"}
#: What a wrong connection says in place of the right value.
NOT_SO = {
    "password": "wrong-Wort-4711",
    "client_secret": "wrong-Geheimnis-4712",
    "api_key": "wrong-key-4713-abcdef",
}


def right_connections(sandbox, proxy, authority):
    """Return the settings of one connection of each kind, by its id."""
    ca = str(authority.ca)
    somebody = InstanceConfig(
        sandbox.url, "oauth_password", login="admin", password="admin", verify=ca, **CLIENT
    )
    through = proxy.url.replace("http://", f"http://{PROXY_LOGIN}@")
    return {
        "basic": PERSON,
        "proxied": {"auth_type": "basic", "proxy": through, **PERSON},
        "oauth_client_credentials": CLIENT,
        "oauth_password": CLIENT | PERSON,
        "oauth_jwt": CLIENT | {"login": "svc_airflow", "jwt_private_key": sandbox.jwt_private_key},
        "api_key": {"api_key": "sandbox-api-key"},
        "bearer": {"password": fetch_token(somebody, lambda _: None).value},
        "certificate": by_certificate(authority, "svc_airflow"),
    }


def by_certificate(authority, user):
    certificate, key = authority.issue(user)
    return {"auth_type": "basic", "client_cert": certificate, "client_private_key": key}


def as_variables(sandbox, authority, connections):
    """Return connections as the environment variables in which Airflow finds them."""
    variables = {}
    for name, settings in connections.items():
        fields = {"conn_type": "servicenow", "host": sandbox.url}
        fields |= {key: settings[key] for key in ("login", "password") if key in settings}
        extra = {"auth_type": name.removeprefix("wrong_"), "verify": str(authority.ca)} | settings
        fields["extra"] = {key: value for key, value in extra.items() if key not in fields}
        variables[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(fields)
    return variables


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def airflow(*arguments):
    return [sys.executable, "-m", "airflow", *arguments]


class Airflow:
    """An Airflow of its own that writes DEBUG lines and task logs: a LocalExecutor and what it talks to."""

    def __init__(self, folder, variables):
        self.port = free_port()
        self.folder = folder
        self.env = os.environ | variables | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": "of this test alone, and long enough to be one of HS512 " * 2,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__SERVICENOW_DQ__STORE": f"sqlite:///{folder / 'store.db'}",
        }  # fmt: skip

    def test(self, dag_id):
        """Run a DAG and return all that was printed, and all that is in the task logs."""
        printed = self.folder / "api.txt"
        serve = airflow("api-server", "--apps", "execution", "--host", "127.0.0.1", "--port", str(self.port))
        with printed.open("wb") as sink:
            server = subprocess.Popen(serve, env=self.env, stdout=sink, stderr=subprocess.STDOUT)
        try:
            self.wait_for_server()
            run = airflow("dags", "test", "--use-executor", dag_id)
            done = subprocess.run(run, env=self.env, capture_output=True, text=True, timeout=240, check=False)
        finally:
            server.terminate()
            server.wait(30)
        logs = "".join(path.read_text("utf-8") for path in self.folder.glob("logs/**/*.log"))
        return done.stdout + done.stderr + printed.read_text("utf-8"), logs

    def wait_for_server(self):
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            try:
                requests.get(f"http://127.0.0.1:{self.port}/execution/health", timeout=60)
            except requests.ConnectionError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("Airflow's API server does not come up")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a run printed, its task logs, and what went over the wire; the sandbox's tokens live a second."""
    from airflow.utils.db import initdb

    initdb()
    folder = tmp_path_factory.mktemp("secrets")
    authority = Authority(folder)
    tls = Tls(*authority.issue("server"), client_ca=authority.ca)
    with Sandbox(tls=tls) as sandbox, ForwardProxy(login=PROXY_LOGIN) as proxy:
        right = right_connections(sandbox, proxy, authority)
        wrong = {
            f"wrong_{name}": each | {key: NOT_SO[key] for key in NOT_SO if key in each}
            for name, each in right.items()
        }
        wrong["wrong_certificate"] = by_certificate(authority, "nobody")
        sandbox.configure(token_life_s=1)
        wire = Wire(sandbox)
        (folder / "dags").mkdir()
        ids = f"RIGHT = {list(right)}\nWRONG = {list(wrong)}\n"
        (folder / "dags" / "every_login.py").write_text(ids + DAG_FILE, encoding="utf-8")
        printed, logs = Airflow(folder, as_variables(sandbox, authority, right | wrong)).test("every_login")
        assert proxy.asked
        keys = [sandbox.jwt_private_key, *(path.read_text() for path in folder.glob("*.key"))]
        of_keys = [line for key in keys for line in key.splitlines()[1:-1]]
        of_proxy = {PROXY_LOGIN.partition(":")[2], base64.b64encode(PROXY_LOGIN.encode()).decode()}
        wire.secrets |= {*of_keys, *of_proxy, *NOT_SO.values()}
        yield printed, logs, wire


def test_every_kind_of_login_works_expires_and_is_refused_in_the_run(run):
    printed, logs, wire = run
    assert {kind: {200, 201, 401} <= seen for kind, seen in wire.statuses.items()} == {
        "Basic": True,
        "Bearer": True,
        "api key": True,
        "certificate": True,
    }
    for grant in ("client_credentials", "password", "jwt-bearer"):
        assert "" in wire.grants[grant], "one was refused"
        assert len(wire.grants[grant]) >= 3, "and one was renewed when its time was over"
    assert logs.count("said by the button: (False") == 8
    for what in ("login or password", "API key", "bearer token", "client certificate"):
        assert f"refuses the {what}" in logs
    assert printed.count("ServiceNow answered 401") >= 8


def test_no_line_that_is_printed_or_logged_at_debug_shows_a_secret(run):
    printed, logs, wire = run
    assert len(wire.secrets) > 20
    assert "POST /oauth_token.do" in logs
    # What a task prints itself, this Airflow masks in the task's log but not on the scheduler's own terminal.
    lines = [line for line in printed.splitlines() if "shown on purpose" not in line]
    assert len(lines) > 1000
    for text in ("\n".join(lines), logs):
        assert [secret for secret in wire.secrets if secret in text] == []


def test_what_a_task_prints_of_a_derived_secret_is_masked_in_its_log(run):
    _, logs, _ = run
    shown = [line for line in logs.splitlines() if "shown on purpose" in line]
    assert len(shown) == 8
    assert sum("'Authorization': 'Basic ***'" in line for line in shown) == 2
    assert sum("'Authorization': 'Bearer ***'" in line for line in shown) == 4
    assert sum("'x-sn-apikey': '***'" in line for line in shown) == 1
