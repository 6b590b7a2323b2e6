"""The README's recipes can be typed as they stand, and what it points at is there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import click
import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier
from airflow_provider_servicenow_dq.operators import servicenow as operators
from airflow_provider_servicenow_dq.projects.loading import load_projects
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor

OPERATORS = [
    value for value in (getattr(operators, name) for name in operators.__all__) if inspect.isclass(value)
]
ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("recipe", blocks("python"))
def test_every_recipe_is_python(recipe):
    ast.parse(recipe)


def test_the_first_recipe_is_a_whole_dag(tmp_path):
    (tmp_path / "recipe.py").write_text(blocks("python")[0])

    bag = DagBag(str(tmp_path))

    assert bag.import_errors == {}
    assert list(bag.dags) == ["orders_quality"]


def test_the_projects_shown_are_projects():
    (shown,) = blocks("yaml")

    assert set(load_projects(yaml.safe_load(shown))) == {"default", "sales", "issues"}


def test_its_table_of_rules_has_every_rule():
    assert [name for name in Project.model_fields if f"`{name}`" not in table_of("Projects")] == []


def test_its_table_of_verbs_has_every_verb_of_the_hook():
    verbs = [
        name
        for name, _ in inspect.getmembers(ServiceNowHook, inspect.isfunction)
        if name in vars(ServiceNowHook)
    ]
    ours = [name for name in verbs if not name.startswith("_") and name not in {"close", "instance_config"}]

    assert [name for name in ours if f"`{name}" not in table_of("Hook")] == []


def test_the_adapter_shown_reads_what_it_recognises():
    (shown,) = [block for block in blocks("python") if "def recognises" in block]
    adapter = {}
    exec(shown, adapter)  # noqa: S102 (our own README)
    payload = {"acme_alerts": [{"table": "sales.orders", "rule": "no_gaps", "text": "3 gaps"}]}

    assert adapter["recognises"](payload)
    (anomaly,) = adapter["read"](payload, region="eu").anomalies
    assert (anomaly.source, anomaly.dataset, anomaly.tags) == ("acme", "sales.orders", ["region:eu"])


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:|#)([^)]+)\)", README))
def test_what_it_points_at_is_there(target):
    assert (ROOT / target).exists()


def table_of(title):
    return README.partition(f"### {title}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize("operator", [*OPERATORS, ServiceNowIncidentStateSensor, ServiceNowNotifier])
def test_its_table_of_an_operator_has_every_parameter(operator):
    ours = set(inspect.signature(operator.__init__).parameters) - {"self", "kwargs"}

    assert [name for name in sorted(ours) if f"`{name}`" not in table_of(operator.__name__)] == []


def test_its_table_of_commands_has_every_command():
    context = click.Context(main)
    commands = []
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        below = command.commands if isinstance(command, click.Group) else [""]
        commands += [f"`{name} {sub}".rstrip() for sub in below]

    assert [command for command in commands if command not in table_of("Commands")] == []
