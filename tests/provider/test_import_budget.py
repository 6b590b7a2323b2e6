"""What parsing a DAG with our operator loads beyond Airflow itself.

Every DAG file is parsed again and again; the milliseconds are in ``make bench``.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Counted as loaded when the module or anything below it is.
TOO_HEAVY = {"requests", "sqlalchemy", "fastapi", "wtforms", "alembic", "authlib", "urllib3", "aiohttp"}
MOST_MODULES = 20

#: What a DAG file imports of ours.
FACES = ("operators", "notifications")

NEWLY_LOADED = """
import json, sys
from airflow.sdk import DAG, BaseNotifier, BaseOperator
before = set(sys.modules)
import airflow_provider_servicenow_dq.{face}.servicenow
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def newly_loaded(face: str) -> list[str]:
    code = NEWLY_LOADED.format(face=face)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


@pytest.mark.parametrize("face", FACES)
def test_importing_what_a_dag_uses_loads_nothing_heavy(face):
    modules = newly_loaded(face)
    assert f"airflow_provider_servicenow_dq.{face}.servicenow" in modules
    assert not {name.split(".")[0] for name in modules} & TOO_HEAVY
    assert len(modules) <= MOST_MODULES, modules
