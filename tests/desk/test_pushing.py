"""Status and comments of anomalies, copied to their tickets."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.project import Project

AT_NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)


def push(desk, *anomalies, run="push", **options):
    return push_status(desk, anomalies, run=Run("dag", run, "push"), **options)


def comment(desk, *comments, run="push", **options):
    remarks = [Comment(id=name, body=body) for name, body in comments]
    return push_comments(desk, [anomaly(comments=remarks)], run=Run("dag", run, "comment"), **options)


def by_hand(sandbox, record, **values):
    return sandbox.act_as("beth.anglin", "incident", record["sys_id"], values)


def the_incident(sandbox):
    (incident,) = incidents(sandbox)
    return incident


def test_a_status_is_noted_in_the_words_of_the_seed(desk, sandbox):
    seen = anomaly(source="qualytics", external_id="824")
    report(desk, seen)
    changed_at = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)

    pushed = push(desk, anomaly(source="qualytics", external_id="824", status="acknowledged",
                                status_changed_at=changed_at))  # fmt: skip

    assert actions(pushed) == ["noted"]
    assert sandbox.notes(the_incident(sandbox)["sys_id"]) == [
        "[2024-01-15 10:30:00 UTC] Qualytics Anomaly Status: Acknowledged"
    ]
    assert the_incident(sandbox)["state"] == "1"


def test_a_resolved_anomaly_resolves_its_ticket_in_one_request(desk, sandbox):
    report(desk, anomaly())
    sandbox.clear_requests()

    pushed = push(desk, anomaly(status="resolved", status_changed_at=AT_NOON))

    incident = the_incident(sandbox)
    assert actions(pushed) == ["resolved"]
    assert (incident["state"], incident["close_code"]) == ("6", "Solution provided")
    assert "Anomaly Status: Resolved" in incident["close_notes"]
    assert sandbox.notes(incident["sys_id"]) == [incident["close_notes"]]
    assert writes(sandbox) == ["PATCH"]


@pytest.mark.parametrize(
    ("close_codes", "expected"), [("old", "Solved (Permanently)"), ("both", "Solution provided")]
)
def test_the_close_code_is_one_that_the_instance_has(desk, sandbox, close_codes, expected):
    sandbox.configure(close_code_set=close_codes)
    report(desk, anomaly())

    push(desk, anomaly(status="resolved"))
    code = the_incident(sandbox)["close_code"]
    sandbox.configure(close_code_set="new")

    assert code == expected


def test_the_projects_close_code_goes_before(desk, sandbox):
    report(desk, anomaly())

    push(desk, anomaly(status="resolved"), project=Project(close_code="Known error"))

    assert the_incident(sandbox)["close_code"] == "Known error"


def test_a_ticket_stays_open_while_another_anomaly_on_it_is(desk, sandbox):
    report(desk, anomaly("a"), anomaly("b"), group_by="dataset")

    first = push(desk, anomaly("a", status="resolved", status_changed_at=AT_NOON))
    assert actions(first) == ["noted"]
    assert "1 of 2 anomalies" in first.results[0]["message"]
    assert the_incident(sandbox)["state"] == "1"

    second = push(desk, anomaly("b", status="invalid"), anomaly("a", status="resolved"))

    assert the_incident(sandbox)["state"] == "6"
    assert actions(second) == ["noted", "resolved"]


def test_a_ticket_that_waits_for_somebody_is_not_resolved_over_their_heads(desk, sandbox):
    report(desk, anomaly())
    by_hand(sandbox, the_incident(sandbox), state="3", hold_reason="1")

    pushed = push(desk, anomaly(status="resolved"))

    assert actions(pushed) == ["noted"]
    assert the_incident(sandbox)["state"] == "3"


def test_active_again_reopens_what_we_resolved(desk, sandbox):
    report(desk, anomaly())
    push(desk, anomaly(status="resolved"))

    pushed = push(desk, anomaly(status="active"))

    assert actions(pushed) == ["reopened"]
    assert the_incident(sandbox)["state"] == "2"


def test_active_again_does_not_reopen_what_people_resolved(desk, sandbox):
    report(desk, anomaly())
    done = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    by_hand(sandbox, the_incident(sandbox), **done)

    pushed = push(desk, anomaly(status="active"))

    assert actions(pushed) == ["noted"]
    assert the_incident(sandbox)["state"] == "6"


def test_a_change_of_status_is_pushed_once_and_the_next_one_again(desk, sandbox):
    report(desk, anomaly())

    for status in ("acknowledged", "acknowledged", "active", "acknowledged"):
        push(desk, anomaly(status=status))

    texts = sandbox.notes(the_incident(sandbox)["sys_id"])
    assert [text.rsplit(" ", 1)[1] for text in texts] == ["Acknowledged", "Active", "Acknowledged"]


def test_a_task_that_runs_again_tells_what_it_did_and_another_that_nothing_changed(desk):
    report(desk, anomaly())
    resolved = anomaly(status="resolved")

    assert actions(push(desk, resolved, run="one")) == ["resolved"]
    assert actions(push(desk, resolved, run="one")) == ["resolved"]
    assert actions(push(desk, resolved, run="other")) == ["unchanged"]


def test_a_status_older_than_what_is_known_does_not_resolve(desk, sandbox):
    report(desk, anomaly())
    push(desk, anomaly(status="active", status_changed_at=AT_NOON))

    push(desk, anomaly(status="resolved", status_changed_at=AT_NOON.replace(hour=11)))

    assert the_incident(sandbox)["state"] == "1"


def test_what_a_status_does_can_be_chosen(desk, sandbox):
    report(desk, anomaly())

    pushed = push(desk, anomaly(status="resolved"), on_status={"Resolved": "nothing"})

    assert actions(pushed) == ["suppressed"]
    assert sandbox.notes(the_incident(sandbox)["sys_id"]) == []


@pytest.mark.parametrize("on_status", [{"done": "resolve"}, {"resolved": "close"}])
def test_an_effect_that_does_not_exist_is_refused_in_words(desk, on_status):
    with pytest.raises(ServiceNowConfigError, match="on_status"):
        push(desk, anomaly(), on_status=on_status)


def test_comments_are_copied_in_order_and_each_once(desk, sandbox):
    report(desk, anomaly())

    comment(desk, ("9", "looking"), ("10", "same"))
    comment(desk, ("9", "looking"), ("10", "same"), ("1", "same"), run="next")

    assert sandbox.notes(the_incident(sandbox)["sys_id"]) == [
        "Comment from Custom: looking",
        "Comment from Custom: same",
        "Comment from Custom: same",
    ]


def test_comments_can_go_where_the_caller_reads_them(desk, sandbox):
    report(desk, anomaly())

    comment(desk, ("1", "hello"), journal="comments")

    rows = [row for row in sandbox.records("sys_journal_field") if row["element"] == "comments"]
    assert [row["value"] for row in rows] == ["Comment from Custom: hello"]


def test_a_lost_store_doubles_neither_comment_nor_status(make_desk, sandbox):
    report(make_desk("old"), anomaly())
    resolved = anomaly(status="resolved", status_changed_at=AT_NOON)
    comment(make_desk("old"), ("1", "same"), ("2", "same"))
    push(make_desk("old"), resolved)
    sandbox.clear_requests()

    comment(make_desk("new"), ("1", "same"), ("2", "same"), ("3", "same"), run="later")
    push(make_desk("new"), resolved, run="later")

    assert writes(sandbox) == ["PATCH"]
    texts = sandbox.notes(the_incident(sandbox)["sys_id"])
    assert texts.count("Comment from Custom: same") == 3


def test_what_one_account_wrote_another_recognises(make_desk, sandbox):
    """The first sends a note and loses the answer; the second takes over."""
    first = make_desk()
    report(first, anomaly())
    sandbox.fail_next("drop_after", method="PATCH")
    sandbox.fail_next("error_before", method="GET", count=9)
    assert comment(first, ("1", "hello")).pending
    sandbox.service.faults.clear()

    config = dataclasses.replace(first.config, login="admin", password="admin")
    with Transport(config) as transport:
        table_api = TableApi(transport)
        second = make_desk(config=config, table_api=table_api, names=Names(table_api))
        pushed = comment(second, ("1", "hello"))

    assert pushed.failures == []
    assert len(sandbox.notes(the_incident(sandbox)["sys_id"])) == 1


def test_an_anomaly_without_a_ticket_has_nothing_to_push_to(desk, sandbox):
    assert actions(push(desk, anomaly(status="resolved"))) == ["suppressed"]
    assert writes(sandbox) == []


def test_a_comment_waits_for_the_ticket_that_could_not_be_opened_yet(desk, sandbox):
    sandbox.configure(mandatory=("incident.caller_id",))
    report(desk, anomaly())

    blocked = comment(desk, ("1", "hello"))
    sandbox.configure(mandatory=())
    report(desk, anomaly())

    assert "blocked" in blocked.failures[0]
    assert blocked.pending == []
    assert sandbox.notes(the_incident(sandbox)["sys_id"]) == ["Comment from Custom: hello"]


def test_nothing_is_written_on_a_ticket_that_is_closed(desk, sandbox):
    report(desk, anomaly())
    done = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", the_incident(sandbox)["sys_id"], done)

    pushed = comment(desk, ("1", "too late"))

    assert actions(pushed) == ["unchanged"]
    assert "Closed" in pushed.results[0]["warnings"][0]
    assert pushed.failures == []


@pytest.mark.parametrize(
    "kind", ["drop_after", "drop_before", "late_commit", "forbidden_but_done", "cancelled"]
)
def test_a_resolution_whose_answer_is_lost_is_done_once_and_known_as_ours(desk, sandbox, kind):
    report(desk, anomaly())
    sandbox.fail_next(kind, method="PATCH")

    pushed = push(desk, anomaly(status="resolved"))
    again = push(desk, anomaly(status="active"))

    assert actions(pushed) == ["resolved"]
    assert actions(again) == ["reopened"]
    assert len(sandbox.notes(the_incident(sandbox)["sys_id"])) == 2


def test_where_the_tickets_are_is_asked_for_all_anomalies_at_once(desk):
    def statements_for(count):
        asked = []
        with desk.store.begin() as connection:
            engine = connection.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        push(desk, *(anomaly(check_name=f"check {number}") for number in range(count)))
        return len(asked)

    statements_for(1)  # what is asked once only

    assert statements_for(40) == statements_for(2)
