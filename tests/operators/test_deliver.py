"""Delivering later, and what was refused for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowFailException
from operating import incidents

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowDeliverOperator
from airflow_provider_servicenow_dq.store import instances, outbox

POISON = "incident when short_descriptionLIKEpoison"


def anomaly(check="dep_time not null", **fields):
    return {"dataset": "nyc.flights", "check_name": check, "severity": "high", **fields}


@pytest.fixture
def fail_to_open(sandbox, open_tickets):
    """Report anomalies to an instance that is down for the while."""

    def report(*anomalies, **parameters):
        sandbox.fail_next("error_before", count=1000)
        with pytest.raises(DeliveryPendingError):
            open_tickets(list(anomalies), **parameters)
        sandbox.reset()

    return report


def deliver(ti=None, **parameters):
    operator = ServiceNowDeliverOperator(task_id="deliver", **parameters)
    return operator.execute({} if ti is None else {"ti": ti})


def counts(returned):
    names = ("delivered", "waiting", "sending", "dead", "blocked")
    return tuple(returned[name] for name in names)


def test_an_empty_outbox_is_no_request_and_no_failure(sandbox):
    returned = deliver()

    assert counts(returned) == (0, 0, 0, 0, 0)
    assert returned["schema_version"] == 1
    assert sandbox.requests == []


def test_what_could_not_be_sent_is_delivered_later_in_the_order_in_which_it_was_recorded(
    sandbox, store, fail_to_open
):
    checks = [f"check {number:03}" for number in range(40)]
    fail_to_open(*map(anomaly, checks))

    returned = deliver()

    assert counts(returned) == (40, 0, 0, 0, 0)
    with store.begin() as connection:
        first = outbox.by_ids(connection, [1])[1].payload["anomaly"]["check_name"]
    opened = sorted(incidents(sandbox), key=lambda record: record["number"])
    assert opened[0]["short_description"] == f"{first} failed on nyc.flights"
    assert {record["short_description"] for record in opened} == {
        f"{check} failed on nyc.flights" for check in checks
    }
    # They were looked for together.
    assert sum(logged.method == "GET" for logged in sandbox.requests) <= 5
    assert json.loads(json.dumps(returned)) == returned


def test_an_instance_that_is_still_down_fails_the_task_after_its_counts_are_pushed(sandbox, fail_to_open, ti):
    fail_to_open(anomaly(), anomaly("other"))
    sandbox.fail_next("rate_limited", count=1000, retry_after=600)

    with pytest.raises(DeliveryPendingError, match="429") as failure:
        deliver(ti)

    assert failure.value.retry_after == 600
    assert counts(ti.xcom["return_value"]) == (0, 2, 0, 0, 0)


def test_dead_letters_fail_the_task_for_good_in_the_instances_words(sandbox, open_tickets, fail_to_open, ti):
    sandbox.configure(abort=(POISON,))
    with pytest.raises(AirflowFailException):
        open_tickets([anomaly(f"poison {number}") for number in range(12)])
    sandbox.fail_next("error_before", count=1000)
    with pytest.raises(DeliveryPendingError):
        open_tickets([anomaly("fine")])
    sandbox.reset()

    with pytest.raises(AirflowFailException) as failure:
        deliver(ti)

    assert counts(ti.xcom["return_value"]) == (1, 0, 0, 12, 0)
    said = str(failure.value)
    assert said.count("was aborted by Business Rule") == 10
    assert "and 2 more" in said
    assert "servicenow-dq outbox list --state dead" in said
    assert len(incidents(sandbox)) == 1


def test_dead_letters_can_be_left_alone(sandbox, open_tickets):
    sandbox.configure(abort=(POISON,))
    with pytest.raises(AirflowFailException):
        open_tickets([anomaly("poison")])

    assert counts(deliver(fail_on_dead=False)) == (0, 0, 0, 1, 0)


def test_of_what_is_dead_and_what_is_down_the_task_is_retried(sandbox, open_tickets, fail_to_open):
    sandbox.configure(abort=(POISON,))
    with pytest.raises(AirflowFailException):
        open_tickets([anomaly("poison")])
    fail_to_open(anomaly())
    sandbox.fail_next("error_before", count=1000)

    with pytest.raises(DeliveryPendingError, match="aborted by Business Rule"):
        deliver()


def test_a_run_gets_no_more_new_tickets_because_they_are_opened_later(sandbox, fail_to_open, ti, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.desk.clear._AT_ONCE", 3)
    fail_to_open(*(anomaly(f"check {number}") for number in range(9)), ti=ti, max_new_tickets=4)

    assert counts(deliver()) == (9, 0, 0, 0, 0)

    opened = incidents(sandbox)
    assert sum(record["correlation_id"].startswith("dq:rollup:") for record in opened) == 1
    assert len(opened) == 5


def test_without_a_connection_every_instance_is_served_by_the_one_that_worked_with_it_last(
    sandbox, store, fail_to_open
):
    fail_to_open(anomaly())
    host = sandbox.url.removeprefix("http://")

    returned = deliver(servicenow_conn_id=None)

    assert counts(returned) == (1, 0, 0, 0, 0)
    assert [counted["instance"] for counted in returned["instances"]] == [host]
    with store.begin() as connection:
        assert instances.get(connection, host).conn_id == "servicenow_default"


def test_an_instance_to_which_no_connection_is_known_is_named_and_holds_up_no_other(
    sandbox, store, fail_to_open, ti
):
    fail_to_open(anomaly())
    with store.begin() as connection:
        entry = outbox.by_ids(connection, [1])[1]
        lost = outbox.Draft(
            entry.address._replace(instance="gone.service-now.com"), "report|x", outbox.REPORT, entry.payload
        )
        outbox.record(connection, [lost], recorded_by="task", now=datetime.now(UTC))

    with pytest.raises(DeliveryPendingError, match=r"gone\.service-now\.com: no connection is known"):
        deliver(ti, servicenow_conn_id=None)

    assert counts(ti.xcom["return_value"]) == (1, 1, 0, 0, 0)
    assert len(incidents(sandbox)) == 1


def test_a_connection_that_leads_elsewhere_by_now_is_not_used(sandbox, store, fail_to_open, connect, ti):
    fail_to_open(anomaly())
    host = sandbox.url.removeprefix("http://")
    connect("http://127.0.0.1:9")

    with pytest.raises(DeliveryPendingError, match=rf"{host}: .*now to 127\.0\.0\.1:9"):
        deliver(ti, servicenow_conn_id=None)

    assert counts(ti.xcom["return_value"]) == (0, 1, 0, 0, 0)


def test_a_connection_that_is_gone_is_named(sandbox, fail_to_open, monkeypatch, ti):
    fail_to_open(anomaly())
    monkeypatch.delenv("AIRFLOW_CONN_SERVICENOW_DEFAULT")

    with pytest.raises(DeliveryPendingError, match="servicenow_default"):
        deliver(ti, servicenow_conn_id=None)
