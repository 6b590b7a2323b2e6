"""Validation results of Great Expectations 1.x.

They come in full (``to_json_dict()``) or reduced (``describe_dict()``, which is what the Airflow provider's
operators leave in XCom, and a checkpoint's ``describe()``). The reduced form has lost the severity, the
asset, the suite, the time and what went wrong: an expectation that could not run cannot be told from one that
failed, so there it is a ``check_failed``. Prefer the full form with ``result_format="SUMMARY"``; ``COMPLETE``
holds every bad row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, load_json, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Report, Severity
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
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")


def recognises(payload: object) -> bool:
    """Whether this is a validation result or a description of one."""
    if not isinstance(payload, Mapping) or "success" not in payload:
        return False
    return any(
        isinstance(payload.get(key), (list, tuple))
        for key in ("results", "expectations", "validation_results")
    )


def read(
    payload: object,
    *,
    dataset: str | Sequence[str] | None = None,
    suite: str | None = None,
    partition_key: str | None = None,
) -> Report:
    """Read a validation result.

    An expectation is the same problem in every run and in both forms: its type and arguments without the
    batch, on its dataset.

    :param payload: ``to_json_dict()``, ``describe_dict()``, the XCom of a GX operator, or ``describe()``'s
        text.
    :param dataset: What was validated; beats what the result says (``datasource.asset``). The reduced form
        says nothing, so there it must be given, for a checkpoint of several validations as a list with one
        for each.
    :param suite: Name of the suite where the result does not have it; it becomes the tag ``suite:<name>``.
    :param partition_key: When each partition is to have tickets of its own.
    """
    top = Foreign(SOURCE, "", load_json(SOURCE, payload) if isinstance(payload, str) else payload)
    validations = [top] if top.at("validation_results").value is None else top.at("validation_results").each()
    datasets = [dataset] * len(validations) if dataset is None or isinstance(dataset, str) else list(dataset)
    if len(datasets) != len(validations) or (isinstance(dataset, str) and len(validations) > 1):
        raise top.refuse(
            f"holds {len(validations)} validations; give the option dataset as a list of as many"
        )

    anomalies = []
    passed = 0
    for validation, name in zip(validations, datasets, strict=True):
        context = _context(validation, name, suite, partition_key)
        for result in _results(validation):
            if result.at("success").flag():
                passed += 1
            else:
                anomalies.append(_anomaly(result, context))
    return Report(anomalies=anomalies, passed=passed)


def _context(
    validation: Foreign, dataset: str | None, suite: str | None, partition_key: str | None
) -> dict[str, Any]:
    meta = validation.at("meta")
    batch = meta.maybe("active_batch_definition")
    asset = unique([batch.maybe(key).text_or_none() for key in ("datasource_name", "data_asset_name")])
    if not dataset and not asset:
        raise validation.refuse("does not say what was validated: give the option dataset")
    suite_name = validation.at("suite_name").text_or_none() or suite
    run_time = meta.maybe("run_id").maybe("run_time").text_or_none()
    return {
        "dataset": dataset or ".".join(asset),
        "detected_at": run_time or meta.maybe("validation_time").text_or_none(),
        "tags": [f"suite:{suite_name}"] if suite_name else [],
        "partition_key": partition_key,
    }


def _results(validation: Foreign) -> list[Foreign]:
    for key in ("results", "expectations"):
        if validation.at(key).value is not None:
            return validation.at(key).each()
    raise validation.refuse("results or expectations are due here")


def _anomaly(result: Foreign, context: dict[str, Any]) -> Anomaly:
    config = result.at("expectation_config")
    full = config.value is not None
    expectation = (config.at("type") if full else result.at("expectation_type")).text()
    arguments = _arguments(config.at("kwargs") if full else result.at("kwargs"))
    columns = _columns(arguments)
    severity = config.maybe("severity")
    outcome = result.at("result")
    failed, total = outcome.maybe("unexpected_count").count(), outcome.maybe("element_count").count()
    errors = _errors(result.at("exception_info"))
    return result.anomaly(
        source=SOURCE,
        check_id=short_id(f"{expectation}({_written(arguments)})"),
        check_name=cut(f"{expectation} ({', '.join(columns)})" if columns else expectation, MAX_NAME),
        kind=_kind(expectation, could_not_run=bool(errors)),
        columns=columns,
        severity=severity.chosen(_SEVERITIES) if severity.value is not None else _default_severity(full=full),
        failed_count=failed,
        total_count=total,
        failed_unit="rows" if failed is not None else None,
        observed=outcome.maybe("observed_value").scalar_text(),
        expected=_expected(arguments),
        message="\n".join(errors)
        or (None if failed is None else f"{failed} of {total} values are unexpected"),
        owner=_owner(config),
        **context,
    )


def _default_severity(*, full: bool) -> Severity:
    # GX takes an expectation for critical unless told otherwise; the reduced form does not tell.
    return Severity.CRITICAL if full else Severity.MEDIUM


def _kind(expectation: str, *, could_not_run: bool) -> Kind:
    if could_not_run:
        return Kind.CHECK_ERROR
    return Kind.SCHEMA if expectation.startswith(_SCHEMA_EXPECTATIONS) else Kind.CHECK_FAILED


def _arguments(kwargs: Foreign) -> dict[str, Any]:
    # A batch is where it ran, not what was asked; null is GX's way to say "not given".
    given = {
        key: place.value for key, place in kwargs.entries() if key != "batch_id" and place.value is not None
    }
    try:
        text = json.dumps(given, allow_nan=False, sort_keys=True)
        arguments: dict[str, Any] = json.loads(text, parse_float=_number)
    except (TypeError, ValueError, RecursionError) as error:
        raise kwargs.refuse(f"is not JSON: {error}") from None
    return arguments


def _number(text: str) -> int | float:
    # The same argument comes as 0 or as 0.0, depending on which form wrote it.
    number = float(text)
    return int(number) if number.is_integer() else number


def _written(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={json.dumps(value, sort_keys=True)}" for key, value in arguments.items())


def _expected(arguments: Mapping[str, Any]) -> str | None:
    asked = {key: value for key, value in arguments.items() if key not in _COLUMN_ARGUMENTS}
    texts = (
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in asked.items()
    )
    return ", ".join(texts) or None


def _columns(arguments: Mapping[str, Any]) -> list[str]:
    named: list[Any] = []
    for key in _COLUMN_ARGUMENTS:
        value = arguments.get(key)
        named.extend(value if isinstance(value, list) else [value])
    return unique([name for name in named if isinstance(name, str)])


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
