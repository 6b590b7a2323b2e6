"""Every file of real outputs: what in it is a payload, and what it must become."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "payloads"
#: What some of them leave out. Those that name a table or a task of their own take no notice.
OPTIONS = {"dataset": "given", "dag_id": "d", "task_id": "t"}


@dataclass(frozen=True, eq=False)
class Payload:
    """One payload of a file.

    :param part: The way to it, e.g. ``interactions/0/response/body``; the whole file if empty.
    :param kinds: How many anomalies of each kind.
    :param severities: How many anomalies of each severity.
    """

    source: str
    name: str
    part: str
    datasets: frozenset[str]
    passed: int
    not_run: int
    kinds: Counter[str]
    severities: Counter[str]

    @property
    def count(self) -> int:
        return self.kinds.total()

    def __str__(self) -> str:
        return f"{self.name}/{self.part}".rstrip("/")


def _payload(source, name, part, datasets, passed, not_run, kinds, severities):
    return Payload(
        source, name, part, frozenset(datasets), passed, not_run, Counter(kinds), Counter(severities)
    )


_BODY = "interactions/0/response/body"
_GX = {"check_failed": 8, "schema": 1, "check_error": 1}
_PANDERA = {"check_failed": 4, "schema": 1}
_MEDIUM = {"medium": 5}
_DBT_TESTS = {
    f"test.nyc.{name}"
    for name in (
        "accepted_values_flights_origin__JFK__LGA.7e3b73850d",
        "assert_broken_sql",
        "assert_dep_delay_under_10h",
        "not_null_broken_model_x.057f9ed63c",
        "not_null_flights_arr_delay.7041791d01",
        "not_null_flights_dep_time.5d3cae053c",
        "not_null_penguins_raw_sex.51f765cc93",
        "not_null_planes_year.691d34b938",
        "relationships_flights_tailnum__tailnum__ref_planes_.eb7abe7a98",
        "unique_penguins_raw_individual_id.8fb8d6c5f5",
    )
}

PAYLOADS = [
    _payload(
        "airflow_sql", "airflow-callback-sql_check", "", {"given"}, 0, 0, {"check_failed": 1}, {"high": 1}
    ),
    _payload(
        *("airflow_sql", "airflow-callback-sql_check_broken", "", {"given"}, 0, 0),
        *({"check_error": 1}, {"high": 1}),
    ),
    *(
        _payload("airflow_sql", name, part, {"given"}, passed, 0, {"check_failed": failed}, {"high": failed})
        for name, part, passed, failed in [
            ("airflow-callback-sql_column_check", "", 2, 3),
            ("airflow-callback-sql_column_check", "check_results", 2, 3),
            ("airflow-callback-sql_column_check", "column_mapping", 2, 3),
            ("airflow-callback-sql_table_check", "", 1, 2),
            ("airflow-callback-sql_table_check", "checks", 1, 2),
        ]
    ),
    # The reduced forms of Great Expectations have lost the severity, and what could not run.
    _payload(
        *("great_expectations", "airflow-xcom-gx_validate_dataframe", "", {"given"}, 1, 0),
        *({"check_failed": 3}, {"medium": 3}),
    ),
    _payload(
        *("great_expectations", "gx-flights-checkpoint-describe", "", {"given"}, 1, 0),
        *({"check_failed": 9, "schema": 1}, {"medium": 10}),
    ),
    _payload(
        *("great_expectations", "gx-flights-validation-summary", "", {"given"}, 1, 0),
        *(_GX, {"critical": 8, "medium": 1, "low": 1}),
    ),
    _payload(
        *("dbt", "dbt-test-run_results", "", _DBT_TESTS, 3, 0),
        *({"check_failed": 8, "check_error": 2}, {"high": 8, "medium": 2}),
    ),
    *(
        _payload("pandera", "pandera-cars", part, {"given"}, 0, 0, _PANDERA, _MEDIUM)
        for part in ("", "failure_cases", "message")
    ),
    _payload(
        *("qualytics", "qualytics-n8n-webhook-doc", "payload", {"Production DB.orders"}, 0, 0),
        *({"check_failed": 1}, {"medium": 1}),
    ),
    _payload(
        *("qualytics", "qualytics-seed-anomaly824-ticket", "create_ticket_response", {"datastores/23"}, 0, 0),
        *({"record": 1}, {"medium": 1}),
    ),
    _payload(
        *("soda", "soda3-flights-scan", "", {"nyc.flights", "nyc.penguins_raw"}, 1, 0),
        *({"check_failed": 9, "schema": 1, "freshness": 1}, {"high": 11}),
    ),
    # One check on a missing column emptied the whole scan: neither passed nor failed, nor counted.
    _payload("soda", "soda3-flights-scan-error", "", {"nyc.flights"}, 0, 0, {"check_error": 1}, {"high": 1}),
    *(
        _payload(
            *("soda", "soda4-flights-contract", part, {"nyc.nyc.main.flights"}, 1, 1),
            *({"check_failed": 7}, {"high": 7}),
        )
        for part in ("", "results", "results/0")
    ),
    *(
        _payload(
            "datadog",
            "datadog-cassette-search-security-findings-returns-ok-response-with-pagination",
            part,
            {"i-08a6fa687c9a6d2db"},
            *(0, 0),
            *({"security_finding": 1}, {"high": 1}),
        )
        for part in (_BODY, f"{_BODY}/data", f"{_BODY}/data/0")
    ),
]

#: What in the files is no payload, and what the adapter it might be meant for says to it.
OTHERS = [
    ("datadog", f"datadog-cassette-{name}-response", part, words)
    for name, part, words in [
        ("attach-security-findings-to-a-case-returns-ok", _BODY, "a case, not a finding"),
        (
            "create-jira-issues-for-security-findings-returns-bad-request",
            _BODY,
            "400 Bad Request no finding provided",
        ),
        ("create-jira-issues-for-security-findings-returns-created", _BODY, "a case, not a finding"),
        (
            "create-jira-issues-for-security-findings-returns-created",
            "interactions/0/request/body/data/0/relationships/findings",
            "says nothing but its id",
        ),
        (
            "create-jira-issues-for-security-findings-returns-not-found",
            _BODY,
            "404 Not Found finding not found",
        ),
        ("detach-security-findings-from-their-case-returns-no-content", _BODY, "an object is due"),
    ]
] + [
    ("datadog", "datadog-client-schema", "", "'finding' is due"),
    ("dbt", "dbt-manifest-trimmed", "", "list of results is due"),
    ("qualytics", "qualytics-openapi-models", "", "text is due"),
]


@cache
def _document(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def content(name: str, part: str) -> Any:
    """Return a part of a file; it is shared, so whoever changes it must copy it."""
    value = _document(name)
    for step in part.split("/") if part else ():
        value = value[int(step) if isinstance(value, list) else step]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a payload, as keys and indices."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from places(inner, (*path, key))
