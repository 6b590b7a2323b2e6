"""Test results of dbt: ``target/run_results.json``, and ``target/manifest.json`` for what they are about.

Seen with dbt-core 1.11 (run-results schema v6, manifest v12).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_servicenow_dq.anomalies.documents import document
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Pass, Report, Severity

SOURCE = "dbt"

_PASSED = "passed"
_NOT_RUN = "not run"
_MEANINGS: dict[str, str | tuple[Kind, Severity]] = {
    "pass": _PASSED,
    "success": _PASSED,
    "skipped": _NOT_RUN,
    "no-op": _NOT_RUN,
    "fail": (Kind.CHECK_FAILED, Severity.HIGH),
    "warn": (Kind.CHECK_FAILED, Severity.MEDIUM),
    "error": (Kind.CHECK_ERROR, Severity.HIGH),
    "runtime error": (Kind.CHECK_ERROR, Severity.HIGH),
    "partial success": (Kind.CHECK_ERROR, Severity.HIGH),
}
_TESTS = ("test.", "unit_test.")
# dbt counts what its query returned, which is a row of the table for most tests only.
_UNITS = {"unique": "groups", "accepted_values": "values"}
_QUOTES = re.compile(r'["`\[\]]')


def recognises(payload: object) -> bool:
    """Whether this is a run_results document."""
    metadata = payload.get("metadata") if isinstance(payload, Mapping) else None
    return isinstance(metadata, Mapping) and "dbt_schema_version" in metadata


def read(payload: object, *, manifest: object = None) -> Report:
    """Read the results of ``dbt test`` or ``dbt build``.

    Models and other nodes are reported where they failed; where they succeeded they are not counted, as they
    are no checks.

    :param payload: The run_results document, its JSON text, or its path.
    :param manifest: The manifest document, its JSON text, or its path. Without it nothing tells what a
        test is about, so the test's ``unique_id`` stands for the dataset; giving or leaving it changes the
        fingerprints.
    """
    top = Foreign(SOURCE, "", document(SOURCE, payload))
    schema = top.at("metadata").maybe("dbt_schema_version").text_or_none() or ""
    if "/sources/" in schema:
        raise top.refuse("these are source freshness results; run_results.json is due here")
    if not isinstance(top.at("results").value, (list, tuple)):
        raise top.at("results").refuse("the list of results is due here")
    detected_at = top.at("metadata").maybe("generated_at")
    detected_at.text_or_none()
    nodes = option(SOURCE, "manifest", document(SOURCE, manifest)).maybe("nodes")

    anomalies = []
    passes: list[Pass] = []
    passed = not_run = 0
    for result in top.at("results").each():
        meaning = result.at("status").chosen(_MEANINGS)
        if isinstance(meaning, tuple):
            kind, severity = meaning
            anomalies.append(_anomaly(result, nodes, detected_at, kind=kind, severity=severity))
        elif meaning == _PASSED:
            passed += result.at("unique_id").text().startswith(_TESTS)
            passes += result.passes(_identity, result, nodes, detected_at)
        else:
            not_run += 1
    return Report(anomalies=anomalies, passed=passed, passes=passes, not_run=not_run)


def _anomaly(result: Foreign, nodes: Foreign, detected_at: Foreign, **fields: Any) -> Anomaly:
    node, about = _described(result, nodes)
    test = node.maybe("test_metadata").maybe("name").text_or_none()
    failures = result.at("failures").count()
    return result.anomaly(
        **_identity(result, nodes, detected_at),
        type=node.maybe("test_metadata").maybe("name") if test else None,
        columns=unique([node.maybe("column_name").text_or_none()]),
        failed_count=failures,
        failed_unit=_UNITS.get(test or "", "rows")
        if node.value is not None and failures is not None
        else None,
        message=result.at("message").text_or_none(),
        tags=unique([tag.text() for tag in node.maybe("tags").each()]),
        owner=_owner(node) or _owner(about),
        **fields,
    )


def _identity(result: Foreign, nodes: Foreign, detected_at: Foreign) -> dict[str, Any]:
    """Return what tells this node from others and this run from others, failed or not."""
    named = result.at("unique_id")
    unique_id = named.text()
    # test.<package>.<name>, for generic tests with a hash of the arguments behind it.
    _, package, name, *_ = [*unique_id.split(".", 3), "", "", ""]
    node, about = _described(result, nodes)
    relation = about.maybe("relation_name").text_or_none()
    return {
        "source": SOURCE,
        "source_instance": named.but(package) if package else None,
        "dataset": about.maybe("relation_name").but(_QUOTES.sub("", relation)) if relation else named,
        "check_id": named,
        "check_name": node.maybe("name")
        if node.maybe("name").text_or_none()
        else named.but(name or unique_id),
        "detected_at": detected_at,
    }


def _described(result: Foreign, nodes: Foreign) -> tuple[Foreign, Foreign]:
    """Return the node in the manifest, and the one that it is about."""
    node = nodes.maybe(result.at("unique_id").text())
    return node, nodes.maybe(node.maybe("attached_node").text_or_none() or "")


def _owner(node: Foreign) -> str | None:
    for meta in (node.maybe("config").maybe("meta"), node.maybe("meta")):
        owner = meta.maybe("owner").value
        if isinstance(owner, str) and owner:
            return owner
    return None
