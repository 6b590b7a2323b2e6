"""Tables without ``correlation_id``: tickets are known by the project's ``key_field``, or not opened."""

from __future__ import annotations

import dataclasses

import pytest
from reporting import actions, anomaly, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.adopt import adopt_all
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.project import Project

ISSUES = "u_data_issue"
COLUMNS = (
    "u_data_issue.short_description:string:160",
    "u_data_issue.description:string:4000",
    "u_data_issue.u_key:string:100",
    "u_data_issue.u_short:string:40",
    "u_data_issue.state",
)
JOURNAL = "u_data_issue.work_notes:journal"
RULES = {"table": ISSUES, "key_field": "u_key"}


@pytest.fixture
def sandbox(sandbox):
    """An instance with a table of its own, which has no ``correlation_id``."""
    sandbox.configure(table=[f"{ISSUES} for admin"], column=[*COLUMNS, JOURNAL])
    yield sandbox
    sandbox.configure(table=[], column=[])


@pytest.fixture
def open_desk(make_desk):
    """Open a desk of an administrator: a new table of an instance is nobody else's yet."""
    opened = []

    def open_one(store="store"):
        desk = make_desk(store)
        config = dataclasses.replace(desk.config, login="admin", password="admin")
        opened.append(Transport(config))
        table_api = TableApi(opened[-1])
        return dataclasses.replace(desk, config=config, table_api=table_api, names=Names(table_api))

    yield open_one
    for transport in opened:
        transport.close()


@pytest.fixture
def desk(open_desk):
    return open_desk()


def issues(sandbox):
    return [record for record in sandbox.records(ISSUES) if record["u_key"].startswith("dq:")]


def seed(desk, **values):
    """Put a record that is not ours into the table, so that it is not empty."""
    desk.table_api.create(ISSUES, {"short_description": "by hand", **values})


def test_the_correlation_id_is_kept_in_the_key_field_and_found_again_there(desk, sandbox):
    seed(desk)
    first = report(desk, anomaly(hour=0), **RULES)
    again = report(desk, anomaly(hour=1), run="next", **RULES)

    (issue,) = issues(sandbox)
    assert issue["u_key"].startswith("dq:custom:")
    assert (actions(first), actions(again)) == (["created"], ["noted"])
    assert first.failures == again.failures == []
    posted = [logged.body for logged in sandbox.requests if logged.method == "POST"][-1]
    assert "correlation_id" not in posted
    assert "correlation_display" not in posted


def test_a_lost_store_finds_the_ticket_by_its_key_field(open_desk, sandbox):
    report(open_desk(), anomaly(), **RULES)

    opening = report(open_desk("empty"), anomaly(hour=1), **RULES)

    assert len(issues(sandbox)) == 1
    assert actions(opening) == ["unchanged"]


def test_on_a_hardened_instance_the_key_field_alone_is_enough(open_desk, sandbox):
    desk = open_desk()
    sandbox.configure(admin_only_sys_fields=True)
    seed(desk)
    # As admin a sys_id is kept also there, so an opened ticket gets another one by hand.
    report(desk, anomaly(), **RULES)
    (issue,) = issues(sandbox)
    desk.table_api.delete(ISSUES, issue["sys_id"])
    desk.table_api.create(ISSUES, {"short_description": "moved", "u_key": issue["u_key"]})

    opening = report(open_desk("empty"), anomaly(hour=1), **RULES)

    assert actions(opening) == ["unchanged"]
    assert len(issues(sandbox)) == 1


def test_tickets_of_many_anomalies_are_known_by_it_too(desk, sandbox):
    report(desk, anomaly("one"), anomaly("two"), group_by="dataset", **RULES)
    opening = report(desk, anomaly("three"), group_by="dataset", run="next", **RULES)

    (issue,) = issues(sandbox)
    assert issue["u_key"].startswith("dq:group:")
    assert actions(opening) == ["linked"]


def test_what_is_delivered_later_is_known_by_it(open_desk, sandbox):
    seed(open_desk())
    sandbox.fail_next("unauthorized", method="GET", count=5)
    report(open_desk(), anomaly(), **RULES)
    assert issues(sandbox) == []
    sandbox.reset()

    clearing = deliver_waiting(open_desk(), Run("deliver", "run", "task"))

    assert clearing.causes == []
    assert [issue["u_key"][:10] for issue in issues(sandbox)] == ["dq:custom:"]


