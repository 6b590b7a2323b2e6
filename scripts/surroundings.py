"""The Airflow and the ServiceNow that the demo and ``make up`` run, all inside the checkout."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processes import Stack

ROOT = Path(__file__).resolve().parent.parent
USER, PASSWORD = "svc_airflow", "airflow-secret"


def program(name: str) -> str:
    """Return the path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


def airflow_settings(home: Path) -> dict[str, str]:
    """Return environment variables for an Airflow that lives in ``home`` and knows our DAGs alone."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__SERVICENOW_DQ__STORE": f"sqlite:///{home / 'servicenow_dq.db'}",
        "AIRFLOW_CONN_FLIGHTS_DB": as_json({"conn_type": "sqlite", "host": str(home / "checked.db")}),
        # The checkout is on nobody's path; byte code beside the DAGs would be the only thing written outside.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def connection_to(port: int) -> dict[str, object]:
    """Return the Airflow connection to a sandbox, as Airflow reads it from JSON."""
    return {
        "conn_type": "servicenow",
        "host": "http://127.0.0.1",
        "port": port,
        "login": USER,
        "password": PASSWORD,
    }


def start_sandbox(stack: Stack, home: Path, port: int) -> str:
    """Start a ServiceNow to try and return its address."""
    # It has forgotten everything, so our memory of it starts anew as well.
    for old in home.glob("servicenow_dq.db*"):
        old.unlink()
    stack.start("servicenow", program("servicenow-dq"), "sandbox", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    stack.wait_for("servicenow", url, timeout_s=30)
    return url


def migrate(stack: Stack, home: Path) -> bool:
    """Create or upgrade Airflow's database; return whether there was anything to do."""
    stamp = home / "migrated"
    current = version("apache-airflow")
    if stamp.exists() and stamp.read_text() == current:
        return False
    stack.run("airflow-db-migrate", program("airflow"), "db", "migrate")
    stamp.write_text(current)
    return True


def as_json(value: object) -> str:
    """Return one line of JSON."""
    return json.dumps(value, separators=(",", ":"))
