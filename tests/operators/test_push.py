"""Telling tickets what became of their anomalies, as a task does it."""

from __future__ import annotations

import io
import json

import pytest
from airflow.sdk.exceptions import AirflowFailException
from operating import ListeningTaskInstance, incidents

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, ServiceNowConfigError
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowPushCommentsOperator,
    ServiceNowPushStatusOperator,
)
from airflow_provider_servicenow_dq.store.moving import export_store

LIMITS = {"source": "qualytics", "external_id": 824, "dataset": "sales.orders", "check_name": "max_value"}
ACKNOWLEDGED = {**LIMITS, "status": "acknowledged", "status_changed_at": "2024-01-15T10:30:00Z"}
RESOLVED = {**LIMITS, "status": "resolved", "status_changed_at": "2024-01-15T11:00:00Z"}
REMARKS = [{"id": str(number), "body": body} for number, body in enumerate(["first", "same", "same"], 7)]
COMMENTED = {**LIMITS, "comments": REMARKS}
COPIES = ["Comment from Qualytics: first", "Comment from Qualytics: same", "Comment from Qualytics: same"]
NOTE = "[2024-01-15 10:30:00 UTC] Qualytics Anomaly Status: Acknowledged"


@pytest.fixture
def ticket(sandbox, open_tickets):
    """The ticket of the anomaly, as it is at this moment."""
    open_tickets([LIMITS], ti=ListeningTaskInstance())
    sandbox.clear_requests()

    def now():
        (incident,) = incidents(sandbox)
        return incident

    return now


def run(operator, anomalies, *, ti=None, **parameters):
    task = operator(task_id="push", anomalies=anomalies, **parameters)
    return task.execute({} if ti is None else {"ti": ti})


def status(anomalies, **parameters):
    return run(ServiceNowPushStatusOperator, anomalies, **parameters)


def comments(anomalies, **parameters):
    return run(ServiceNowPushCommentsOperator, anomalies, **parameters)


def journal(sandbox, element="work_notes"):
    return [row["value"] for row in sandbox.records("sys_journal_field") if row["element"] == element]


def notes(sandbox, ticket):
    return sandbox.notes(ticket()["sys_id"])


def patches(sandbox):
    return [logged.body for logged in sandbox.requests if logged.method != "GET"]


def test_a_status_is_a_work_note_in_the_words_of_the_seed_and_the_result_names_the_ticket(sandbox, ticket):
    ti = ListeningTaskInstance(task_id="push")

    (delivery,) = status([ACKNOWLEDGED], ti=ti)

    assert ti.xcom["servicenow_url"].endswith(ticket()["sys_id"])
    assert notes(sandbox, ticket) == [NOTE]
    assert (delivery["action"], delivery["delivered"], delivery["anomaly_id"]) == ("noted", True, 824)
    assert delivery["ticket"]["ticket_number"] == ticket()["number"]
    assert delivery["ticket"]["description"] is None, "an XCom stays small"
    assert ticket()["state"] == "1"


def test_comments_are_work_notes_in_the_words_of_the_seed_in_order_one_delivery_each(sandbox, ticket):
    deliveries = comments(COMMENTED)

    assert notes(sandbox, ticket) == COPIES
    assert [each["action"] for each in deliveries] == ["noted"] * 3
    assert {each["message"].partition(": ")[2] for each in deliveries} == {"a comment in its source"}
    assert all(set(body) == {"work_notes"} for body in patches(sandbox))


@pytest.mark.parametrize("chosen_by", ["operator", "project"])
def test_comments_go_where_the_caller_reads_them_by_choice(sandbox, connect, ticket, chosen_by):
    if chosen_by == "project":
        connect(sandbox.url, projects={"default": {"journal": "comments"}})
        comments(COMMENTED)
    else:
        comments(COMMENTED, journal="comments")

    assert journal(sandbox, "comments") == COPIES
    assert journal(sandbox, "work_notes") == []


def test_a_task_may_choose_work_notes_where_the_project_says_otherwise(sandbox, connect, ticket):
    connect(sandbox.url, projects={"default": {"journal": "comments"}})

    comments(COMMENTED, journal="work_notes")

    assert notes(sandbox, ticket) == COPIES


@pytest.mark.parametrize(
    ("close_codes", "expected"), [("old", "Solved (Permanently)"), ("new", "Solution provided")]
)
def test_resolving_is_one_request_with_a_close_code_that_the_instance_has(
    sandbox, ticket, close_codes, expected
):
    sandbox.configure(close_code_set=close_codes)
    try:
        (delivery,) = status(RESOLVED)
        (body,) = patches(sandbox)
        choices = [row["value"] for row in sandbox.records("sys_choice") if row["element"] == "close_code"]
    finally:
        sandbox.configure(close_code_set="new")

    assert delivery["action"] == "resolved"
    assert set(body) == {"state", "close_code", "close_notes", "work_notes"}
    assert (ticket()["state"], ticket()["close_code"]) == ("6", expected)
    assert expected in choices or not choices


def test_active_again_reopens_what_we_resolved(sandbox, ticket):
    status(RESOLVED)

    (delivery,) = status({**LIMITS, "status": "active", "status_changed_at": "2024-01-16T08:00:00Z"})

    assert (delivery["action"], ticket()["state"]) == ("reopened", "2")


