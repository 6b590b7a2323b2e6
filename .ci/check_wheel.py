"""Fail unless the wheel given holds the package, its data and its examples, and nothing else."""

from __future__ import annotations

import sys
import zipfile

PACKAGE = "airflow_provider_servicenow_dq"
NEEDED = (
    f"{PACKAGE}/py.typed",
    f"{PACKAGE}/get_provider_info.py",
    f"{PACKAGE}/example_dags/approve_before_creating.py",
    f"{PACKAGE}/example_dags/create_ticket.py",
    f"{PACKAGE}/example_dags/flights_quality.py",
    f"{PACKAGE}/example_dags/publish_gate.py",
    f"{PACKAGE}/example_dags/servicenow_sync.py",
    f"{PACKAGE}/example_dags/sql_checks.py",
    f"{PACKAGE}/example_dags/tickets_from_assets.py",
    f"{PACKAGE}/sandbox/templates/record.html",
    f"{PACKAGE}/store/migrations/env.py",
)


def main(path: str) -> None:
    """Read the wheel's list of files and leave with what is wrong about it."""
    names = set(zipfile.ZipFile(path).namelist())
    missing = [name for name in NEEDED if name not in names]
    strangers = sorted(
        name
        for name in names
        if name.split("/")[0] not in {PACKAGE} and not name.split("/")[0].endswith(".dist-info")
    )
    cached = sorted(name for name in names if "__pycache__" in name)
    entry_points = (
        zipfile.ZipFile(path).read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    )
    if "apache_airflow_provider" not in entry_points:
        missing.append("entry point apache_airflow_provider")
    if problems := [*(f"missing: {n}" for n in missing), *(f"not ours: {n}" for n in (*strangers, *cached))]:
        sys.exit("\n".join(problems))
    sys.stdout.write(f"{path}: {len(names)} files, nothing missing, nothing foreign\n")


if __name__ == "__main__":
    main(sys.argv[1])
