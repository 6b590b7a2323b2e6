"""The README's recipes can be typed as they stand, and what it points at is there."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import click
import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowCreateIncidentOperator,
    ServiceNowDeliverOperator,
)
from airflow_provider_servicenow_dq.projects.loading import load_projects

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
    (shown,) = blocks("json")

    assert set(load_projects(json.loads(shown))) == {"default", "sales"}


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:|#)([^)]+)\)", README))
def test_what_it_points_at_is_there(target):
    assert (ROOT / target).exists()


def table_of(title):
    return README.partition(f"### {title}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize("operator", [ServiceNowCreateIncidentOperator, ServiceNowDeliverOperator])
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
