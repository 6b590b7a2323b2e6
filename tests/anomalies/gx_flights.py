"""What Great Expectations found about the flights, and how its anomalies are told apart."""

from __future__ import annotations

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key

# (expectation, columns, kind, severity, failed, observed) as the full form has them.
FLIGHTS = [
    ("expect_column_values_to_be_between", ["no_such_col"], "check_error", "critical", None, None),
    ("expect_column_values_to_not_be_null", ["dep_time"], "check_failed", "critical", 8255, None),
    ("expect_column_values_to_be_between", ["dep_delay"], "check_failed", "medium", 610, None),
    ("expect_column_values_to_be_in_set", ["origin"], "check_failed", "critical", 120835, None),
    ("expect_column_values_to_match_regex", ["tailnum"], "check_failed", "low", 22754, None),
    (
        "expect_compound_columns_to_be_unique",
        ["year", "month", "day", "flight"],
        "check_failed",
        "critical",
        62378,
        None,
    ),
    ("expect_table_row_count_to_be_between", [], "check_failed", "critical", None, "336776"),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        ["air_time", "distance"],
        "check_failed",
        "critical",
        336776,
        None,
    ),
    ("expect_column_to_exist", ["booking_ref"], "schema", "critical", None, None),
    ("expect_column_mean_to_be_between", ["arr_delay"], "check_failed", "critical", None, "6.89537675731489"),
]


def keys(report):
    """The keys of a report's anomalies, in its order."""
    return [anomaly_key(anomaly) for anomaly in report.anomalies]


def expectation_of(anomaly):
    """The expectation that an anomaly is of, without its arguments."""
    return anomaly.check_id.partition("(")[0]
