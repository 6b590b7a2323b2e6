"""Rules for sensors that reviewers forget and machines do not."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.triggers.base import BaseEventTrigger, BaseTrigger

from airflow_provider_servicenow_dq.get_provider_info import get_provider_info
from airflow_provider_servicenow_dq.sensors import servicenow
from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor
from airflow_provider_servicenow_dq.triggers import servicenow as triggers

TOO_HEAVY = {"requests", "sqlalchemy", "fastapi", "wtforms", "alembic", "authlib", "urllib3", "aiohttp"}
MOST_MODULES = 25
NEWLY_LOADED = """
import json, sys
from airflow.sdk import DAG, BaseOperator
{before}
before = set(sys.modules)
import airflow_provider_servicenow_dq.{module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def parameters():
    found = inspect.signature(ServiceNowIncidentStateSensor.__init__).parameters.values()
    return {each.name: each for each in found if each.name not in {"self", "kwargs"}}


def test_init_only_assigns():
    """Templates are rendered after ``__init__``: logic there would see raw Jinja."""
    tree = ast.parse(Path(servicenow.__file__).read_text(encoding="utf-8"))
    (sensor,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    (init,) = [each for each in sensor.body if getattr(each, "name", "") == "__init__"]

    assert [ast.unparse(statement) for statement in init.body] == [
        "super().__init__(**kwargs)",
        *(f"self.{name} = {name}" for name in parameters()),
    ]


def test_every_template_field_is_a_parameter_and_every_parameter_is_documented():
    told = (ServiceNowIncidentStateSensor.__doc__ or "").split(":param ")[1:]
    documented = {part.partition(":")[0]: part for part in told}

    assert set(ServiceNowIncidentStateSensor.template_fields) <= parameters().keys()
    assert documented.keys() == parameters().keys()
    templated = {name for name, words in documented.items() if "(templated)" in words}
    assert templated == set(ServiceNowIncidentStateSensor.template_fields)
    assert {each.kind for each in parameters().values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_airflow_is_told_of_the_sensor_and_of_the_triggers():
    info = get_provider_info()
    assert [entry["python-modules"] for entry in info["sensors"]] == [[servicenow.__name__]]
    assert [entry["python-modules"] for entry in info["triggers"]] == [[triggers.__name__]]
    kinds = {
        name: issubclass(kind, BaseEventTrigger)
        for name, kind in vars(triggers).items()
        if inspect.isclass(kind) and issubclass(kind, BaseTrigger) and kind.__module__ == triggers.__name__
    }
    assert kinds == {"ServiceNowIncidentStateTrigger": False, "ServiceNowTicketChangeTrigger": True}


@pytest.mark.parametrize(
    ("module", "before"),
    [
        ("sensors.servicenow", "from airflow.sdk import BaseSensorOperator"),
        ("triggers.servicenow", "import airflow.triggers.base"),
    ],
)
def test_importing_them_loads_nothing_heavy(module, before):
    code = NEWLY_LOADED.format(module=module, before=before)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    modules = json.loads(done.stdout.splitlines()[-1])

    assert f"airflow_provider_servicenow_dq.{module}" in modules
    assert not {name.split(".")[0] for name in modules} & TOO_HEAVY
    assert len(modules) <= MOST_MODULES, modules
