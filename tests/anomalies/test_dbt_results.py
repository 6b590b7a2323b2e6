from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_servicenow_dq.anomalies import dbt
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

PAYLOADS = Path(__file__).parents[1] / "payloads"

# (test, dataset, column, unit) as the manifest has them, then (kind, severity, failures) as the results do.
EXPECTED = [
    ("assert_broken_sql", None, None, None, "check_error", "high", None),
    (
        "accepted_values_flights_origin__JFK__LGA.7e3b73850d",
        "flights",
        "origin",
        "values",
        "check_failed",
        "medium",
        1,
    ),
    ("not_null_broken_model_x.057f9ed63c", "broken_model", "x", None, "check_error", "high", None),
    ("not_null_flights_arr_delay.7041791d01", "flights", "arr_delay", "rows", "check_failed", "medium", 9430),
    ("assert_dep_delay_under_10h", None, None, "rows", "check_failed", "high", 40),
    ("not_null_penguins_raw_sex.51f765cc93", "penguins_raw", "sex", "rows", "check_failed", "high", 11),
    ("not_null_flights_dep_time.5d3cae053c", "flights", "dep_time", "rows", "check_failed", "high", 8255),
    ("not_null_planes_year.691d34b938", "planes", "year", "rows", "check_failed", "high", 70),
    (
        "unique_penguins_raw_individual_id.8fb8d6c5f5",
        "penguins_raw",
        "individual_id",
        "groups",
        "check_failed",
        "high",
        114,
    ),
    (
        "relationships_flights_tailnum__tailnum__ref_planes_.eb7abe7a98",
        "flights",
        "tailnum",
        "rows",
        "check_failed",
        "high",
        50094,
    ),
]


@pytest.fixture
def results(payload):
    return payload("dbt-test-run_results")


@pytest.fixture
def manifest(payload):
    return payload("dbt-manifest-trimmed")


def keys(report):
    return [anomaly_key(anomaly) for anomaly in report.anomalies]


def test_with_the_manifest_each_failed_test_says_what_it_is_about(results, manifest):
    report = dbt.read(results, manifest=manifest)
    assert [
        (a.check_id, a.dataset, a.columns, a.failed_unit, a.kind, a.severity, a.failed_count)
        for a in report.anomalies
    ] == [
        (
            f"test.nyc.{test}",
            f"nyc.main.{model}" if model else f"test.nyc.{test}",
            [column] if column else [],
            unit,
            kind,
            severity,
            count,
        )
        for test, model, column, unit, kind, severity, count in EXPECTED
    ]
    assert (report.passed, report.not_run) == (3, 0)
    assert {a.source_instance for a in report.anomalies} == {"nyc"}
    assert {a.detected_at.isoformat() for a in report.anomalies} == {"2026-11-21T23:21:34.875729+00:00"}
    relationships = report.anomalies[-1]
    assert (relationships.tags, relationships.owner, relationships.type) == (
        ["ref_integrity"],
        "flight-ops",
        "relationships",
    )
    assert relationships.message == "Got 50094 results, configured to fail if != 0"


def test_without_the_manifest_the_test_stands_for_its_dataset(results):
    report = dbt.read(results)
    assert [(a.dataset, a.check_id, a.kind, a.severity) for a in report.anomalies] == [
        (f"test.nyc.{test}", f"test.nyc.{test}", kind, severity)
        for test, _, _, _, kind, severity, _ in EXPECTED
    ]
    assert report.anomalies[1].check_name == "accepted_values_flights_origin__JFK__LGA"


def test_files_are_read_like_documents(results, manifest):
    files = {name: PAYLOADS / f"{name}.json" for name in ("dbt-test-run_results", "dbt-manifest-trimmed")}
    by_path = dbt.read(files["dbt-test-run_results"], manifest=str(files["dbt-manifest-trimmed"]))
    assert by_path == dbt.read(results, manifest=manifest)


def test_a_rerun_has_the_same_keys_whatever_else_changed(results, manifest):
    before = keys(dbt.read(results, manifest=manifest))
    results["metadata"] |= {"generated_at": "2027-01-01T00:00:00Z", "invocation_id": "another"}
    for result in results["results"]:
        if result["failures"]:
            result |= {"failures": result["failures"] + 7, "message": "other", "execution_time": 1.0}
    results["results"].reverse()
    assert keys(dbt.read(results, manifest=manifest)) == before[::-1]


@pytest.mark.parametrize(
    ("status", "unique_id", "outcome"),
    [
        ("pass", "test.nyc.a", (0, 1, 0)),
        ("success", "unit_test.nyc.a", (0, 1, 0)),
        ("success", "model.nyc.a", (0, 0, 0)),
        ("skipped", "test.nyc.a", (0, 0, 1)),
        ("no-op", "model.nyc.a", (0, 0, 1)),
        ("error", "model.nyc.a", (1, 0, 0)),
        ("warn", "test.nyc.a", (1, 0, 0)),
    ],
)
def test_what_ran_and_passed_is_told_from_what_did_not_run(status, unique_id, outcome):
    document = {"metadata": {}, "results": [{"status": status, "unique_id": unique_id}]}
    report = dbt.read(document)
    assert (len(report.anomalies), report.passed, report.not_run) == outcome


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"results": None}, "results"),
        ({"results": [7]}, "results[0]"),
        ({"results": [{"status": "odd", "unique_id": "test.a.b"}]}, "results[0].status"),
        ({"results": [{"status": "fail"}]}, "results[0].unique_id"),
        (
            {"results": [{"status": "fail", "unique_id": "t", "failures": float("nan")}]},
            "results[0].failures",
        ),
        ({"results": [{"status": "fail", "unique_id": "t" * 600}]}, "results[0].unique_id"),
        ({"metadata": [], "results": []}, "metadata"),
        (
            {
                "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/sources/v3.json"},
                "results": [],
            },
            "",
        ),
    ],
)
def test_garbage_is_refused_by_its_place(change, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        dbt.read({"metadata": {}, "results": [], **change})
    assert (refusal.value.source, refusal.value.path) == ("dbt", path)


def test_a_broken_manifest_is_refused_by_its_place(results):
    with pytest.raises(AnomalyFormatError) as refusal:
        dbt.read(results, manifest={"nodes": {results["results"][0]["unique_id"]: 7}})
    assert refusal.value.path == 'source_options.manifest.nodes["test.nyc.assert_broken_sql"]'


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[" * 100_000, json.dumps([])],
    ids=["missing", "empty", "cut off", "deep", "no object"],
)
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "run_results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnomalyFormatError):
        dbt.read(str(path))


@pytest.mark.parametrize("path", ["", "nul\x00", "x" * 100_000], ids=["folder", "nul", "long"])
def test_a_text_that_is_no_path_is_refused(path):
    with pytest.raises(AnomalyFormatError, match="cannot be read as a file"):
        dbt.read(path)
