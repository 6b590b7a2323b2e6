"""Airflow and a ServiceNow to try, side by side, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
import time
import urllib.request

from processes import Stack, StepFailedError, free_port
from rich.console import Console
from surroundings import (
    PASSWORD,
    ROOT,
    USER,
    airflow_settings,
    as_json,
    connection_to,
    migrate,
    program,
    start_sandbox,
)

HOME = ROOT / ".up"
LOGIN = "admin"
console = Console(highlight=False)


def main() -> int:
    """Start everything, say where it is, wait; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow-port", type=int, default=8080)
    parser.add_argument("--servicenow-port", type=int, default=8099)
    options = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    airflow_port, sandbox_port = free_port(options.airflow_port), free_port(options.servicenow_port)
    try:
        with Stack(settings(airflow_port), HOME / "logs") as stack:
            console.print("Starting; this takes about a minute ...")
            start(stack, airflow_port, sandbox_port)
            console.print(
                f"Airflow     http://127.0.0.1:{airflow_port}   log in as {LOGIN} / {LOGIN}\n"
                f"ServiceNow  http://127.0.0.1:{sandbox_port}   log in as {USER} / {PASSWORD}\n"
                f"Logs        {HOME.relative_to(ROOT)}/logs\n"
                "Try first  flights_quality: its failed checks become incidents, linked in its tasks\n"
                "           create_ticket: a form with the drop-downs of this ServiceNow\n"
                "           then resolve an incident there: servicenow_sync tells of it within 5 minutes\n"
                "Ctrl-C ends everything."
            )
            while True:
                stack.check()
                time.sleep(1)
    except StepFailedError as error:
        console.print(f"[bold red]{error.message}[/]; the end of {error.log.relative_to(ROOT)}:")
        console.print(error.tail(), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nAll ended.")
        return 0


def settings(port: int) -> dict[str, str]:
    """Return the environment of every part of this Airflow."""
    passwords = HOME / "passwords.json"
    passwords.write_text(json.dumps({LOGIN: LOGIN}))
    return airflow_settings(HOME) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{LOGIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    }


def start(stack: Stack, airflow_port: int, sandbox_port: int) -> None:
    """Start the parts and return when they are all ready."""
    start_sandbox(stack, HOME, sandbox_port)
    migrate(stack, HOME)
    airflow = program("airflow")
    stack.start("api-server", airflow, "api-server")
    stack.start("scheduler", airflow, "scheduler", "--skip-serve-logs")
    stack.start("dag-processor", airflow, "dag-processor")
    stack.start("triggerer", airflow, "triggerer", "--skip-serve-logs")
    # In the database rather than the environment, so that the connection can be seen and tried in the form.
    connections = HOME / "connections.json"
    connections.write_text(as_json({"servicenow_default": connection_to(sandbox_port)}))
    stack.run("connections", airflow, "connections", "import", "--overwrite", str(connections))
    stack.wait_for("api-server", f"http://127.0.0.1:{airflow_port}/api/v2/monitor/health", timeout_s=180)
    wait_until_healthy(stack, airflow_port)


def wait_until_healthy(stack: Stack, port: int, timeout_s: float = 180) -> None:
    """Return when each part of Airflow has reported in."""
    url = f"http://127.0.0.1:{port}/api/v2/monitor/health"
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        stack.check()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if all(part["status"] == "healthy" for part in json.load(answer).values()):
                return
        time.sleep(0.5)
    message = f"Airflow was not healthy within {timeout_s:.0f} s"
    raise StepFailedError(message, stack.log("scheduler"))


if __name__ == "__main__":
    sys.exit(main())
