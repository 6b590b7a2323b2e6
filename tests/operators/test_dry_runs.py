"""Dry runs: what would be sent is returned and logged, nothing is sent and nothing written down."""

from __future__ import annotations

import io
import json
import logging

import pytest
from operating import ListeningTaskInstance, incidents

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowCreateIncidentOperator,
    ServiceNowDeliverOperator,
    ServiceNowGetRecordsOperator,
)
from airflow_provider_servicenow_dq.store.moving import export_store

NULLS = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}
CHECKS = [{**NULLS, "check_name": f"check {number}"} for number in range(6)]


def at(hour, anomaly=NULLS):
    return {**anomaly, "detected_at": f"2026-01-05T{hour:02}:00:00Z"}


def dump(store):
    file = io.StringIO()
    export_store(store, file)
    return file.getvalue()


def writes(sandbox):
    return [logged for logged in sandbox.requests if logged.method != "GET"]


@pytest.fixture
def rehearse(sandbox, open_tickets):
    """Make a dry run; return its results, with nothing sent."""

    def run(anomalies, **parameters):
        sandbox.clear_requests()
        results = open_tickets(anomalies, dry_run=True, **parameters)
        assert writes(sandbox) == []
        return results

    return run


def test_without_a_store_none_is_made_and_the_ticket_is_described(rehearse, sandbox, tmp_path):
    (result,) = rehearse(NULLS, assignment_group="Data Quality", additional_fields={"cause": "raw"})

    (write,) = result["would_send"]
    assert (result["action"], result["ticket"], result["delivered"]) == ("created", None, False)
    assert result["message"].startswith("Dry run, nothing was sent: ")
    assert (write["method"], write["table"], write["number"]) == ("POST", "incident", "(new)")
    assert write["values"]["short_description"] == "dep_time not null failed on nyc.flights"
    assert (write["values"]["impact"], write["values"]["urgency"]) == ("1", "2")
    assert write["values"]["cause"] == "raw"
    (group,) = [row["sys_id"] for row in sandbox.records("sys_user_group") if row["name"] == "Data Quality"]
    assert write["values"]["assignment_group"] == group
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_the_real_one_then_sends(rehearse, open_tickets, sandbox):
    """Whatever the moment of a ticket's life: the rehearsed requests are the ones that follow."""
    for story in ([at(0)], [at(1)], [at(2)], [at(3), at(4)], [at(5), *CHECKS]):
        results = rehearse(story)
        rehearsed = [(w["method"], w["sys_id"]) for result in results for w in result["would_send"]]

        real = open_tickets(story)

        assert [result["action"] for result in results] == [result["action"] for result in real]
        sent = [(w.method, w.path.rpartition("/")[2], w.body) for w in writes(sandbox)]
        assert sorted(rehearsed) == sorted(
            (method, body["sys_id"] if method == "POST" else sys_id) for method, sys_id, body in sent
        )


def test_what_the_store_knows_counts_and_stays_as_it_is(rehearse, open_tickets, store):
    open_tickets([at(0)])
    before = dump(store)

    (known,) = rehearse([at(0)])
    (again,) = rehearse([at(1)])

    assert (known["action"], known["would_send"]) == ("unchanged", [])
    assert known["ticket"]["ticket_number"].startswith("INC")
    assert again["action"] == "noted"
    assert list(again["would_send"][0]["values"]) == ["work_notes"]
    assert dump(store) == before


def test_a_resolved_ticket_is_shown_with_what_would_become_of_it(rehearse, open_tickets, sandbox):
    open_tickets([at(0)])
    (incident,) = incidents(sandbox)
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], solved)

    (result,) = rehearse([{**NULLS, "detected_at": "2100-01-01T00:00:00Z"}], on_refire="new")
    (other,) = rehearse([{**NULLS}], on_refire="reopen")

    assert (result["action"], result["would_send"][0]["method"]) == ("created", "POST")
    assert result["would_send"][0]["values"]["description"].startswith(f"Follows {incident['number']}")
    assert (other["action"], other["would_send"][0]["values"]["state"]) == ("reopened", "2")


