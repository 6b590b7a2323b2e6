"""ServiceNow is down for two hours, in all the ways in which it can be, and everybody else goes on."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowFailException
from click.testing import CliRunner
from simulated import SimulatedTime

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, ServiceNowError
from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowCreateIncidentOperator,
    ServiceNowDeliverOperator,
    ServiceNowPullIncidentsOperator,
    ServiceNowPushCommentsOperator,
    ServiceNowPushStatusOperator,
)
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.store import Store

#: The sync is scheduled every five minutes.
EVERY = timedelta(minutes=5)
#: In what way the instance is down for how many of them: two hours in all.
DOWN = {
    "loses the answer to a create": 1,
    "loses the answer to a note": 1,
    "refuses connections": 3,
    "503": 4,
    "asks to wait": 4,
    "hibernates": 4,
    "does not know us": 4,
    "is too busy": 2,
    "does not answer in time": 1,
}
TICKS = sum(DOWN.values())
POISON = "incident when short_descriptionLIKEpoison"
PATIENCE_S = 0.3


@pytest.fixture
def sandbox():
    with Sandbox(port=0, abort=(POISON,)) as running:
        yield running


@pytest.fixture
def connect(sandbox, monkeypatch):
    """Let ``servicenow_default`` lead to the instance, with so much patience."""

    def point(timeout_s=30.0):
        extra = {"timeout_s": timeout_s}
        connection = {"conn_type": "servicenow", "host": sandbox.url, "login": "svc_airflow",
                      "password": "airflow-secret", "extra": extra}  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))

    point()
    return point


@pytest.fixture
def clock(sandbox, connect, store_url, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", store_url("store"))
    with_tables = Store(store_url("store"))
    with_tables.upgrade()
    with_tables.close()
    simulated = SimulatedTime(sandbox)
    simulated.install(monkeypatch)
    return simulated


def ti(dag_id, task_id, tick, **facts):
    return SimpleNamespace(
        dag_id=dag_id,
        run_id=f"run {tick}",
        task_id=task_id,
        map_index=-1,
        xcom_push=lambda key, value: json.dumps(value),
        **facts,
    )


BEFORE = {"source": "custom", "dataset": "nyc.flights", "check_name": "seen before", "severity": "high"}


#: Every so many of them an operator has something to tell, too.
TALKS_EVERY = 8


class Users:
    """The DAGs of the users, and the sync."""

    def __init__(self, clock):
        self.clock = clock
        self.retried = []
        self.refused = []
        self.changes = []
        self.sync_failures = []
        self.said = []

    def work(self, tick):
        """Let tasks fail and tell it, let others tell of statuses and comments, and run again what failed."""
        for dag_id in ("hourly", f"load {tick}"):
            self.notify(dag_id, tick)
        self.retry()
        if tick % TALKS_EVERY:
            return
        remark = {**BEFORE, "comments": [{"id": str(tick), "body": f"remark {tick}"}]}
        status = {**BEFORE, "status": "acknowledged", "status_changed_at": self.clock.now().isoformat()}
        self.run(
            ServiceNowPushCommentsOperator(task_id="comment", anomalies=[remark]), ti("talk", "comment", tick)
        )
        self.run(
            ServiceNowPushStatusOperator(task_id="status", anomalies=[status]), ti("talk", "status", tick)
        )
        self.check(f"check {tick}", tick)

    def check(self, name, tick):
        """Let a task find something wrong."""
        task = ServiceNowCreateIncidentOperator(task_id="check", anomalies=[{**BEFORE, "check_name": name}])
        self.run(task, ti(f"checks {name}", "check", tick))

    def notify(self, dag_id, tick):
        """Let a task fail: its callback is called, and called again by a retry of it."""
        failed = ti(dag_id, "load", tick, state="failed", try_number=1, end_date=self.clock.now())
        context = {"ti": failed, "exception": RuntimeError("no rows")}
        for _ in range(2):
            try:
                ServiceNowNotifier().notify(context)
            except ServiceNowError as said:
                self.said.append(str(said))

    def retry(self):
        """Let Airflow run again what could not be done."""
        again, self.retried = self.retried, []
        for task, instance in again:
            self.run(task, instance)

    def run(self, task, instance):
        try:
            task.execute({"ti": instance})
        except DeliveryPendingError:
            self.retried.append((task, instance))
        except AirflowFailException as refusal:
            self.refused.append(str(refusal))

    def sync(self, tick):
        """Deliver what is pending, then pull, as the scheduled DAG does."""
        deliver = ServiceNowDeliverOperator(task_id="deliver", servicenow_conn_id=None, fail_on_dead=False)
        pull = ServiceNowPullIncidentsOperator(task_id="pull")
        for task in (deliver, pull):
            try:
                came = task.execute({"ti": ti("servicenow_sync", task.task_id, tick)})
            except (ServiceNowError, AirflowFailException) as failure:
                self.sync_failures.append((tick, str(failure)))
            else:
                self.changes += came.get("changes", [])


def strike(sandbox, connect, how):
    """Let the instance be down in one way, until it is relieved."""
    many = {"count": 100_000}
    match how:
        case "loses the answer to a create":
            sandbox.fail_next("drop_after", method="POST")
            # The first look at it goes well.
            sandbox.fail_next("drop_before", skip=2, **many)
        case "loses the answer to a note":
            sandbox.fail_next("drop_after", method="PATCH")
            sandbox.fail_next("drop_before", path="sys_journal_field", **many)
        case "refuses connections":
            sandbox.stop()
        case "503":
            sandbox.configure(availability="offline", unavailable_status=503)
        case "asks to wait":
            sandbox.fail_next("rate_limited", retry_after=280, **many)
        case "hibernates":
            sandbox.configure(availability="hibernating", unavailable_status=200)
        case "does not know us":
            sandbox.fail_next("unauthorized", **many)
        case "is too busy":
            sandbox.fail_next("semaphores_full", **many)
        case "does not answer in time":
            connect(PATIENCE_S)
            sandbox.fail_next("delay", seconds=PATIENCE_S + 0.1, count=8)
            sandbox.fail_next("drop_before", **many)


def relieve(sandbox, connect, how):
    if how == "refuses connections":
        sandbox.start()
    sandbox.service.faults.clear()
    sandbox.configure(availability="up", unavailable_status=200)
    connect()


def test_two_hours_without_servicenow_lose_nothing_and_double_nothing(sandbox, connect, clock, store_url):
    users = Users(clock)
    users.check("seen before", "before")
    users.sync("before")
    assert users.changes == []

    live_through(DOWN, users, sandbox, connect)
    assert clock.passed >= timedelta(hours=2)
    # Who does not know us has refused, as far as a task can tell; what it recorded is delivered all the same.
    assert {words for words in (*users.refused, *users.said) if "401" not in words} == set()
    # These have arrived, and nobody has heard of it yet.
    assert "hourly" in titles(sandbox)
    assert notes(sandbox, "seen before") == ["remark 0", "I am on it"]
    failures = len(users.sync_failures)
    for late in range(3):
        users.retry()
        users.sync(f"late {late}")
        clock.sleep(EVERY.total_seconds())

    assert len(users.sync_failures) == failures
    assert users.retried == []
    talks = range(0, TICKS, TALKS_EVERY)
    loads, checks = {f"load {tick}" for tick in range(TICKS)}, {f"check {tick}" for tick in talks}
    assert titles(sandbox) == {"seen before", "hourly"} | loads | checks
    assert notes(sandbox, "hourly") == [
        "seen again, 2 times",
        "keeps being seen, 4 times",
        "keeps being seen, 8 times",
        "keeps being seen, 16 times",
    ]
    assert notes(sandbox, "seen before") == [
        "remark 0",
        "I am on it",
        "Acknowledged",
        *(text for tick in talks[1:] for text in (f"remark {tick}", "Acknowledged")),
    ]
    assert [(each["field"], each["new"]) for each in users.changes] == [
        ("work_notes", "I am on it"),
        ("state", "2"),
    ]
    listed = CliRunner().invoke(main, ["outbox", "list", "--state", "dead", "--output", "json"]).output
    assert "poison on nyc.flights" in listed
    assert "aborted by Business Rule" in listed
    assert dead_and_waiting(store_url("store")) == ["dead"]


def live_through(down, users, sandbox, connect):
    """Let the instance be down in each way for its time, and everybody else go on."""
    tick = 0
    for how, ticks in down.items():
        strike(sandbox, connect, how)
        for _ in range(ticks):
            users.work(tick)
            if tick == TICKS // 2:
                users.check("poison", tick)
                work_by_hand(sandbox)
            users.sync(tick)
            tick += 1
            users.clock.sleep_until(tick * EVERY)
        relieve(sandbox, connect, how)


def ours(sandbox):
    return [each for each in sandbox.records("incident") if each["correlation_id"].startswith("dq:")]


def titles(sandbox):
    """Return what the tickets are about; no two are about the same."""
    found = [each["short_description"] for each in ours(sandbox)]
    named = [
        title.removesuffix(" failed on nyc.flights").removeprefix("Task failed: load on ") for title in found
    ]
    assert len(set(named)) == len(named)
    return set(named)


def notes(sandbox, title):
    """Return the notes of a ticket, in short: what they end with, or what they say before the details."""
    (ticket,) = [each for each in ours(sandbox) if title in each["short_description"]]
    found = [
        note.partition(" by now")[0].rpartition("Anomaly ")[2] for note in sandbox.notes(ticket["sys_id"])
    ]
    return [note.removeprefix("Comment from Custom: ").removeprefix("Status: ") for note in found]


def dead_and_waiting(url):
    """Return the states of what is not done."""
    store = Store(url)
    with store.snapshot() as connection:
        states = [*connection.execute(sa.select(schema.outbox.c.state)).scalars()]
    store.close()
    return [state for state in states if state != outbox.DONE]


def work_by_hand(sandbox):
    (known,) = [each for each in ours(sandbox) if each["short_description"].startswith("seen before")]
    sandbox.act_as("beth.anglin", "incident", known["sys_id"], {"state": "2", "work_notes": "I am on it"})
