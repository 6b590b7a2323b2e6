"""What parsing a DAG with our operator loads beyond Airflow itself.

Every DAG file is parsed again and again; the milliseconds are in ``make bench``.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_servicenow_dq.operators import servicenow as operators

# Counted as loaded when the module or anything below it is.
TOO_HEAVY = {"requests", "sqlalchemy", "fastapi", "wtforms", "alembic", "authlib", "urllib3", "aiohttp"}
MOST_MODULES = 20

#: What a DAG file imports of ours.
FACES = ("operators", "sensors", "notifications")

NEWLY_LOADED = """
import json, sys
from airflow.sdk import DAG, BaseNotifier, BaseOperator, BaseSensorOperator, conf, timezone
before = set(sys.modules)
from airflow_provider_servicenow_dq.{face}.servicenow import {names}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def newly_loaded(face: str, names: str = "*") -> list[str]:
    code = NEWLY_LOADED.format(face=face, names=names)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


@pytest.mark.parametrize("face", FACES)
def test_importing_what_a_dag_uses_loads_nothing_heavy(face):
    modules = newly_loaded(face)
    assert f"airflow_provider_servicenow_dq.{face}.servicenow" in modules
    assert not {name.split(".")[0] for name in modules} & TOO_HEAVY
    assert len(modules) <= MOST_MODULES, modules


def test_a_dag_that_uses_one_operator_does_not_load_the_others():
    modules = newly_loaded("operators", "ServiceNowDeliverOperator")
    package = "airflow_provider_servicenow_dq.operators"
    assert f"{package}.deliver" in modules
    assert not {f"{package}.{other}" for other in ("create", "link", "pull", "push", "records")} & set(
        modules
    )


def test_every_operator_is_found_where_dags_look_for_it():
    for name in operators.__all__:
        assert getattr(operators, name).__name__ == name
    assert sorted(dir(operators)) == sorted(operators.__all__)


def test_a_name_that_is_no_operator_is_an_import_error():
    with pytest.raises(ImportError, match="ServiceNowCreateIncident"):
        exec("from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncident")  # noqa: S102 (the statement of a DAG file)
