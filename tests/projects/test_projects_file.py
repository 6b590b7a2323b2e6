"""Projects from a file that all connections share, and together with those of a connection."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.loading import (
    find_project,
    load_projects,
    read_projects_file,
    together,
)
from airflow_provider_servicenow_dq.projects.project import Project

FILE = """
sales:
  key: SALES
  servicenow_conn_id: acme
  fields: {assignment_group: Sales Data, u_layer: 3, knowledge: yes}
  routes:
    - match: {dataset: "sales.*", severity: [critical, high]}
      fields: {category: database}
  on_status: {Acknowledged: nothing}
  sync: {status: outbound, comments: none}
  reopen_window: P1D
finance: {}
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "projects.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def test_a_file_is_read_like_a_connection(write):
    projects = read_projects_file(write(FILE))

    sales = find_project(projects, "sales")
    assert projects.keys() == {"default", "sales", "finance"}
    assert sales.fields == {"assignment_group": "Sales Data", "u_layer": "3", "knowledge": "true"}
    assert sales.routes[0].fields == {"category": "database"}
    assert sales.on_status == {"acknowledged": "nothing"}
    assert (sales.sync.pushes_status, sales.sync.pushes_comments) == (True, False)


@pytest.mark.parametrize("text", ["- id: sales\n- id: finance\n", "sales: {}\nfinance: {}\n"])
def test_a_file_may_have_a_list_or_a_mapping(write, text):
    assert read_projects_file(write(text)).keys() == {"default", "sales", "finance"}


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_has_the_built_in_one(write, text):
    assert read_projects_file(write(text)) == {"default": Project()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sales: {tabel: incident}", r"projects\.yaml: Project 'sales', at tabel: .*'table'"),
        ("sales: {}\nsales: {table: problem}", "'sales' stands twice.*line 2"),
        ("sales: {fields: {category: a, category: b}}", "'category' stands twice"),
        ("sales: [", "is not YAML"),
        ("sales", r"projects\[0\] must be a mapping of settings, not str"),
        ("7", "projects must be a list of projects"),
        ("!!python/object/apply:os.getcwd []", "is not YAML.*python"),
    ],
)
def test_what_makes_no_sense_names_the_file_and_the_place(write, text, words):
    path = write(text)

    with pytest.raises(ServiceNowConfigError, match=rf"(?s)The projects file .*{words}") as refusal:
        read_projects_file(path)

    assert str(path) in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ServiceNowConfigError, match=r"none\.yaml cannot be read: .*No such file"):
        read_projects_file(tmp_path / "none.yaml")


def test_a_project_of_the_connection_takes_the_place_of_the_files_whole(write, caplog):
    caplog.set_level(logging.INFO)
    of_file = read_projects_file(write(FILE))

    projects = together(load_projects({"sales": {"table": "problem"}, "hr": {}}), of_file)

    assert projects.keys() == {"default", "sales", "finance", "hr"}
    assert projects["sales"] == Project(id="sales", table="problem")
    assert "'sales' of the connection takes the place" in caplog.text


@pytest.mark.parametrize(
    ("of_connection", "of_file", "most"),
    [(None, "default: {max_new_tickets: 7}", 7), ({"default": {"max_new_tickets": 9}}, "default: {}", 9)],
)
def test_the_default_project_may_come_from_either(write, of_connection, of_file, most):
    projects = together(load_projects(of_connection), read_projects_file(write(of_file)))

    assert find_project(projects, None).max_new_tickets == most


def test_a_file_is_named_from_airflows_home_on(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    assert settings.projects_file() is None

    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__PROJECTS_FILE", "projects.yaml")
    assert settings.projects_file() == tmp_path / "projects.yaml"

    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__PROJECTS_FILE", "/etc/projects.yaml")
    assert str(settings.projects_file()) == "/etc/projects.yaml"