def test_the_limit_of_new_tickets_and_the_floor_hold_in_a_dry_run_too(rehearse):
    results = rehearse([*CHECKS, {**NULLS, "severity": "info"}], max_new_tickets=2, min_severity="low")

    titles = [w["values"]["short_description"] for result in results for w in result["would_send"]]
    assert [title for title in titles if "beyond the limit" in title] == [
        "Data quality: 4 anomalies beyond the limit of new tickets in /" + titles[2].rpartition("/")[2]
    ]
    assert len(titles) == 3
    assert results[-1]["action"] == "suppressed"


def test_results_fit_an_xcom_and_the_log_has_the_whole(rehearse, sandbox, caplog):
    caplog.set_level(logging.INFO)
    long = {**NULLS, "message": "x" * 3000}
    columns = dict.fromkeys(("cause", "business_impact", "close_notes", "user_input"), "y" * 300)

    (result,) = rehearse(long, additional_fields=columns)

    assert len(json.dumps(result).encode()) < 1500
    assert "x" * 3000 in caplog.text
    assert "y" * 300 in caplog.text


def test_an_error_of_the_real_run_is_one_of_the_dry_run(rehearse, open_tickets, sandbox):
    with pytest.raises(Exception, match="2 records of sys_user match 'Alex Morgan'"):
        open_tickets(NULLS, dry_run=True, assigned_to="Alex Morgan")

    with pytest.raises(ServiceNowConfigError, match="'chek' is no anomaly field"):
        open_tickets(NULLS, dry_run=True, short_description="{chek}")

    assert writes(sandbox) == []


def test_a_dry_run_in_a_dag_pushes_no_address_of_a_ticket_that_is_not_there(rehearse):
    ti = ListeningTaskInstance()

    rehearse(NULLS, ti=ti)

    assert ti.xcom == {}


def test_what_waits_in_the_outbox_is_rehearsed(sandbox, open_tickets, store):
    sandbox.fail_next("unauthorized", method="GET", count=9)
    with pytest.raises(Exception, match="User Not Authenticated"):
        open_tickets([at(0), *CHECKS])
    sandbox.reset()
    before, operator = dump(store), ServiceNowDeliverOperator(task_id="deliver", dry_run=True)

    counts = operator.execute({})

    assert (counts["dry_run"], counts["waiting"], counts["delivered"]) == (True, 7, 0)
    assert [write["method"] for write in counts["would_send"]] == ["POST"] * 7
    assert writes(sandbox) == []
    assert dump(store) == before
    assert ServiceNowDeliverOperator(task_id="deliver").execute({})["delivered"] == 7
    assert len(writes(sandbox)) == 7


@pytest.mark.parametrize("conn_id", ["servicenow_default", None])
def test_a_delivery_is_rehearsed_without_a_store_too(sandbox, tmp_path, conn_id):
    counts = ServiceNowDeliverOperator(task_id="d", dry_run=True, servicenow_conn_id=conn_id).execute({})

    assert (counts["waiting"], counts["would_send"]) == (0, [])
    assert list(tmp_path.iterdir()) == []


def test_records_are_only_counted(sandbox, tmp_path):
    reading = ServiceNowGetRecordsOperator(
        task_id="read",
        table="sys_user",
        query={"active": True},
        output_path=f"file://{tmp_path / 'users.jsonl'}",
        dry_run=True,
    )

    told = reading.execute({})

    active = [row for row in sandbox.records("sys_user") if row["active"] == "true"]
    assert told == {"dry_run": True, "table": "sys_user", "query": "active=true", "count": len(active)}
    assert list(tmp_path.iterdir()) == []


def test_a_task_of_a_dag_with_a_dry_run_is_read_by_airflow_like_any(sandbox):
    """Airflow's own operators have a method of that name, which nothing in Airflow 3 calls."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("rehearsing", schedule=None) as dag:
        ServiceNowCreateIncidentOperator(task_id="open", anomalies=[NULLS], dry_run=True)

    assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == "rehearsing"
