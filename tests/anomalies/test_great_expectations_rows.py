from __future__ import annotations

import copy
import json
import tracemalloc

from airflow_provider_servicenow_dq.anomalies import great_expectations


def test_rows_are_not_kept(full, xcom):
    for report in (great_expectations.read(full), great_expectations.read(xcom, dataset="penguins")):
        text = "".join(anomaly.model_dump_json() for anomaly in report.anomalies)
        assert "EWR" not in text
        assert "N1A1" not in text
        assert not any(anomaly.samples for anomaly in report.anomalies)


def test_of_an_observed_list_only_the_size_is_kept(full):
    full["results"][6]["result"]["observed_value"] = ["ann@example.org", "bob@example.org"]
    assert great_expectations.read(full).anomalies[6].observed == "2 values"


def test_unexpected_values_are_kept_when_asked_the_complete_list_first(full):
    kept = [a.samples for a in great_expectations.read(full, samples=2).anomalies]
    assert (kept[0], kept[3], kept[6]) == ([], ["EWR", "EWR"], [])
    assert kept[5][0].startswith('{"')
    full["results"][3]["result"]["unexpected_list"] = [None, 7, *["x"] * 200]
    assert great_expectations.read(full, samples=3).anomalies[3].samples == ["null", "7", "x"]
    assert len(great_expectations.read(full, samples=True).anomalies[3].samples) == 100
    assert great_expectations.read(json.dumps(full), samples=1).anomalies[3].samples == ["null"]


def complete(full, rows):
    """The result as COMPLETE writes it, with every bad row of three columns' pair."""
    for number in (1, 3, 5):
        outcome = full["results"][number]["result"]
        outcome["unexpected_list"] = [{"flight": index, "origin": f"EWR{index}"} for index in range(rows)]
        outcome["unexpected_index_list"] = list(range(rows))
    return full


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_complete_result_is_not_held_twice(full):
    for samples in (0, 5):
        few, many = (
            peak_of(lambda: great_expectations.read(rows, samples=samples))  # noqa: B023 (called at once)
            for rows in (complete(copy.deepcopy(full), 50), complete(full, 5_000))
        )
        assert many < 1.2 * few


def test_rows_in_a_text_are_dropped_while_it_is_read(full, tmp_path):
    text = json.dumps(complete(full, 5_000))
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    whole = peak_of(lambda: json.loads(text))
    # Of three lists of rows one is there at a time.
    assert peak_of(lambda: great_expectations.read(text)) < whole / 2
    assert peak_of(lambda: great_expectations.read(path)) < whole / 2 + 2.2 * len(text)
    assert great_expectations.read(text) == great_expectations.read(complete(full, 1))
