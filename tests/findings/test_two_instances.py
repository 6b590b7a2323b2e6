"""Findings that move between instances."""

from __future__ import annotations

import pytest
from asking import Client, keys, members, ours, result_of, texts, ticket

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.sandbox.server import Sandbox


@pytest.fixture
def elsewhere(make_desk):
    with Sandbox(port=0) as other:
        config = InstanceConfig(other.url, login="svc_airflow", password="airflow-secret", timeout_s=2)
        with Transport(config) as transport:
            table_api = TableApi(transport)
            yield other, make_desk(config=config, table_api=table_api, names=Names(table_api))


def test_a_finding_that_moves_to_another_instance_leaves_the_ticket_on_this_one(desk, sandbox, elsewhere):
    other, far = elsewhere
    before = result_of(Client(desk).create(ticket(1, 2)))

    after = result_of(Client(far).create(ticket(2)))
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    assert members(desk, before.sys_id) == keys(1)
    assert members(desk, after.sys_id) == keys(2)
    ((here,), (there,)) = ours(sandbox), ours(other)
    assert f"now on {there['number']} of {far.host}" in texts(sandbox, before.sys_id)
    assert f"until now on {here['number']} of {desk.host}" in texts(other, after.sys_id)
