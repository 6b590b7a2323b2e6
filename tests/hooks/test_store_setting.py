"""What ``[servicenow_dq] store`` may say, and where a store of one machine is not enough."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError, StoreError
from airflow_provider_servicenow_dq.hooks.clear import clear_outbox
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.store import open_store, store_url
from airflow_provider_servicenow_dq.store import schema

#: Everything that means something in a URL.
PASSWORD = "s3cret-4711 @:/?#%[]&='\""

REMOTE = [
    "CeleryExecutor",
    "KubernetesExecutor",
    "LocalExecutor,KubernetesExecutor",
    "LocalExecutor, CeleryExecutor",
    "my.module.Executor",
    "my.module.LocalExecutor",
    "fast:CeleryExecutor",
    "here:LocalExecutor,there:my.module.Executor",
    "LocalExecutor;team1=CeleryExecutor",
    "=LocalExecutor;team1=here:LocalExecutor,my.module.Executor",
]
LOCAL = [
    "LocalExecutor",
    "SequentialExecutor",
    " LocalExecutor ",
    "here:LocalExecutor",
    "LocalExecutor;team1=here:LocalExecutor",
    "airflow.executors.local_executor.LocalExecutor",
]


@pytest.fixture
def name_store(monkeypatch):
    """Set what the setting says."""

    def name(text):
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", text)

    return name


@pytest.fixture
def connect(monkeypatch, name_store):
    """Name the store by the connection ``dq_store``."""

    def make(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_DQ_STORE", json.dumps(fields))
        name_store("dq_store")

    return make


@pytest.fixture
def executor(monkeypatch):
    def configure(text):
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", text)

    return configure


@pytest.fixture
def hook(monkeypatch):
    instance = {"conn_type": "servicenow", "host": "acme", "login": "u", "password": "p"}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(instance))
    return ServiceNowHook()


def test_without_a_setting_it_is_a_file_in_airflows_home(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))

    assert store_url().render_as_string() == f"sqlite:///{tmp_path}/servicenow_dq.db"


def test_a_connection_to_postgresql_names_a_store_that_works(connect, postgres):
    server = sa.make_url(postgres.new_database())
    connect(conn_type="postgres", host=server.query["host"], login="postgres", schema=server.database)

    store = open_store()

    with store.begin() as connection:
        assert connection.dialect.driver == "psycopg2"
        assert sa.inspect(connection).has_table(schema.VERSION_TABLE)
    store.close()
    postgres.drop_database(server.render_as_string())


def test_a_password_may_hold_any_character(connect):
    connect(conn_type="postgres", host="db.example", port=6432, login="d@q", password=PASSWORD, schema="d/q")

    url = store_url()

    _, arguments = url.get_dialect()().create_connect_args(url)
    assert arguments == {
        "host": "db.example",
        "port": 6432,
        "user": "d@q",
        "password": PASSWORD,
        "dbname": "d/q",
    }


def test_a_connection_written_as_a_uri_is_read_the_same(monkeypatch, name_store):
    monkeypatch.setenv("AIRFLOW_CONN_DQ_STORE", "postgres://dq:p%40ss@db.example:6432/dq?sslmode=require")
    name_store("dq_store")

    url = store_url()

    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg2://dq:p%40ss@db.example:6432/dq?sslmode=require"
    )


def test_of_the_extra_only_what_the_client_library_reads_is_passed_on(connect):
    extra = {
        "sslmode": "verify-full",
        "connect_timeout": 5,
        "sslcert": None,
        "cursor": "dictcursor",
        "iam": False,
    }
    connect(conn_type="postgres", host="db.example", schema="dq", extra=extra)

    assert store_url().query == {"sslmode": "verify-full", "connect_timeout": "5"}


def test_a_connection_may_name_another_driver(connect):
    connect(conn_type="postgres", host="db", extra={"sqlalchemy_scheme": "postgresql+psycopg"})

    assert store_url().drivername == "postgresql+psycopg"


@pytest.mark.parametrize("written", ["host", "uri"])
def test_a_connection_to_sqlite_names_a_file(connect, monkeypatch, tmp_path, written):
    connect(conn_type="sqlite", host=str(tmp_path / "store.db"))
    if written == "uri":
        monkeypatch.setenv("AIRFLOW_CONN_DQ_STORE", f"sqlite:///{tmp_path / 'store.db'}")

    open_store().upgrade()

    assert (tmp_path / "store.db").exists()


def test_a_connection_that_does_not_exist_is_refused_by_its_name_and_that_of_the_setting(name_store):
    name_store("no_such_connection")

    with pytest.raises(ServiceNowConfigError, match=r"\[servicenow_dq\] store.*'no_such_connection'"):
        store_url()


def test_a_connection_of_another_type_is_refused(connect):
    connect(conn_type="mysql", host="db.example", password="s3cret-4711")

    with pytest.raises(ServiceNowConfigError, match=r"\[servicenow_dq\] store.*'mysql'.*postgres") as refusal:
        store_url()

    assert "4711" not in str(refusal.value)


@pytest.mark.parametrize("text", ["postgresql//u:s3cret-4711@host/db", "postgresql://host:s3cret-4711/db"])
def test_what_is_neither_is_refused_without_showing_it(name_store, text):
    name_store(text)

    with pytest.raises(ServiceNowConfigError, match=r"\[servicenow_dq\] store is neither") as refusal:
        store_url()

    assert "4711" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_driver_that_is_not_installed_is_said_in_words(connect, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    connect(conn_type="postgres", host="db.example", password="s3cret-4711", schema="missing driver")

    with pytest.raises(StoreError, match=r"airflow-provider-servicenow-dq\[postgres\]") as refusal:
        open_store().upgrade()

    assert "4711" not in str(refusal.value)


def test_a_database_that_refuses_us_is_an_error_that_shows_no_password(connect, caplog):
    caplog.set_level(logging.DEBUG)
    connect(conn_type="postgres", host="127.0.0.1", port=1, login="dq", password=PASSWORD, schema="dq")

    with pytest.raises(StoreError, match="cannot be opened") as refusal:
        open_store().upgrade()

    assert "4711" not in f"{refusal.value}{refusal.value!r}{refusal.value.__cause__}"
    assert "4711" not in caplog.text


@pytest.mark.parametrize("text", REMOTE)
def test_an_executor_that_may_work_elsewhere_is_remote(executor, text):
    executor(text)

    assert settings.has_remote_executor()


@pytest.mark.parametrize("text", LOCAL)
def test_an_executor_that_works_here_is_not(executor, text):
    executor(text)

    assert not settings.has_remote_executor()


def test_a_pod_of_the_kubernetes_executor_knows_that_it_is_one(executor, monkeypatch):
    executor("LocalExecutor")
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")

    assert settings.has_remote_executor()


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_file_with_a_remote_executor_is_warned_about_once(executor, name_store, tmp_path, caplog):
    executor("CeleryExecutor")
    name_store(f"sqlite:///{tmp_path / 'store.db'}")

    assert open_store() is open_store()

    (warning,) = warnings(caplog)
    assert "[servicenow_dq] store" in warning


def test_a_file_with_a_local_executor_is_not_warned_about(executor, name_store, tmp_path, caplog):
    executor("LocalExecutor")
    name_store(f"sqlite:///{tmp_path / 'store.db'}")

    open_store(needs_shared_store=True)

    assert warnings(caplog) == []


def test_who_needs_a_shared_store_refuses_a_file_where_tasks_run_elsewhere(
    executor, name_store, tmp_path, hook
):
    executor("CeleryExecutor")
    name_store(f"sqlite:///{tmp_path / 'store.db'}")

    with pytest.raises(ServiceNowConfigError, match=r"\[servicenow_dq\] store"):
        open_desk(hook, needs_shared_store=True).__enter__()
    with open_desk(hook) as desk:
        assert desk.store is open_store()


def test_postgresql_serves_a_remote_executor(executor, name_store, postgres, caplog, hook):
    executor("CeleryExecutor")
    name_store(postgres.new_store())

    with open_desk(hook, needs_shared_store=True) as desk, desk.store.begin():
        pass

    assert warnings(caplog) == []
    postgres.take_back(settings.store())


@pytest.mark.parametrize("conn_id", ["servicenow_default", None])
def test_delivering_what_others_recorded_needs_a_shared_store(executor, name_store, tmp_path, hook, conn_id):
    executor("CeleryExecutor")
    name_store(f"sqlite:///{tmp_path / 'store.db'}")

    with pytest.raises(ServiceNowConfigError, match="all workers share"):
        clear_outbox(conn_id, Run())
