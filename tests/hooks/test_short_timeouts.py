"""A patience that is too short for what an instance may still be doing is said aloud."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.store.store import Store


@pytest.mark.parametrize(
    ("host", "timeout_s", "warned"),
    [
        ("https://acme.service-now.com", 29, True),
        ("https://acme.service-now.com", 30, False),
        ("https://acme.service-now.com", None, False),
        ("http://127.0.0.1:8099", 1, False),
    ],
)
def test_a_timeout_that_is_too_short_for_the_instances_quota_is_warned_of(
    monkeypatch, tmp_path, caplog, host, timeout_s, warned
):
    extra = {} if timeout_s is None else {"timeout_s": timeout_s}
    connection = {"conn_type": "servicenow", "host": host, "login": "me", "password": "mine", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))

    with (
        caplog.at_level(logging.WARNING),
        open_desk(ServiceNowHook(), store=Store(f"sqlite:///{tmp_path / 'store.db'}")),
    ):
        pass

    assert ("timeout_s" in caplog.text) is warned
