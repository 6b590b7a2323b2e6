"""What parsing a DAG with our operator loads beyond Airflow itself.

Every DAG file is parsed again and again; the milliseconds are in ``make bench``.
"""

from __future__ import annotations

import json
import subprocess
import sys

# Counted as loaded when the module or anything below it is.
TOO_HEAVY = {"requests", "sqlalchemy", "fastapi", "wtforms", "alembic", "authlib", "urllib3", "aiohttp"}
MOST_MODULES = 20

NEWLY_LOADED = """
import json, sys
from airflow.sdk import DAG, BaseOperator
before = set(sys.modules)
import airflow_provider_servicenow_dq.operators.servicenow
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def newly_loaded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", NEWLY_LOADED], check=True, capture_output=True, text=True)
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def test_importing_the_operators_loads_nothing_heavy():
    modules = newly_loaded()
    assert "airflow_provider_servicenow_dq.operators.servicenow" in modules
    assert not {name.split(".")[0] for name in modules} & TOO_HEAVY
    assert len(modules) <= MOST_MODULES, modules
