"""``servicenow-dq plan``: what would be sent for a payload, and that nothing is."""

from __future__ import annotations

import json

import pytest
import yaml
from problems import incidents, problem, report, writes

from airflow_provider_servicenow_dq.hooks.projects import choose

NULLS = {
    "source": "custom",
    "dataset": "nyc.flights",
    "check_name": "nulls",
    "severity": "high",
    "detected_at": "2026-01-05T00:00:00Z",
}


@pytest.fixture
def payload(tmp_path):
    """Write a payload; return its path."""
    (tmp_path / "files").mkdir()

    def write(*anomalies):
        path = tmp_path / "files" / "payload.json"
        path.write_text(json.dumps(list(anomalies)), encoding="utf-8")
        return path

    return write


@pytest.fixture
def projects(tmp_path, monkeypatch):
    """Write the projects file that the configuration names."""

    def write(**projects):
        path = tmp_path / "files" / "projects.yaml"
        path.write_text(yaml.safe_dump(projects), encoding="utf-8")
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__PROJECTS_FILE", str(path))

    return write


def test_a_new_ticket_is_shown_column_by_column_and_nothing_is_sent(run, desk, payload, sandbox, tmp_path):
    told = run("plan", payload(NULLS))

    assert "nulls on nyc.flights" in told.stdout
    assert "incident (new)" in told.stdout
    assert "nulls failed on nyc.flights" in told.stdout
    assert "does not exist" in told.stderr
    assert "Anomalies: 1, checks passed: 0, not run: 0. Requests that would be sent: 1." in told.stderr
    assert writes(sandbox) == []
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_change_is_shown_as_a_diff_against_the_instance(desk, payload, read, sandbox):
    report(desk, problem("nulls"))
    (incident,) = incidents(sandbox)
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], solved)
    sandbox.clear_requests()

    (item,) = read("plan", payload({**NULLS, "detected_at": None}))

    (request,) = item["requests"]
    assert (item["action"], item["ticket"]) == ("reopened", incident["number"])
    assert (request["method"], request["sys_id"]) == ("PATCH", incident["sys_id"])
    changes = {change["column"]: (change["now"], change["then"]) for change in request["changes"]}
    assert changes["state"] == ("6", "2")
    assert "reopened" in changes["work_notes"][1]
    assert writes(sandbox) == []


def test_what_was_sent_before_is_not_planned_again(desk, payload, read, run, sandbox):
    report(desk, problem("nulls"))

    (item,) = read("plan", payload(NULLS))

    assert (item["action"], item["requests"]) == ("unchanged", [])
    assert "Requests that would be sent: 0." in run("plan", payload(NULLS), "--exit-code").stderr


def test_a_project_decides(desk, payload, projects, read):
    projects(sales={"routes": [{"match": {"dataset": "nyc.*"}, "fields": {"category": "database"}}]})

    (item,) = read("plan", payload(NULLS), "--project", "sales")

    assert {"column": "category", "now": "", "then": "database"} in item["requests"][0]["changes"]


def test_every_form_of_output_says_the_same(desk, payload, run, read):
    path = payload(NULLS, {**NULLS, "check_name": "duplicates"})
    as_yaml = yaml.safe_load(run("plan", path, "-o", "yaml").stdout)

    assert [item["check_name"] for item in as_yaml] == ["nulls", "duplicates"]
    assert [item["action"] for item in read("plan", path)] == ["created", "created"]
    plain = run("plan", path, "-o", "plain").stdout
    assert "duplicates failed on nyc.flights" in plain


def test_a_payload_of_a_tool_is_read_with_its_options(desk, run, read, payload, tmp_path):
    text = json.dumps({"not null": {"success": False, "pass_value": 0, "result": 3}})
    path = tmp_path / "files" / "checks.json"
    path.write_text(json.dumps({"checks": json.loads(text), "table": "sales.orders"}), encoding="utf-8")

    (item,) = read("plan", path, "--source", "airflow_sql", "--source-option", "dataset=sales.returns")

    assert item["dataset"] == "sales.returns"
    assert "not of the form" in run("plan", path, "--source-option", "dataset", code=2).stderr


@pytest.mark.parametrize(("anomalies", "code"), [([NULLS], 3), ([], 0)])
def test_the_exit_code_tells_whether_something_would_be_sent(desk, payload, run, anomalies, code):
    run("plan", payload(*anomalies), "--exit-code", code=code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/such/file"], "cannot be read"),
        (["{path}", "--project", "sale"], "There is no project 'sale'"),
        (["{path}", "--conn-id", "nowhere"], "'nowhere' cannot be read"),
        (["{path}", "--source", "excel"], "excel"),
    ],
)
def test_what_cannot_be_planned_is_said_in_words(desk, payload, run, arguments, words):
    path = payload(NULLS)

    told = run("plan", *(argument.format(path=path) for argument in arguments), code=1)

    assert words in told.stderr
    assert "Traceback" not in told.output


def test_a_file_that_is_no_json_is_refused(desk, payload, run):
    path = payload(NULLS)
    path.write_text("{'single': 'quotes'}", encoding="utf-8")

    assert "is not JSON" in run("plan", path, code=1).stderr


def test_what_would_be_refused_is_an_error_after_the_rest_is_shown(desk, payload, projects, run):
    path = payload(NULLS)
    projects(sales={"fields": {"assigned_to": "Alex Morgan"}})

    told = run("plan", path, "--project", "sales", code=1)

    assert "2 records of sys_user match 'Alex Morgan'" in told.stderr
    assert "nulls on nyc.flights" in told.stdout


def test_what_airflow_says_on_stdout_is_kept_out_of_the_plan(desk, payload, run, monkeypatch):
    def choose_aloud(*arguments):
        print("[warning] something that a secrets backend says")
        return choose(*arguments)

    monkeypatch.setattr("airflow_provider_servicenow_dq.hooks.projects.choose", choose_aloud)

    told = run("plan", payload(NULLS), "--output", "json")

    assert "secrets backend" in told.stderr
    assert len(json.loads(told.stdout)) == 1
