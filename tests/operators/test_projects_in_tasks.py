"""Projects as tasks use them: from the connection and a file, several instances and environments."""

from __future__ import annotations

import json

import pytest
import yaml
from airflow.sdk.exceptions import AirflowNotFoundException
from beside_an_instance import PASSWORD
from operating import incidents

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowDeliverOperator,
    ServiceNowGetRecordsOperator,
)
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import tickets

NULLS = {
    "dataset": "sales.orders",
    "check_name": "nulls",
    "severity": "high",
    "detected_at": "2026-01-05T00:00:00Z",
}
AGAIN = {**NULLS, "detected_at": "2026-01-06T00:00:00Z"}


@pytest.fixture
def name(monkeypatch):
    """Set a connection of any name."""

    def point(conn_id, host, **extra):
        connection = {"conn_type": "servicenow", "host": host, "login": "svc_airflow", "password": PASSWORD}
        extra = {"timeout_s": 5, **extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**connection, "extra": extra}))

    return point


@pytest.fixture
def share(monkeypatch, tmp_path):
    """Write the projects file that all connections share."""

    def write(**projects):
        path = tmp_path / "projects.yaml"
        path.write_text(yaml.safe_dump(projects), encoding="utf-8")
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__PROJECTS_FILE", str(path))

    return write


@pytest.fixture(scope="module")
def other_server():
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def other(other_server, sandbox, name):
    """A second instance, to which the connection ``acme_eu`` leads."""
    other_server.reset()
    name("acme_eu", other_server.url)
    return other_server


def test_a_project_of_the_file_holds_for_every_connection(sandbox, share, open_tickets):
    share(sales={"routes": [{"match": {"dataset": "sales.*"}, "fields": {"category": "database"}}]})

    (result,) = open_tickets(NULLS, project="sales")

    assert result["ticket"]["category"] == "database"


def test_a_project_of_the_connection_takes_the_place_of_the_files(sandbox, connect, share, open_tickets):
    share(sales={"fields": {"category": "database", "contact_type": "email"}})
    connect(sandbox.url, projects={"sales": {"fields": {"category": "software"}}})

    open_tickets(NULLS, project="sales")

    (incident,) = incidents(sandbox)
    assert (incident["category"], incident["contact_type"]) == ("software", "phone")


def test_groups_and_people_of_a_project_are_named_as_people_name_them(sandbox, share, open_tickets):
    rules = {
        "fields": {"assignment_group": "Data Quality", "caller_id": "abel.tuter"},
        "assignees": {"jane@acme.example": "Beth Anglin"},
    }
    share(sales=rules)

    (result,) = open_tickets({**NULLS, "owner": "jane@acme.example"}, project="sales")

    (incident,) = incidents(sandbox)
    assert result["warnings"] == []
    assert incident["caller_id"] == "62826bf03710200044e0bfc8bcbe5df1"
    assert incident["assigned_to"] == "46d44a23a9fe19810012d100cca80666"
    assert len(incident["assignment_group"]) == 32


def test_a_project_with_a_connection_of_its_own_goes_to_that_instance(sandbox, other, share, open_tickets):
    share(eu={"servicenow_conn_id": "acme_eu"}, us={})

    (eu,) = open_tickets(NULLS, project="eu")
    (us,) = open_tickets(NULLS, project="us")

    assert (eu["action"], us["action"]) == ("created", "created")
    assert (len(incidents(other)), len(incidents(sandbox))) == (1, 1)
    assert eu["integration_id"] != us["integration_id"]
    assert eu["ticket"]["url"].startswith(other.url)


def test_two_connections_make_one_ticket_each_and_one_store_keeps_them_apart(
    sandbox, other, open_tickets, store
):
    for found, action in ((NULLS, "created"), (NULLS, "unchanged"), (AGAIN, "noted")):
        for conn_id in ("servicenow_default", "acme_eu"):
            (result,) = open_tickets(found, servicenow_conn_id=conn_id)
            assert result["action"] == action

    (here,), (there,) = incidents(sandbox), incidents(other)
    assert here["correlation_id"] == there["correlation_id"]
    assert len(sandbox.notes(here["sys_id"])) == len(other.notes(there["sys_id"])) == 1
    key = here["correlation_id"].rpartition(":")[2]
    with store.begin() as connection:
        found = {
            host: tickets.of_keys(connection, [key], instance=host, table="incident")[key].number
            for host in (sandbox.url.partition("://")[2], other.url.partition("://")[2])
        }
    assert set(found.values()) == {here["number"], there["number"]}


