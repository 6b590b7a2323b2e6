"""Connections out of secrets backends: files, and documents such as HashiCorp Vault keeps."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection, configuration
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
#: As the connection form saves it, with an explicit null for what was left empty.
EXTRA = {"auth_type": "basic", "client_id": None, "timeout_s": 7, "verify": True, "max_concurrency": 2}
TEXTS = {"auth_type": "basic", "timeout_s": "7", "verify": "true", "max_concurrency": "2"}

DAG_FILE = """
from airflow.sdk import dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator


@dag(schedule=None, catchup=False)
def from_a_backend():
    ServiceNowCreateIncidentOperator(
        task_id="open",
        servicenow_conn_id="snow_kept_elsewhere",
        anomalies={"dataset": "nyc.flights", "check_name": "no_nulls", "severity": "high"},
    )


from_a_backend()
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as running:
        yield running


def as_fields(url):
    return {"conn_type": "servicenow", "host": url, "login": "svc_airflow", "password": "airflow-secret"}


def works(connection):
    """Log in with a connection and nothing else; return what the connection says."""
    hook = ServiceNowHook(connection.conn_id, find_connection=lambda _: connection)
    try:
        assert hook.test_connection()[0], hook.test_connection()[1]
        config = hook.instance_config()
    finally:
        hook.close()
    assert (config.timeout_s, config.max_concurrency, config.verify) == (7, 2, True)


@pytest.mark.parametrize("form", ["json", "yaml", "env"])
def test_the_files_of_airflows_own_backend_hold_connections(sandbox, tmp_path, form):
    path = tmp_path / f"connections.{form}"
    fields = as_fields(sandbox.url)
    match form:
        case "json":
            path.write_text(json.dumps({"snow": {**fields, "extra": EXTRA}}))
        case "yaml":
            lines = [f"  {name}: {value}" for name, value in fields.items()]
            extra = [f"    {name}: {value}" for name, value in TEXTS.items()]
            path.write_text("\n".join(["snow:", *lines, "  extra_dejson:", *extra]))
        case "env":
            uri = Connection(conn_id="snow", **fields, extra=json.dumps(EXTRA)).get_uri()
            path.write_text(f"snow={uri}")

    works(LocalFilesystemBackend(connections_file_path=str(path)).get_connection("snow"))


@pytest.mark.parametrize(
    "document",
    [
        lambda url: {**as_fields(url), "extra": EXTRA},
        lambda url: {**as_fields(url), "extra": json.dumps(EXTRA)},
        lambda url: {**as_fields(url), "extra": json.dumps(TEXTS), "port": 0, "schema": None},
        lambda url: {"uri": Connection(conn_id="x", **as_fields(url), extra=json.dumps(EXTRA)).get_uri()},
        lambda url: {"uri": Connection(conn_id="x", **as_fields(url), extra=json.dumps(TEXTS)).get_uri()},
    ],
    ids=["fields", "fields with extra as text", "fields as texts", "a URI of ours", "a URI with texts"],
)
def test_what_a_vault_holds_is_a_connection(sandbox, document):
    """``VaultBackend`` takes ``conn_uri`` for a URI, else the document's keys for the connection's fields."""
    held = document(sandbox.url)
    connection = (
        Connection.from_uri(held["uri"], conn_id="snow")
        if "uri" in held
        else Connection(conn_id="snow", **{**held, "extra": text_of(held["extra"])})
    )

    works(connection)


def text_of(extra):
    return extra if isinstance(extra, str) else json.dumps(extra)


def test_a_connection_survives_the_cache_of_the_dag_processor(sandbox):
    """It keeps URIs (``SecretCache``), so that what comes out has been one."""
    first = Connection(conn_id="snow", **as_fields(sandbox.url), extra=json.dumps(EXTRA))

    works(Connection.from_uri(first.get_uri(), conn_id="snow"))


def test_a_password_with_every_sign_survives_a_uri():
    password = "p@ss/w:rd?#[]%20&=é"
    connection = Connection(
        conn_id="snow", conn_type="servicenow", host="acme", login="a@b.c", password=password
    )

    hook = ServiceNowHook(find_connection=lambda _: Connection.from_uri(connection.get_uri(), conn_id="snow"))

    assert (hook.instance_config().login, hook.instance_config().password) == ("a@b.c", password)


@pytest.fixture
def dag(airflow_database, tmp_path, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "from_a_backend.py").write_text(DAG_FILE, encoding="utf-8")
    bundle = {
        "name": "kept",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
    return DagBag(folder).dags["from_a_backend"]


@pytest.mark.parametrize("section", ["SECRETS__BACKEND", "WORKERS__SECRETS_BACKEND"])
def test_a_real_task_opens_a_ticket_with_a_connection_that_only_a_backend_knows(
    sandbox, dag, tmp_path, monkeypatch, section
):
    sandbox.reset()
    kept = tmp_path / "connections.json"
    kept.write_text(json.dumps({"snow_kept_elsewhere": {**as_fields(sandbox.url), "extra": EXTRA}}))
    monkeypatch.setenv(f"AIRFLOW__{section}", BACKEND)
    monkeypatch.setenv(f"AIRFLOW__{section}_KWARGS", json.dumps({"connections_file_path": str(kept)}))
    # Airflow 3.3 makes a backend once per process.
    monkeypatch.setattr(configuration, "_secrets_backend_cache", {}, raising=False)

    assert str(dag.test().state) == "success"

    assert [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:custom:")]