def test_what_a_status_does_is_the_projects_to_say_and_the_tasks_before_it(sandbox, connect, ticket):
    connect(sandbox.url, projects={"default": {"on_status": {"Acknowledged": "nothing"}}})
    discarded = {**LIMITS, "status": "discarded", "status_changed_at": "2024-01-16T08:00:00Z"}

    (by_project,) = status(ACKNOWLEDGED)
    (by_task,) = status(ACKNOWLEDGED, on_status={"acknowledged": "work_note"})
    (resolved,) = status(discarded, on_status={"DISCARDED": "resolve"})

    assert [each["action"] for each in (by_project, by_task, resolved)] == ["suppressed", "noted", "resolved"]
    assert ticket()["state"] == "6"


def test_a_project_that_is_not_kept_in_step_pushes_nothing(sandbox, connect, ticket):
    connect(sandbox.url, projects={"default": {"sync": "inbound"}})

    assert [each["action"] for each in [*status(ACKNOWLEDGED), *comments(COMMENTED)]] == ["suppressed"] * 2
    assert patches(sandbox) == []


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "error_before", "rate_limited"])
@pytest.mark.parametrize("skip", [0, 2])
def test_whatever_is_lost_and_retried_each_comment_arrives_once_and_in_order(
    sandbox, connect, ticket, fault, skip
):
    connect(sandbox.url, timeout_s=0.3)
    ti = ListeningTaskInstance(task_id="push")
    sandbox.fail_next(fault, method="PATCH", skip=skip)

    for _ in range(4):
        try:
            deliveries = comments(COMMENTED, ti=ti)
        except DeliveryPendingError:
            forget_limits()  # the next try is made when they are over
            continue
        break

    assert notes(sandbox, ticket) == COPIES
    assert [each["action"] for each in deliveries] == ["noted"] * 3, "a retry tells what the task did"
    assert [each["action"] for each in comments(COMMENTED)] == ["unchanged"] * 3, "another task did nothing"
    assert notes(sandbox, ticket) == COPIES


def test_results_are_there_before_a_failure_that_is_worth_a_retry(sandbox, ticket):
    ti = ListeningTaskInstance(task_id="push")
    sandbox.fail_next("rate_limited", method="PATCH", count=50, retry_after=120)

    with pytest.raises(DeliveryPendingError, match="429") as failure:
        comments(COMMENTED, ti=ti)

    assert failure.value.retry_after == 120
    assert [each["delivered"] for each in ti.xcom["return_value"]] == [False] * 3


def test_what_the_instance_refuses_fails_the_task_for_good_in_its_words(sandbox, ticket):
    ti = ListeningTaskInstance(task_id="push")
    sandbox.configure(abort=("incident",))

    with pytest.raises(AirflowFailException, match="was aborted by Business Rule"):
        status(ACKNOWLEDGED, ti=ti)

    (delivery,) = ti.xcom["return_value"]
    assert delivery["delivered"] is False
    assert "not delivered (dead)" in delivery["warnings"][0]


def test_an_instance_that_was_down_gets_everything_in_the_order_in_which_it_was_said(sandbox, ticket):
    sandbox.fail_next("error_before", count=50)
    for push in (lambda: status(ACKNOWLEDGED), lambda: comments(COMMENTED), lambda: status(RESOLVED)):
        with pytest.raises(DeliveryPendingError):
            push()
    sandbox.service.faults.clear()

    (last,) = status(RESOLVED)

    assert notes(sandbox, ticket)[:-1] == [NOTE, *COPIES]
    assert last["delivered"] is True
    assert ticket()["state"] == "6"


def test_a_dry_run_says_what_the_real_one_then_sends_and_leaves_everything_as_it_is(sandbox, ticket, store):
    def memory():
        file = io.StringIO()
        export_store(store, file)
        return file.getvalue()

    for push, anomaly in ((status, ACKNOWLEDGED), (comments, COMMENTED), (status, RESOLVED)):
        before = memory()
        sandbox.clear_requests()
        rehearsed = push(anomaly, dry_run=True)
        assert patches(sandbox) == []
        assert memory() == before
        assert all(each["message"].startswith("Dry run, nothing was sent: ") for each in rehearsed)

        real = push(anomaly)

        assert [each["action"] for each in rehearsed] == [each["action"] for each in real]
        would = [write["values"] for each in rehearsed for write in each["would_send"]]
        assert would == patches(sandbox)


def test_without_a_store_a_dry_run_looks_for_the_ticket_and_makes_none(
    sandbox, ticket, tmp_path, monkeypatch
):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'none.db'}")

    (rehearsed,) = status(ACKNOWLEDGED, dry_run=True)

    assert rehearsed["would_send"][0]["values"] == {"work_notes": NOTE}
    assert not (tmp_path / "none.db").exists()


def test_a_payload_that_a_template_has_made_text_is_read(sandbox, ticket):
    assert [each["action"] for each in status(json.dumps([ACKNOWLEDGED]))] == ["noted"]

    with pytest.raises(ServiceNowConfigError, match="not JSON"):
        status("[{'dataset': 1}]")


def test_no_anomalies_are_no_request_and_no_result(sandbox):
    assert status([]) == comments([]) == []
    assert sandbox.requests == []


def test_an_anomaly_without_a_ticket_is_told_to_nobody(sandbox):
    assert [each["action"] for each in [*status(ACKNOWLEDGED), *comments(COMMENTED)]] == ["suppressed"] * 2
    assert incidents(sandbox) == []


def test_a_journal_that_there_is_not_is_refused_in_words(sandbox, ticket):
    with pytest.raises(ServiceNowConfigError, match="journal must be work_notes or comments"):
        comments(COMMENTED, journal="diary")
