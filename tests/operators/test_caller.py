"""The person who triggered the run as the caller of the ticket."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from operating import ListeningTaskInstance, incidents

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

NULLS = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}
BETH = "beth.anglin"


@pytest.fixture
def caller(sandbox):
    """Open a ticket in a run that somebody triggered; return its caller and its warnings."""

    def opened(user, **parameters):
        parameters = {"caller_from_user": True, **parameters}
        operator = ServiceNowCreateIncidentOperator(task_id="open", anomalies=NULLS, **parameters)
        context = {"ti": ListeningTaskInstance(), "dag_run": SimpleNamespace(triggering_user_name=user)}
        (result,) = operator.execute(context)
        rows = sandbox.records(operator.table or "incident")
        (record,) = [row for row in rows if row["correlation_id"].startswith("dq:")]
        return record, result["warnings"]

    return opened


@pytest.fixture
def people(sandbox):
    return {row["user_name"]: row["sys_id"] for row in sandbox.records("sys_user")}


@pytest.mark.parametrize("user", [f"{BETH}@example.com", f"{BETH.upper()}@EXAMPLE.com", BETH])
def test_whoever_triggered_the_run_is_found_by_e_mail_address_or_user_name(caller, people, user):
    ticket, warnings = caller(user)

    assert ticket["caller_id"] == people[BETH]
    assert warnings == []


def test_a_user_name_that_is_an_e_mail_address_is_found_where_no_address_is(sandbox, caller, people):
    sandbox.act_as("admin", "sys_user", people[BETH], {"user_name": "beth@elsewhere.org"})

    assert caller("beth@elsewhere.org")[0]["caller_id"] == people[BETH]


def test_nobody_of_that_name_leaves_the_caller_to_the_instance_with_a_warning(caller):
    ticket, (warning,) = caller("jane@acme.com")

    assert ticket["caller_id"] == ""
    assert "no active user of the instance has the e-mail address or user name 'jane@acme.com'" in warning


def test_two_people_of_that_address_are_a_warning_and_no_error(sandbox, caller, people):
    others = [name for name in people if name != BETH][:1]
    sandbox.act_as("admin", "sys_user", people[others[0]], {"email": f"{BETH}@example.com"})

    ticket, (warning,) = caller(f"{BETH}@example.com")

    assert ticket["caller_id"] == ""
    assert "2 active users are 'beth.anglin@example.com'" in warning


def test_a_full_name_is_not_what_somebody_logs_in_with(caller):
    ticket, (warning,) = caller("Beth Anglin")

    assert ticket["caller_id"] == ""
    assert "'Beth Anglin'" in warning


def test_a_scheduled_run_has_no_caller_and_asks_for_nobody(sandbox, caller):
    ticket, warnings = caller(None)

    assert (ticket["caller_id"], warnings) == ("", [])
    assert [logged for logged in sandbox.requests if "sys_user?" in logged.path] == []


def test_a_caller_that_is_named_goes_before(caller, people):
    assert caller(f"{BETH}@example.com", caller_id="admin")[0]["caller_id"] == people["admin"]


def test_without_the_rule_nobody_is_the_caller(caller):
    assert caller(f"{BETH}@example.com", caller_from_user=None)[0]["caller_id"] == ""


def test_the_project_can_say_so_for_all_its_tickets_and_a_task_otherwise(sandbox, connect, caller, people):
    connect(sandbox.url, projects={"default": {"caller_from_user": True}})

    assert caller(BETH, caller_from_user=None)[0]["caller_id"] == people[BETH]


def test_a_task_may_leave_them_out_where_the_project_takes_them(sandbox, connect, caller):
    connect(sandbox.url, projects={"default": {"caller_from_user": True}})

    assert caller(BETH, caller_from_user=False)[0]["caller_id"] == ""


def test_a_change_request_has_them_as_who_asks_for_it(caller, people):
    assert caller(BETH, table="change_request")[0]["requested_by"] == people[BETH]


def test_a_table_without_such_a_column_is_a_warning(caller):
    _, warnings = caller(BETH, table="problem")

    assert warnings == ["problem has no column caller_id, so 'beth.anglin' is not its caller"]


def test_a_dry_run_shows_whom_it_would_be(sandbox, people):
    operator = ServiceNowCreateIncidentOperator(
        task_id="open", anomalies=NULLS, caller_from_user=True, dry_run=True
    )

    (result,) = operator.execute({"dag_run": SimpleNamespace(triggering_user_name=BETH)})

    assert result["would_send"][0]["values"]["caller_id"] == people[BETH]
    assert incidents(sandbox) == []
