"""What a project says of statuses and comments holds where they are pushed."""

from __future__ import annotations

import pytest
from reporting import anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.projects.project import Project

RUN = Run("dag", "run", "push")


def push(desk, **rules):
    found = anomaly(status="resolved")
    pushed = push_status(desk, [found], run=RUN, project=Project(**rules))
    return [result["action"] for result in pushed.results]


def comment(desk, asked=None, **rules):
    found = anomaly(comments=[Comment(id="1", author="Jane", body="Known.")])
    pushed = push_comments(desk, [found], run=RUN, project=Project(**rules), journal=asked)
    return [result["action"] for result in pushed.results]


@pytest.mark.parametrize(
    ("of_project", "of_task", "action", "state"),
    [
        ({"Resolved": "work_note"}, None, "noted", "1"),
        ({"resolved": "nothing"}, None, "suppressed", "1"),
        ({"resolved": "nothing"}, {"RESOLVED": "resolve"}, "resolved", "6"),
        ({"acknowledged": "nothing"}, None, "resolved", "6"),
    ],
)
def test_a_task_goes_before_its_project_and_that_before_the_default(
    desk, sandbox, of_project, of_task, action, state
):
    report(desk, anomaly())
    project = Project(on_status=of_project)

    pushed = push_status(desk, [anomaly(status="resolved")], run=RUN, project=project, on_status=of_task)

    assert [result["action"] for result in pushed.results] == [action]
    assert incidents(sandbox)[0]["state"] == state


@pytest.mark.parametrize(
    ("asked", "rules", "column"),
    [
        (None, {}, "work_notes"),
        (None, {"journal": "comments"}, "comments"),
        ("work_notes", {"journal": "comments"}, "work_notes"),
    ],
)
def test_comments_go_to_the_projects_journal_unless_the_task_names_one(desk, sandbox, asked, rules, column):
    report(desk, anomaly())
    sandbox.clear_requests()

    assert comment(desk, asked, **rules) == ["noted"]

    (sent,) = [logged.body for logged in sandbox.requests if logged.method == "PATCH"]
    assert list(sent) == [column]


@pytest.mark.parametrize("direction", ["none", "inbound"])
def test_what_a_project_does_not_push_is_not_pushed_and_said(desk, sandbox, direction):
    report(desk, anomaly())
    sandbox.clear_requests()
    project = Project(sync={"status": direction, "comments": direction})
    remarks = anomaly(status="resolved", comments=[Comment(id="1", body="Known.")])

    told = push_status(desk, [remarks], run=RUN, project=project)
    said = push_comments(desk, [remarks], run=RUN, project=project)

    assert [result["action"] for result in (*told.results, *said.results)] == ["suppressed"] * 2
    assert "the project does not push status (sync)" in told.results[0]["message"]
    assert writes(sandbox) == []


@pytest.mark.parametrize("direction", ["outbound", "bidirectional"])
def test_what_a_project_pushes_is_pushed(desk, sandbox, direction):
    report(desk, anomaly())

    assert push(desk, sync={"status": direction, "comments": "none"}) == ["resolved"]
    assert comment(desk, sync={"status": "none", "comments": direction}) == ["noted"]
