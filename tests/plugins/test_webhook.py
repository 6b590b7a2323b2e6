"""What an instance tells of changes: believed when it is signed, read as a pull reads, told once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from rest_server import TICKETING, WEBHOOK_SECRET, Asking, airflow_with, connection_to, statuses_of, words_of

from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.plugins import signed as plugins_signed
from airflow_provider_servicenow_dq.plugins import webhook
from airflow_provider_servicenow_dq.plugins.api import create_app
from airflow_provider_servicenow_dq.plugins.routing import LARGEST_BODY
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store.taken import Consumer

PATH = "/api/webhooks/servicenow"


pytestmark = pytest.mark.usefixtures("webhook_secret")


@pytest.fixture
def instance(root):
    """Whoever asks without a login of Airflow."""
    return Asking(root, None)


@pytest.fixture
def other_process(auth_settings):
    """Another worker of the API server: it shares nothing but the store."""
    return Asking(airflow_with(create_app()), None)


@pytest.fixture
def incident(pulled_incident):
    changes()
    return pulled_incident


def changes():
    """Pull, and return what a DAG would be told."""
    with open_desk(ServiceNowHook()) as desk:
        pull(desk, Project())
        return taken(desk)


def taken(desk):
    took = taking.take(desk, Consumer(desk.host, "incident", "pull"), "", succeeded=lambda _: None)
    found = list(taking.read(desk, took))
    taking.returned(desk, took)
    return found


def tell(instance, *sys_ids, at=0.0, secret=WEBHOOK_SECRET, table="incident", signed_body=None, path=PATH):
    body, headers = message(*sys_ids, at=at, secret=secret, table=table)
    if signed_body is not None:
        _, headers = signed(signed_body, headers["X-ServiceNow-DQ-Timestamp"], secret)
    return instance("POST", path, content=body, headers=headers)


def message(*sys_ids, at=0.0, secret=WEBHOOK_SECRET, table="incident"):
    """Return body and headers as the business rule of the README makes them."""
    return signed(named(*sys_ids, table=table, id=uuid.uuid4().hex), str(int(time.time() + at)), secret)


def named(*sys_ids, table="incident", **more):
    return json.dumps({"table": table, "sys_ids": sys_ids, **more}).encode()


def signed(body, stamp, secret=WEBHOOK_SECRET):
    due = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    return body, {
        "Content-Type": "application/json",
        "X-ServiceNow-DQ-Timestamp": stamp,
        "X-ServiceNow-DQ-Signature": base64.b64encode(due).decode(),
    }


def test_what_somebody_did_is_known_at_once_and_told_once(instance, incident, sandbox):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})

    first = tell(instance, incident["sys_id"])
    again = tell(instance, incident["sys_id"])

    assert (first.status_code, first.json()) == (200, {"tickets": 1, "changes": 1})
    assert (again.status_code, again.json()) == (200, {"tickets": 1, "changes": 0})
    with open_desk(ServiceNowHook()) as desk:
        assert [change["new"] for change in taken(desk)] == ["2"]
    assert changes() == []


def test_a_message_is_heard_once_whoever_sends_it_again_to_whatever_process(
    instance, other_process, incident, sandbox
):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})
    body, headers = message(incident["sys_id"])
    first = instance("POST", PATH, content=body, headers=headers)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "3"})
    sandbox.clear_requests()

    for somebody in (instance, other_process):
        replayed = somebody("POST", PATH, content=body, headers=headers)
        assert replayed.status_code == 409
        assert "heard" in words_of(replayed)
    assert first.json() == {"tickets": 1, "changes": 1}
    assert not sandbox.requests


def test_a_message_that_could_not_be_heard_may_come_again(instance, incident, sandbox):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})
    body, headers = message(incident["sys_id"])
    sandbox.stop()
    try:
        missed = instance("POST", PATH, content=body, headers=headers)
    finally:
        sandbox.start()

    assert missed.status_code == 503
    assert instance("POST", PATH, content=body, headers=headers).json() == {"tickets": 1, "changes": 1}


def test_what_changes_while_a_message_is_heard_is_heard_with_the_next(root, incident, sandbox, monkeypatch):
    """The same record again: that its name is the same says nothing of what is new on it."""
    has_read, go_on, body = threading.Event(), threading.Event(), named(incident["sys_id"])
    read, now = webhook.pull_some, int(time.time())

    def read_and_linger(*args):
        outcome = read(*args)
        has_read.set()
        go_on.wait(20)
        return outcome

    def tell_at(stamp):
        return Asking(root, None)("POST", PATH, content=body, headers=signed(body, str(stamp))[1])

    monkeypatch.setattr(webhook, "pull_some", read_and_linger)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})
    with ThreadPoolExecutor() as pool:
        first = pool.submit(tell_at, now)
        has_read.wait(20)
        sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "3"})
        second = pool.submit(tell_at, now + 1)
        time.sleep(0.3)  # so that it comes while the first is under way
        go_on.set()

    assert [first.result().json()["changes"], second.result().json()["changes"]] == [1, 1]


def test_what_the_webhook_missed_the_pull_finds(instance, incident, sandbox):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})
    sandbox.stop()
    try:
        assert tell(instance, incident["sys_id"]).status_code == 503
    finally:
        sandbox.start()

    assert [change["new"] for change in changes()] == ["2"]


def test_a_record_that_is_no_ticket_of_ours_is_passed_over(instance, incident):
    assert tell(instance, "f" * 32).json() == {"tickets": 0, "changes": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another secret of sixteen characters"},
        {"at": -301},
        {"at": 301},
        {"signed_body": b"{}"},
        {"path": f"{PATH}?servicenow_conn_id=nobody"},
        {"path": f"{PATH}?servicenow_conn_id=%00"},
    ],
)
def test_what_is_not_signed_by_the_instance_is_not_heard(instance, incident, sandbox, wrong):
    before = len(sandbox.requests)

    answer = tell(instance, incident["sys_id"], **wrong)

    assert answer.status_code == 401
    assert WEBHOOK_SECRET not in words_of(answer)
    assert len(sandbox.requests) == before


OUT, BOTH = {"id": "team_a", "key": "A", "sync": "outbound"}, {"id": "team_b", "sync": "bidirectional"}
OF_ANOTHER_TABLE = {"id": "problems", "table": "problem"}


@pytest.fixture
def projects(sandbox, monkeypatch):
    """Give the connection some projects."""

    def give(*found):
        extra = {"webhook_secret": WEBHOOK_SECRET, "projects": found}
        monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))

    return give


@pytest.mark.parametrize(
    ("found", "query", "due"),
    [
        ([OUT], "", "outbound"),
        ([OUT, OF_ANOTHER_TABLE], "?project=problems", "outbound"),
        ([OUT, OUT | {"id": "team_c", "key": "C"}], "", "outbound"),
        ([OUT, BOTH], "?project=A", "outbound"),
        ([OUT, BOTH], "?project=default", "bidirectional"),
        ([{"id": "default", "sync": "outbound"}], "", "outbound"),
        ([OF_ANOTHER_TABLE], "", "bidirectional"),
        ([OUT | {"servicenow_conn_id": "another"}], "", "bidirectional"),
    ],
)
def test_tickets_are_followed_by_the_rules_of_their_project(
    instance, incident, sandbox, projects, found, query, due
):
    projects(*found)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"work_notes": "on it"})

    answer = tell(instance, incident["sys_id"], path=f"{PATH}{query}")

    assert answer.status_code == 200
    assert answer.json()["changes"] == (0 if due == "outbound" else 1)


def test_where_several_projects_follow_a_table_differently_one_has_to_be_named(instance, incident, projects):
    projects(OUT, BOTH)

    answer = tell(instance, incident["sys_id"])

    assert answer.status_code == 400
    assert "'team_a', 'team_b'" in words_of(answer)
    assert "?project=" in words_of(answer)


@pytest.mark.parametrize(
    ("file", "own", "due"),
    [
        ("team_x: {sync: outbound}", [], "outbound"),
        ("team_x: {sync: outbound}\nteam_b: {servicenow_conn_id: servicenow_default}", [], "bidirectional"),
        ("team_x: {sync: bidirectional}", [OUT], "outbound"),
        ("default: {servicenow_conn_id: another, sync: outbound}", [], "bidirectional"),
        ("default: {servicenow_conn_id: another}", [OUT], "outbound"),
    ],
)
def test_the_connections_own_projects_go_before_those_of_the_file(
    instance, incident, sandbox, projects, monkeypatch, tmp_path, file, own, due
):
    (tmp_path / "projects.yaml").write_text(file)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__PROJECTS_FILE", str(tmp_path / "projects.yaml"))
    projects(*own)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"work_notes": "on it"})

    answer = tell(instance, incident["sys_id"])

    assert (answer.status_code, answer.json()["tickets"]) == (200, 1)
    assert answer.json()["changes"] == (0 if due == "outbound" else 1)


@pytest.mark.parametrize("stamp", ["", "now", "-1", "1e9", "9" * 5000, "٣"])
def test_a_timestamp_that_is_none_is_not_heard_and_asks_for_no_connection(instance, monkeypatch, stamp):
    asked = []
    monkeypatch.setattr(plugins_signed, "webhook_secret", asked.append)
    body, headers = signed(b"{}", stamp)
    headers = {name: value.encode() for name, value in headers.items()}

    answer = instance("POST", PATH, content=body, headers=headers)

    assert answer.status_code == 401
    words_of(answer)
    assert not asked


def test_a_login_of_airflow_is_no_signature(ask, incident):
    body = {"table": "incident", "sys_ids": [incident["sys_id"]]}

    assert ask("POST", PATH, json=body).status_code == 401


def test_a_connection_of_the_name_of_nothing_is_another_one_than_the_default(root, incident, monkeypatch):
    """Somebody who asks for it meanwhile must not have the instance's own messages refused."""
    go, real = threading.Event(), plugins_signed.webhook_secret

    def slow(conn_id):
        if conn_id is not None:
            go.wait(20)
        return real(conn_id)

    monkeypatch.setattr(plugins_signed, "webhook_secret", slow)
    with ThreadPoolExecutor(1) as pool:
        path = f"{PATH}?servicenow_conn_id=None"
        asking = pool.submit(tell, Asking(root, None), incident["sys_id"], path=path)
        time.sleep(0.3)
        heard = tell(Asking(root, None), incident["sys_id"])
        go.set()

    assert (heard.status_code, asking.result().status_code) == (200, 401)


