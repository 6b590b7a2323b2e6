"""Anomalies in our own words: dicts with the fields of :class:`~.model.Anomaly`, and its dumps."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, sample_count
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass, Report
from airflow_provider_servicenow_dq.anomalies.places import shown

SOURCE = "custom"

#: Says of a check, in the place of an anomaly's status, that there is none.
_PASSED = "passed"


def recognises(payload: object) -> bool:
    """Whether this is an anomaly in our own words."""
    if isinstance(payload, Anomaly):
        return True
    if not isinstance(payload, Mapping):
        return False
    return payload.get("source") == SOURCE or "dataset" in payload or "check_name" in payload


def read(payload: object, *, dataset: str | None = None, samples: int | bool = 0) -> Report:
    """Read one anomaly or a list of them.

    :param payload: A dict with ``dataset``, ``check_name`` and whatever else of the model's fields is known;
        ``source`` defaults to ``custom``, null is the same as missing. One whose ``status`` is ``passed``
        says that the check found nothing: it is no anomaly.
    :param dataset: Stands in where a dict has none.
    :param samples: How many of its ``samples`` each anomaly keeps as text, up to 100; true keeps all. Rows
        may hold personal data, so they are dropped otherwise.
    """
    top = Foreign(SOURCE, "", payload)
    places = top.each() if isinstance(payload, (list, tuple)) else [top]
    kept = sample_count(SOURCE, samples)
    stand_in = option(SOURCE, "dataset", dataset)
    anomalies = []
    passes = []
    for place in places:
        if _has_passed(place.value):
            passes.append(Pass.of(_anomaly(place.but({**place.value, "status": None}), stand_in, 0)))
        else:
            anomalies.append(_anomaly(place, stand_in, kept))
    return Report(anomalies=anomalies, passed=len(passes), passes=passes)


def _has_passed(value: object) -> bool:
    status = value.get("status") if isinstance(value, Mapping) else None
    return isinstance(status, str) and status.lower() == _PASSED


def _anomaly(place: Foreign, dataset: Foreign, kept: int) -> Anomaly:
    if isinstance(place.value, Anomaly):
        return place.value
    given = {key: entry.value for key, entry in place.entries()}
    for key in given:
        if key not in Anomaly.model_fields:
            raise place.refuse(_unknown(key))
    rows = place.at("samples").stream() if kept else iter(())
    defaults = {"source": SOURCE, "dataset": dataset}
    return place.anomaly(
        **{
            **defaults,
            **{key: value for key, value in given.items() if value is not None},
            "samples": [row.row_text() for row in islice(rows, kept)],
        }
    )


def _unknown(key: str) -> str:
    nearest = difflib.get_close_matches(key[:60], Anomaly.model_fields, n=1, cutoff=0.5)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(Anomaly.model_fields)}"
    return f"unknown key {shown(key)}; {advice}"
