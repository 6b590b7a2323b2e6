"""What Pandera found: the failure cases of ``SchemaErrors``, which a lazy validation raises.

They come as a frame, as its rows, as JSON, or in a document beside the schema's name. There is one row for
each bad cell, so that all rows of one check are one anomaly. ``SchemaErrors.message``, which names each check
once and counts nothing, is read as well: it is what is left of an exception that was pickled.

Pandera reports only what failed, so that nothing counts as passed. Seen with 0.35 on pandas and Polars.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_servicenow_dq.anomalies.documents import document, load_json
from airflow_provider_servicenow_dq.anomalies.failure_cases import (
    cases,
    is_case,
    is_frame,
    is_message,
    is_table,
    missing,
)
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, sample_count
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Report
from airflow_provider_servicenow_dq.anomalies.pandera_checks import Check, alike, check_of, kind_of, said_in
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

SOURCE = "pandera"


def recognises(payload: object) -> bool:
    """Whether these are failure cases in one of their forms, or what they are in."""
    if isinstance(payload, BaseException):
        return hasattr(payload, "failure_cases")
    if isinstance(payload, (list, tuple)):
        return bool(payload) and is_case(payload[0])
    if not isinstance(payload, Mapping):
        return is_frame(payload)
    return "failure_cases" in payload or is_case(payload) or is_table(payload) or is_message(payload)


def read(
    payload: object,
    *,
    dataset: str | None = None,
    partition_key: str | None = None,
    severity: str | None = None,
    samples: int | bool = 0,
) -> Report:
    """Read failure cases: one anomaly for each check that failed, however many rows it has.

    :param payload: ``SchemaErrors.failure_cases`` as a frame, by row or by column; a document with
        ``failure_cases`` or ``message``, and ``schema_name``; ``SchemaErrors.message``; the exception; or one
        of these as JSON text or as the path of a file.
    :param dataset: What was validated; beats the schema's name. Failure cases alone do not have it, so that
        there it must be given.
    :param partition_key: When each partition is to have tickets of its own.
    :param severity: Pandera knows none; medium by default.
    :param samples: How many bad values each anomaly keeps, up to 100. They may hold personal data, so they
        are dropped otherwise.
    """
    found = _found(Foreign(SOURCE, "", document(SOURCE, payload)))
    given = option(SOURCE, "dataset", dataset)
    name = given if given.text_or_none() else found.schema
    if not name.text_or_none():
        raise found.cases.refuse("does not say what was validated: give the option dataset")
    common = {
        "dataset": name,
        "partition_key": option(SOURCE, "partition_key", partition_key),
        "severity": option(SOURCE, "severity", severity),
    }
    groups = _grouped(found, sample_count(SOURCE, samples))
    return Report(anomalies=[_anomaly(group, common, complete=found.complete) for group in groups])


@dataclass(frozen=True, slots=True)
class _Found:
    """What a payload holds: the cases, the schema's name, and whether these are all cases."""

    cases: Foreign
    schema: Foreign
    complete: bool = True


def _found(top: Foreign) -> _Found:
    payload = top.value
    nameless = top.but(None)
    if isinstance(payload, BaseException):
        return _of_exception(top)
    if is_message(payload):
        entry = next(cases(top), nameless)
        return _Found(top, entry.maybe("schema"))
    if not isinstance(payload, Mapping) or is_case(payload) or is_table(payload):
        return _Found(top, nameless)
    listed = top.at("failure_cases")
    if listed.value is None:
        listed = top.at("message")
    if isinstance(listed.value, str):
        listed = listed.but(load_json(SOURCE, listed.value, path=listed.path))
    if listed.value is None:
        raise top.at("failure_cases").refuse("the failure cases are due here")
    total = top.at("failure_cases_total").count()
    all_here = total is None or not isinstance(listed.value, (list, tuple)) or len(listed.value) >= total
    return _Found(listed, top.at("schema_name"), all_here)


def _of_exception(top: Foreign) -> _Found:
    kept = getattr(top.value, "failure_cases", None)
    if not is_frame(kept):
        # Pickled, it has texts where its parts were, and only the message is whole.
        kept = getattr(top.value, "message", None)
        if not is_message(kept):
            raise top.refuse("holds no list of failure cases: validate with lazy=True")
    schema = getattr(getattr(top.value, "schema", None), "name", None)
    listed = top.but(kept)
    named = Foreign(SOURCE, "schema.name", schema)
    return _Found(listed, next(cases(listed), named).maybe("schema") if schema is None else named)


@dataclass(slots=True)
class _Group:
    """The cases of one check."""

    first: Foreign
    check: Check
    columns: dict[str, None] = field(default_factory=dict)
    size: int = 0
    rows: list[str] = field(default_factory=list)


def _grouped(found: _Found, samples: int) -> Iterable[_Group]:
    schema = found.schema.text_or_none()
    groups: dict[tuple[str | None, ...], _Group] = {}
    known: dict[Any, Check] = {}
    for case in cases(found.cases):
        likeness = alike(case.value)
        try:
            check = known.get(likeness)
        except TypeError:
            # A list: the name of a column with several levels.
            check = likeness = None
        if check is None:
            check = check_of(case, schema)
            if likeness is not None:
                known[likeness] = check
        group = groups.get(check.identity)
        if group is None:
            group = groups[check.identity] = _Group(case, check)
        group.size += 1
        if check.column is not None:
            group.columns[check.column] = None
        if (
            len(group.rows) < samples
            and kind_of(case, check) is Kind.CHECK_FAILED
            and "failure_case" in case.value
        ):
            cell = {key: case.value.get(key) for key in ("index", "failure_case")}
            row = {key: None if missing(value) else value for key, value in cell.items()}
            group.rows.append(case.but(row).row_text(default=str))
    return groups.values()


def _anomaly(group: _Group, common: Mapping[str, Any], *, complete: bool) -> Anomaly:
    case, check = group.first, group.check
    kind = kind_of(case, check)
    columns = list(group.columns)
    # What has neither a row nor a neighbour is no cell, but the answer of a check of the whole.
    in_rows = group.size > 1 or not missing(case.value.get("index"))
    cells = group.size if kind is Kind.CHECK_FAILED and in_rows and "failure_case" in case.value else None
    title = f"{check.name} ({', '.join(columns)})" if columns else check.name
    said = said_in(case, kind)
    named = case.at("check")
    return case.anomaly(
        source=SOURCE,
        check_id=named.but(short_id(json.dumps(check.identity))),
        check_name=named.but(cut(title, MAX_NAME)),
        kind=kind,
        columns=columns,
        failed_count=cells if complete else None,
        failed_unit=None if cells is None or not complete else "values" if check.whole else "rows",
        observed=said if kind is Kind.SCHEMA else None,
        expected=check.name,
        message=_message(title, kind, said, cells, complete=complete),
        samples=group.rows,
        **common,
    )


def _message(title: str, kind: Kind, said: str | None, cells: int | None, *, complete: bool) -> str:
    if cells is not None:
        return f"{cells if complete else f'at least {cells}'} values fail {title}"
    if kind is Kind.CHECK_ERROR and said:
        return said
    return f"{title} failed: {said}" if said else f"{title} failed"
