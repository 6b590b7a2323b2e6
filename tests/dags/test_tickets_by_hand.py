"""Tickets that people ask for: a form with the instance's own drop-downs, and an approval before anything."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq.hooks import trigger_form
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook

DAGS = Path(__file__).parent.parent.parent / "dags"


def parse(name):
    bag = DagBag(DAGS / f"{name}.py")
    assert bag.import_errors == {}
    return bag.dags[name]


def run(dag, returned_by, *, marked=None, **conf):
    dag_run = dag.test(run_conf=conf, mark_success_pattern=marked)
    ti = dag_run.get_task_instance(returned_by)
    return dag_run, ti.xcom_pull(task_ids=returned_by)


def ours(sandbox):
    return [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]


def offered(dag, name):
    return dag.params.get_param(name).schema


@pytest.fixture(scope="module")
def forgetful(sandbox):
    """Where the form has never been asked for, by the DAG as it parses then."""
    return parse("create_ticket")


@pytest.fixture(scope="module")
def form(sandbox, forgetful):
    """The DAG as it parses after somebody has asked for the form: it offers another group by then."""
    sandbox.act_as("admin", "sys_user_group", *named(sandbox, "Database"), {"name": "Data Custodians"})
    ServiceNowHook().get_form_specification()
    return parse("create_ticket")


def named(sandbox, name):
    return [row["sys_id"] for row in sandbox.records("sys_user_group") if row["name"] == name]


def test_before_the_instance_has_told_anything_the_form_offers_what_every_one_has(forgetful):
    labels = offered(forgetful, "category")["values_display"]
    assert labels["software > email"] == "Software > Email"
    assert offered(forgetful, "impact")["values_display"]["1"] == "1 - High"
    assert "enum" not in offered(forgetful, "assignment_group")


def test_then_it_offers_what_the_instance_has(form, sandbox):
    groups = offered(form, "assignment_group")
    (custodians,) = named(sandbox, "Data Custodians")
    assert groups["values_display"][custodians] == "Data Custodians"
    assert set(groups["enum"]) == {None, *(set(groups["values_display"]) - {"None"})}
    assert "database > db2" in offered(form, "category")["enum"]
    assert form.params["impact"] is None
    assert not form.params.get_param("short_description").has_value


def test_a_filled_in_form_becomes_a_ticket_with_what_was_chosen(form, sandbox):
    (custodians,) = named(sandbox, "Data Custodians")
    conf = {
        "short_description": "Prices {look} wrong",
        "description": "All of them",
        "dataset": "sales.prices",
        "category": "database > db2",
        "assignment_group": custodians,
        "priority": "2",
    }
    dag_run, results = run(form, "open_tickets", **conf)
    assert str(dag_run.state) == "success"
    (result,) = results
    (row,) = [row for row in ours(sandbox) if row["short_description"] == "Prices {look} wrong"]
    assert result["ticket"]["ticket_number"] == row["number"]
    assert "All of them" in row["description"]
    assert {name: row[name] for name in ("category", "subcategory", "assignment_group", "priority")} == {
        "category": "database",
        "subcategory": "db2",
        "assignment_group": custodians,
        "priority": "2",
    }


def test_the_same_title_on_the_same_dataset_is_noted_on_the_open_ticket(form, sandbox):
    conf = {"short_description": "Twice", "dataset": "sales.prices"}
    first, second = (run(form, "open_tickets", **conf)[1] for _ in range(2))
    assert [first[0]["action"], second[0]["action"]] == ["created", "noted"]
    assert len([row for row in ours(sandbox) if row["short_description"] == "Twice"]) == 1


def test_what_was_left_empty_is_decided_as_usual():
    assert trigger_form.ticket_columns({"impact": None, "category": None, "priority": "1"}) == {}
    assert trigger_form.ticket_columns({"impact": "2", "category": "software"}) == {
        "impact": "2",
        "category": "software",
    }


@pytest.mark.parametrize("kind", ["silent", "refusing", "a folder", "nonsense"])
def test_a_store_that_is_away_neither_breaks_nor_holds_up_the_parsing(sandbox, monkeypatch, kind, tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if kind == "silent":
            listening.listen()
        database = f"postgresql+psycopg2://who:what@127.0.0.1:{port}/where"
        urls = {"a folder": f"sqlite:///{tmp_path}", "nonsense": "no store: at all"}
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", urls.get(kind, database))
        began = time.monotonic()
        dag = parse("create_ticket")
        assert time.monotonic() - began < 10
    assert "software > email" in offered(dag, "category")["enum"]


def test_parsing_makes_no_store(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'none.db'}")
    parse("create_ticket")
    assert list(tmp_path.iterdir()) == []


def test_parsing_asks_the_instance_nothing(form, sandbox):
    asked = len(sandbox.requests)
    parse("create_ticket")
    assert len(sandbox.requests) == asked


@pytest.fixture(scope="module")
def approved(sandbox):
    """The run, once with an approval that is given without asking."""
    before = ours(sandbox)
    found = {"source": "custom", "dataset": "nyc.flights", "check_name": "```verspätet"}
    dag_run, shown = run(parse("approve_before_creating"), "describe", marked="approve", anomalies=[found])
    return dag_run, shown, [row for row in ours(sandbox) if row not in before]


def test_what_is_approved_is_what_is_sent(approved):
    dag_run, shown, created = approved
    assert str(dag_run.state) == "success"
    assert [row["short_description"] for row in created] == ["```verspätet fails for nyc.flights"]
    assert '"short_description": "` ` `verspätet fails for nyc.flights"' in shown
    assert shown.startswith("`POST incident (new)`")


def test_a_text_from_outside_cannot_leave_the_block_in_which_it_is_shown(approved):
    _, shown, _ = approved
    assert shown.count("```") == 2


def test_nobody_is_asked_when_nothing_would_be_sent(sandbox):
    settled = {"source": "custom", "dataset": "nyc", "check_name": "settled", "status": "resolved"}
    dag_run, _ = run(parse("approve_before_creating"), "describe", anomalies=[settled])
    states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    assert states["describe"] == states["approve"] == states["open_tickets"] == "skipped"
