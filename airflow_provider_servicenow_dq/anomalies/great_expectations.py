"""Validation results of Great Expectations.

They come in full (``to_json_dict()``) or reduced (``describe_dict()``, which is what the Airflow provider's
operators leave in XCom, and a checkpoint's ``describe()``). The reduced form has lost the severity, the
asset, the suite, the time and what went wrong: an expectation that could not run cannot be told from one that
failed, so there it is a ``check_failed``. Prefer the full form with ``result_format="SUMMARY"``; ``COMPLETE``
holds every bad row.

Seen with 1.24, all four result formats; 0.18 differs by ``expectation_type`` and ``run_results``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_provider_servicenow_dq.anomalies.documents import document
from airflow_provider_servicenow_dq.anomalies.expectation import arguments_of, columns_of, expected, written
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, sample_count, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Pass, Report, Severity
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

SOURCE = "great_expectations"

_SEVERITIES = {"critical": Severity.CRITICAL, "warning": Severity.MEDIUM, "info": Severity.LOW}
_SCHEMA_EXPECTATIONS = (
    "expect_column_to_exist",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_of_type",
    "expect_table_column_count",
    "expect_table_columns_to_match",
)
# Where a result keeps rows; COMPLETE has all of them.
_ROWS = ("unexpected_list", "partial_unexpected_list")
_MORE_ROWS = (
    *_ROWS,
    "unexpected_index_list",
    "unexpected_index_query",
    "unexpected_rows",
    "partial_unexpected_counts",
    "partial_unexpected_index_list",
)


def recognises(payload: object) -> bool:
    """Whether this is a validation result, a description of one, or the result of one expectation."""
    if not isinstance(payload, Mapping) or "success" not in payload:
        return False
    lists = ("results", "expectations", "validation_results")
    return (
        any(isinstance(payload.get(key), (list, tuple)) for key in lists)
        or isinstance(payload.get("run_results"), Mapping)
        or "expectation_config" in payload
        or "expectation_type" in payload
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options, checked."""

    suite: Foreign
    partition_key: Foreign
    severity: Foreign
    samples: int


def read(
    payload: object,
    *,
    dataset: str | Sequence[str] | None = None,
    suite: str | None = None,
    partition_key: str | None = None,
    severity: str | None = None,
    samples: int | bool = 0,
) -> Report:
    """Read a validation result.

    An expectation is the same problem in every run and in both forms: its type and arguments without the
    batch, on its dataset.

    :param payload: ``to_json_dict()`` of a validation or of one expectation, ``describe_dict()``, the XCom of
        a GX operator, or one of these as JSON text (as ``describe()`` returns it) or as the path of a file.
    :param dataset: What was validated; beats what the result says (``datasource.asset``). The reduced form
        says nothing, so there it must be given, for a checkpoint of several validations as a list with one
        for each.
    :param suite: Name of the suite where the result does not have it; it becomes the tag ``suite:<name>``.
    :param partition_key: When each partition is to have tickets of its own.
    :param severity: That of an anomaly whose result does not say it; without this critical in the full form,
        which is GX's own default, and medium in the reduced one.
    :param samples: How many unexpected values each anomaly keeps, up to 100. Rows may hold personal data, so
        they are dropped otherwise.
    """
    kept = sample_count(SOURCE, samples)
    slim = None if kept else _without_rows
    top = Foreign(SOURCE, "", document(SOURCE, payload, slim=slim))
    validations = list(_validations(top))
    asked = _Asked(
        option(SOURCE, "suite", suite),
        option(SOURCE, "partition_key", partition_key),
        option(SOURCE, "severity", severity),
        kept,
    )

    anomalies = []
    passes: list[Pass] = []
    passed = 0
    for validation, name in zip(validations, _datasets(top, dataset, len(validations)), strict=True):
        context = _context(validation, name, asked)
        for result in _results(validation):
            if result.at("success").flag():
                passed += 1
                passes += result.passes(_identity, result, context)
            else:
                anomalies.append(_anomaly(result, context, asked))
    return Report(anomalies=anomalies, passed=passed, passes=passes)


def _without_rows(found: dict[str, Any]) -> dict[str, Any]:
    # Only a result counts elements, so that arguments of the same name stay.
    if "element_count" in found or "unexpected_count" in found:
        for key in _MORE_ROWS:
            found.pop(key, None)
    return found


def _validations(top: Foreign) -> Iterator[Foreign]:
    if top.at("validation_results").value is not None:
        yield from top.at("validation_results").each()
    elif top.at("run_results").value is not None:
        for _, run in top.at("run_results").entries():
            # 0.18 puts what its actions returned beside the result.
            yield run if run.at("validation_result").value is None else run.at("validation_result")
    else:
        yield top


def _datasets(top: Foreign, dataset: object, count: int) -> list[Foreign]:
    given = option(SOURCE, "dataset", dataset)
    if isinstance(dataset, (list, tuple)):
        names = given.each()
    else:
        names = [given] * (count if dataset is None else 1)
    if len(names) != count:
        raise top.refuse(f"holds {count} validations; give the option dataset as a list of as many")
    for name in names:
        name.text_or_none()
    return names