def test_comments_and_statuses_find_their_ticket_with_an_empty_store(open_desk, sandbox):
    report(open_desk(), anomaly(), **RULES)
    desk, run, project = open_desk("empty"), Run("dag", "run", "push"), Project(**RULES)

    remarks = [Comment(id="1", author="Jane", body="Known.")]
    pushed = push_comments(desk, [anomaly(comments=remarks)], run=run, project=project)
    told = push_status(desk, [anomaly(status="acknowledged")], run=run, project=project)

    assert [result["action"] for result in (*pushed.results, *told.results)] == ["noted", "noted"]
    assert len(sandbox.notes(issues(sandbox)[0]["sys_id"])) == 2


def test_a_lost_store_is_rebuilt_from_it(open_desk, sandbox):
    report(open_desk(), anomaly("one"), anomaly("two"), **RULES)

    (*_, adopted) = adopt_all(open_desk("empty"), ISSUES, key_field="u_key")

    assert (adopted.found, adopted.tickets) == (2, 2)


@pytest.mark.parametrize("rules", [{"table": ISSUES}, {"table": ISSUES, "key_field": "u_kye"}])
def test_a_table_without_the_column_gets_no_ticket_and_says_why(desk, sandbox, rules):
    seed(desk)
    sandbox.clear_requests()

    opening = report(desk, anomaly(), **rules)

    column = rules.get("key_field", "correlation_id")
    (words,) = opening.failures
    assert f"The table {ISSUES} has no column {column}" in words
    assert "key_field" in words
    assert opening.pending == []
    assert writes(sandbox) == []


def test_what_was_refused_for_want_of_a_key_field_is_opened_once_there_is_one(desk, sandbox):
    seed(desk)
    report(desk, anomaly(), table=ISSUES)

    opening = report(desk, anomaly(), **RULES)

    assert actions(opening) == ["created"]
    assert len(issues(sandbox)) == 1


def test_a_column_that_is_too_short_stops_everything_after_the_first_ticket(desk, sandbox):
    rules = {"table": ISSUES, "key_field": "u_short"}

    opening = report(desk, *(anomaly(f"check {number}") for number in range(8)), **rules)

    assert any(
        "u_short holds 'dq:custom:" in words and "76 characters" in words for words in opening.failures
    )
    assert opening.pending == []
    assert len([logged for logged in sandbox.requests if logged.method == "POST"]) == 1


def test_two_projects_that_know_a_tables_tickets_by_different_columns_are_refused(desk, sandbox):
    seed(desk)
    report(desk, anomaly(), **RULES)
    sandbox.clear_requests()

    with pytest.raises(ServiceNowConfigError, match=r"key_field 'u_short'.*are known by 'u_key'"):
        report(desk, anomaly("other"), table=ISSUES, key_field="u_short")

    assert sandbox.requests == []


def test_a_project_that_names_no_key_field_takes_the_one_that_is_known(desk, sandbox):
    seed(desk)
    report(desk, anomaly(hour=0), **RULES)

    opening = report(desk, anomaly(hour=1), run="next", table=ISSUES)

    assert actions(opening) == ["noted"]
    assert len(issues(sandbox)) == 1


def test_whether_a_table_has_the_column_is_asked_once(desk, sandbox):
    seed(desk)
    for hour in range(3):
        report(desk, anomaly(hour=hour), run=f"run {hour}", **RULES)

    asked = [logged for logged in sandbox.requests if logged.query.get("sysparm_fields") == "sys_id,u_key"]
    assert len(asked) == 1


def test_for_an_incident_nothing_is_asked(desk, sandbox):
    report(desk, anomaly())

    assert not [
        logged for logged in sandbox.requests if logged.query.get("sysparm_fields", "").count(",") == 1
    ]


def test_a_note_for_a_table_without_journals_is_said_to_be_lost(desk, sandbox):
    sandbox.configure(column=COLUMNS)
    report(desk, anomaly(hour=0), **RULES)

    (result,) = report(desk, anomaly(hour=1), run="next", **RULES).results

    assert result["warnings"] == [
        "work_notes: not in the answer; no such column, or the account may not read it"
    ]
