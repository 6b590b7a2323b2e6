"""What each tool reports, as it comes, becomes that many tickets."""

from __future__ import annotations

import pytest
from operating import incidents, payload

TOOLS = {
    "SQL column check": ("airflow-callback-sql_column_check", {}, 3, "airflow_sql"),
    "SQL table check": ("airflow-callback-sql_table_check", {}, 2, "airflow_sql"),
    "SQL check": ("airflow-callback-sql_check", {}, 1, "airflow_sql"),
    "SQL check that could not run": ("airflow-callback-sql_check_broken", {}, 1, "airflow_sql"),
    "dbt": ("dbt-test-run_results", {}, 10, "dbt"),
    "GX validation result": ("gx-flights-validation-summary", {}, 10, "great_expectations"),
    "GX checkpoint": ("gx-flights-checkpoint-describe", {"dataset": "nyc.flights"}, 10, "great_expectations"),
    "GX in XCom": ("airflow-xcom-gx_validate_dataframe", {"dataset": "penguins"}, 3, "great_expectations"),
    "Pandera": ("pandera-cars", {}, 5, "pandera"),
}


@pytest.mark.parametrize(("name", "options", "expected", "source"), TOOLS.values(), ids=TOOLS.keys())
def test_every_failed_check_becomes_one_ticket_and_a_second_report_none(
    sandbox, open_tickets, ti, name, options, expected, source
):
    first = open_tickets(payload(name), source_options=options, ti=ti)
    opened = incidents(sandbox)
    ti.run_id = "next"
    second = open_tickets(payload(name), source_options=options, ti=ti)

    assert [result["action"] for result in first] == ["created"] * expected
    assert len(opened) == expected
    assert {record["correlation_id"].split(":")[1] for record in opened} == {source}
    assert {result["action"] for result in second} <= {"noted", "unchanged"}
    assert len(incidents(sandbox)) == expected


def test_dbt_with_its_manifest_names_tables(sandbox, open_tickets):
    open_tickets(
        payload("dbt-test-run_results"), source_options={"manifest": payload("dbt-manifest-trimmed")}
    )

    assert all(record["short_description"] for record in incidents(sandbox))
    assert any("flights" in record["description"].split("**Dataset:** ")[1] for record in incidents(sandbox))


def test_a_qualytics_webhook_opens_the_ticket_of_its_anomaly(sandbox, open_tickets):
    hook = payload("qualytics-n8n-webhook-doc")["payload"]

    results = open_tickets(hook)

    expected = [each["id"] for each in hook["context"]["anomalies"]]
    assert [result["anomaly_id"] for result in results] == expected
    assert all(record["correlation_id"].startswith("dq:qualytics:") for record in incidents(sandbox))


def test_airflows_own_result_objects_are_read_as_they_are(sandbox, open_tickets):
    from airflow.providers.common.sql.operators.sql import SQLCheckResult

    results = [
        SQLCheckResult(**each) for each in payload("airflow-callback-sql_column_check")["check_results"]
    ]

    assert len(open_tickets(results)) == len(incidents(sandbox)) == 3


def test_payloads_of_several_tools_may_come_together(sandbox, open_tickets):
    mixed = [payload("airflow-callback-sql_table_check"), payload("gx-flights-validation-summary")]

    open_tickets([*mixed, {"dataset": "nyc.flights", "check_name": "by hand"}])

    sources = [record["correlation_id"].split(":")[1] for record in incidents(sandbox)]
    assert {source: sources.count(source) for source in sources} == {
        "airflow_sql": 2,
        "great_expectations": 10,
        "custom": 1,
    }


def test_a_check_that_could_not_run_says_so_in_its_title(sandbox, open_tickets):
    open_tickets(payload("airflow-callback-sql_check_broken"))

    assert incidents(sandbox)[0]["short_description"].startswith("Check could not run: ")