def _context(validation: Foreign, dataset: Foreign, asked: _Asked) -> dict[str, Any]:
    meta = validation.at("meta")
    batch = meta.maybe("active_batch_definition")
    asset = unique([batch.maybe(key).text_or_none() for key in ("datasource_name", "data_asset_name")])
    if not dataset.value and not asset:
        raise validation.refuse("does not say what was validated: give the option dataset")
    suites = (validation.at("suite_name"), meta.maybe("expectation_suite_name"), asked.suite)
    suite = next((name for place in suites if (name := place.text_or_none())), None)
    run_time = meta.maybe("run_id").maybe("run_time")
    return {
        "dataset": dataset if dataset.value else batch.maybe("data_asset_name").but(".".join(asset)),
        "detected_at": run_time if run_time.text_or_none() else meta.maybe("validation_time"),
        "tags": [f"suite:{suite}"] if suite else [],
        "partition_key": asked.partition_key,
    }


def _results(validation: Foreign) -> Iterator[Foreign]:
    for key in ("results", "expectations"):
        if validation.at(key).value is not None:
            return validation.at(key).stream()
    if validation.at("expectation_config").value is None and validation.at("expectation_type").value is None:
        raise validation.refuse("results or expectations are due here")
    return iter([validation])


def _anomaly(result: Foreign, context: dict[str, Any], asked: _Asked) -> Anomaly:
    config = result.at("expectation_config")
    full = config.value is not None
    expectation = _named(config, result).word()
    arguments = _arguments(config, result)
    severity = config.maybe("severity")
    outcome = result.at("result")
    failed, total = outcome.maybe("unexpected_count").count(), outcome.maybe("element_count").count()
    errors = _errors(result.at("exception_info"))
    return result.anomaly(
        **_identity(result, context),
        kind=_kind(expectation, could_not_run=bool(errors)),
        columns=columns_of(arguments),
        severity=severity.chosen(_SEVERITIES) if severity.value is not None else _severity(asked, full=full),
        failed_count=failed,
        total_count=total,
        failed_unit=_unit(failed, total),
        observed=outcome.maybe("observed_value").scalar_text(),
        expected=expected(arguments),
        message="\n".join(errors) or _sentence(failed, total),
        owner=_owner(config),
        samples=[row.row_text() for row in _samples(outcome, asked.samples)],
    )


def _identity(result: Foreign, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells this expectation from others and this run from others, met or not."""
    config = result.at("expectation_config")
    named = _named(config, result)
    expectation = named.word()
    arguments = _arguments(config, result)
    columns = columns_of(arguments)
    name = f"{expectation} ({', '.join(columns)})" if columns else expectation
    return {
        "source": SOURCE,
        "check_id": named.but(short_id(f"{expectation}({written(arguments)})")),
        "check_name": named.but(cut(name, MAX_NAME)),
        **context,
    }


def _arguments(config: Foreign, result: Foreign) -> dict[str, Any]:
    return arguments_of((result if config.value is None else config).at("kwargs"))


def _named(config: Foreign, result: Foreign) -> Foreign:
    if config.value is None:
        return result.at("expectation_type")
    older = config.at("expectation_type")
    return config.at("type") if older.value is None else older


def _unit(failed: int | None, total: int | None) -> str | None:
    if failed is None:
        return None
    # Expectations about a set of values count the values that are not in it, and no rows.
    return "values" if total is None else "rows"


def _sentence(failed: int | None, total: int | None) -> str | None:
    if failed is None:
        return None
    return (
        f"{failed} values are unexpected" if total is None else f"{failed} of {total} values are unexpected"
    )


def _samples(outcome: Foreign, count: int) -> list[Foreign]:
    for key in _ROWS if count else ():
        if rows := list(islice(outcome.maybe(key).stream(), count)):
            return rows
    return []


def _severity(asked: _Asked, *, full: bool) -> Foreign | Severity:
    if asked.severity.value is not None:
        return asked.severity
    # GX takes an expectation for critical unless told otherwise; the reduced form does not tell.
    return Severity.CRITICAL if full else Severity.MEDIUM


def _kind(expectation: str, *, could_not_run: bool) -> Kind:
    if could_not_run:
        return Kind.CHECK_ERROR
    return Kind.SCHEMA if expectation.startswith(_SCHEMA_EXPECTATIONS) else Kind.CHECK_FAILED


def _errors(info: Foreign) -> list[str]:
    """Return the messages of what was raised; GX writes one flat object, or one for each metric."""
    if info.maybe("raised_exception").value is not None:
        reports = [info]
    else:
        reports = [place for _, place in info.entries() if isinstance(place.value, Mapping)]
    raised = [report for report in reports if report.at("raised_exception").value]
    return unique(
        [report.at("exception_message").text_or_none() or "the check could not run" for report in raised]
    )


def _owner(config: Foreign) -> str | None:
    owner = config.maybe("meta").maybe("owner").value
    return owner if isinstance(owner, str) and owner else None
