"""What an instance tells of changes: believed when it is signed, read as a pull reads, told once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from rest_server import Asking, connection_to, words_of

from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store.taken import Consumer

SECRET = "a secret of at least sixteen characters"
PATH = "/api/webhooks/servicenow"


@pytest.fixture(autouse=True)
def connection(sandbox, monkeypatch):
    extra = {"webhook_secret": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))


@pytest.fixture
def instance(root):
    """Whoever asks without a login of Airflow."""
    return Asking(root, None)


@pytest.fixture
def incident(report, sandbox):
    report()
    changes()
    (row,) = [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]
    return row


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


def tell(instance, *sys_ids, at=0.0, secret=SECRET, table="incident", signed_body=None, path=PATH):
    body = json.dumps({"table": table, "sys_ids": list(sys_ids)}).encode()
    stamp = str(int(time.time() + at))
    due = hmac.new(secret.encode(), stamp.encode() + b"." + (signed_body or body), hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "X-ServiceNow-DQ-Timestamp": stamp,
        "X-ServiceNow-DQ-Signature": base64.b64encode(due).decode(),
    }
    return instance("POST", path, content=body, headers=headers)


def test_what_somebody_did_is_known_at_once_and_told_once(instance, incident, sandbox):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})

    first = tell(instance, incident["sys_id"])
    again = tell(instance, incident["sys_id"])

    assert (first.status_code, first.json()) == (200, {"tickets": 1, "changes": 1})
    assert (again.status_code, again.json()["changes"]) == (200, 0) or again.json() == first.json()
    with open_desk(ServiceNowHook()) as desk:
        assert [change["new"] for change in taken(desk)] == ["2"]
    assert changes() == []


def test_what_the_webhook_missed_the_pull_finds(incident, sandbox):
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "2"})

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
    ],
)
def test_what_is_not_signed_by_the_instance_is_not_heard(instance, incident, sandbox, wrong):
    before = len(sandbox.requests)

    answer = tell(instance, incident["sys_id"], **wrong)

    assert answer.status_code == 401
    assert SECRET not in words_of(answer)
    assert len(sandbox.requests) == before


def test_a_login_of_airflow_is_no_signature(ask, incident):
    body = {"table": "incident", "sys_ids": [incident["sys_id"]]}

    assert ask("POST", PATH, json=body).status_code == 401


@pytest.mark.parametrize("secret", ["", "too short", None])
def test_without_a_good_secret_nothing_is_heard(instance, incident, sandbox, monkeypatch, secret):
    extra = {"webhook_secret": secret}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))

    assert tell(instance, incident["sys_id"], secret=secret or "").status_code == 401


@pytest.mark.parametrize("sys_ids", [[], ["x"], ["f" * 32] * 101])
def test_what_is_no_list_of_records_is_a_bad_request(instance, sys_ids):
    assert tell(instance, *sys_ids).status_code == 400


def test_a_body_that_is_too_large_is_not_read_to_its_end(instance):
    answer = instance("POST", PATH, content=b" " * 3_000_000)

    assert answer.status_code in {401, 413}