@pytest.mark.parametrize("secret", ["", "too short", None])
def test_without_a_good_secret_nothing_is_heard(instance, incident, sandbox, monkeypatch, secret):
    extra = {"webhook_secret": secret}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))

    assert tell(instance, incident["sys_id"], secret=secret or "").status_code == 401


def test_whoever_makes_secrets_be_looked_up_holds_up_nobody_else(root, incident, monkeypatch):
    """A secrets backend that hangs, and somebody without a login who asks and asks."""
    go, asked, threads = threading.Event(), [], []

    def hang(conn_id):
        asked.append(conn_id)
        threads.append(threading.current_thread().name)
        go.wait(20)

    monkeypatch.setattr(plugins_signed, "webhook_secret", hang)
    with ThreadPoolExecutor(30) as pool:
        paths = [f"{PATH}?servicenow_conn_id=c{number}" for number in range(30)]
        waiting = [pool.submit(tell, Asking(root, None), incident["sys_id"], path=path) for path in paths]
        end = time.monotonic() + 4
        while sum(each.done() for each in waiting) < 30 - 2 - 16 and time.monotonic() < end:
            time.sleep(0.05)
        reading = Asking(root, "admin")("GET", f"{TICKETING}/tickets/search", params={"query": "orders"})
        go.set()
        statuses = [each.result().status_code for each in waiting]

    assert reading.status_code == 200
    assert (statuses.count(503), statuses.count(401)) == (12, 18)
    assert {name.rpartition("_")[0] for name in threads} == {"servicenow-dq-secrets"}