def test_one_instance_down_does_not_hold_up_the_other(sandbox, other, open_tickets):
    other.fail_next("unauthorized", method="GET", count=9)

    with pytest.raises(Exception, match="User Not Authenticated"):
        open_tickets(NULLS, servicenow_conn_id="acme_eu")

    assert open_tickets(NULLS)[0]["action"] == "created"
    assert incidents(other) == []


def test_a_task_that_names_another_connection_than_its_project_is_refused(
    sandbox, other, name, share, open_tickets
):
    name("acme_us", sandbox.url)
    share(eu={"servicenow_conn_id": "acme_eu"})

    with pytest.raises(ServiceNowConfigError, match=r"'acme_us'.*'eu' belongs to 'acme_eu'"):
        open_tickets(NULLS, project="eu", servicenow_conn_id="acme_us")

    assert open_tickets(NULLS, project="eu", servicenow_conn_id="acme_eu")[0]["action"] == "created"
    assert sandbox.requests == []


def test_a_connection_may_hold_the_projects_of_others(sandbox, other, name, open_tickets):
    name("hub", sandbox.url, projects={"eu": {"servicenow_conn_id": "acme_eu"}})

    open_tickets(NULLS, project="eu", servicenow_conn_id="hub")

    assert len(incidents(other)) == 1


def test_the_default_connection_need_not_exist_where_the_project_names_its_own(
    sandbox, other, share, monkeypatch, open_tickets
):
    monkeypatch.delenv("AIRFLOW_CONN_SERVICENOW_DEFAULT")
    share(eu={"servicenow_conn_id": "acme_eu"}, us={})

    assert open_tickets(NULLS, project="eu")[0]["action"] == "created"
    with pytest.raises(AirflowNotFoundException):
        open_tickets(NULLS, project="us")
    with pytest.raises(AirflowNotFoundException):
        open_tickets(NULLS)


def test_reading_and_delivering_go_where_the_project_is_too(sandbox, other, share, open_tickets):
    share(eu={"servicenow_conn_id": "acme_eu"})
    other.fail_next("unauthorized", method="GET", count=9)
    with pytest.raises(Exception, match="User Not Authenticated"):
        open_tickets(NULLS, project="eu")
    other.reset()

    counts = ServiceNowDeliverOperator(task_id="deliver", project="eu").execute({})
    reading = ServiceNowGetRecordsOperator(
        task_id="read", table="incident", query={}, fields=["correlation_id"], project="eu"
    )

    assert counts["delivered"] == 1
    assert [record["correlation_id"] for record in reading.execute({})] == [
        incident["correlation_id"] for incident in incidents(other)
    ]


def test_a_namespace_is_part_of_every_identity(sandbox, monkeypatch, open_tickets):
    """Two environments that share an instance have a ticket each, also where they share a store."""
    results = []
    for namespace in ("", "production", "staging", "production"):
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__NAMESPACE", namespace)
        results += open_tickets(NULLS)

    assert [result["action"] for result in results] == ["created", "created", "created", "unchanged"]
    assert len({incident["correlation_id"] for incident in incidents(sandbox)}) == 3
    assert results[1]["ticket"]["ticket_id"] == results[3]["ticket"]["ticket_id"]
    assert {len(incident["correlation_id"]) for incident in incidents(sandbox)} == {len("dq:custom:") + 32}


@pytest.mark.parametrize("rules", [{"group_by": "dataset"}, {"max_new_tickets": 1}])
def test_a_namespace_keeps_tickets_of_many_anomalies_apart_too(sandbox, monkeypatch, open_tickets, rules):
    found = [{**NULLS, "check_name": f"check {number}"} for number in range(3)]
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__NAMESPACE", "production")
    open_tickets(found, **rules)
    before = len(incidents(sandbox))
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__NAMESPACE", "staging")

    open_tickets(found, **rules)

    assert len(incidents(sandbox)) == 2 * before


def test_a_mistake_in_the_file_stops_the_task_before_anything_happens(sandbox, share, open_tickets):
    share(sales={"tabel": "problem"})

    with pytest.raises(ServiceNowConfigError, match=r"projects\.yaml: Project 'sales', at tabel: .*'table'"):
        open_tickets(NULLS, project="sales")

    assert sandbox.requests == []