@pytest.mark.parametrize("sys_ids", [[], ["x"], ["f" * 32] * 101])
def test_what_is_no_list_of_records_is_a_bad_request(instance, sys_ids):
    assert tell(instance, *sys_ids).status_code == 400


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_that_is_too_large_is_not_read_to_its_end(auth_settings, sandbox, is_announced):
    _, headers = message()
    if is_announced:
        headers["Content-Length"] = str(LARGEST_BODY + 1)
    parts = [{"type": "http.request", "body": b" " * LARGEST_BODY, "more_body": True}] * 3

    status, unread = statuses_of(create_app(), PATH, headers, parts)

    assert status == 413
    assert len(unread) == (3 if is_announced else 1)


def test_a_large_body_does_not_tell_whether_a_connection_has_a_secret(auth_settings, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url))
    _, headers = message()

    assert statuses_of(create_app(), PATH, {**headers, "Content-Length": str(LARGEST_BODY + 1)}, [])[0] == 413


@pytest.mark.parametrize("conn_id", ["../../secret", "a b", "", "x" * 251])
def test_what_is_no_name_of_a_connection_is_not_looked_up(instance, monkeypatch, conn_id):
    asked = []
    monkeypatch.setattr(plugins_signed, "webhook_secret", asked.append)
    body, headers = signed(b"{}", str(int(time.time())))

    answer = instance("POST", PATH, content=body, headers=headers, params={"servicenow_conn_id": conn_id})

    assert answer.status_code == 401
    assert not asked


def test_a_length_that_nobody_could_send_is_too_large(auth_settings, sandbox):
    _, headers = message()

    assert statuses_of(create_app(), PATH, headers | {"Content-Length": "9" * 5000}, []) == (413, [])


def test_who_hangs_up_in_the_middle_of_a_message_breaks_nothing(auth_settings, sandbox, caplog):
    _, headers = message()

    statuses_of(create_app(), PATH, headers, [{"type": "http.disconnect"}])

    assert "failed" not in caplog.text
