"""Anomalies in our own words: dicts with the fields of :class:`~.model.Anomaly`, and its dumps."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, shown
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report

SOURCE = "custom"


def recognises(payload: object) -> bool:
    """Whether this is an anomaly in our own words."""
    if isinstance(payload, Anomaly):
        return True
    if not isinstance(payload, Mapping):
        return False
    return payload.get("source") == SOURCE or "dataset" in payload or "check_name" in payload


def read(payload: object, *, dataset: str | None = None, keep_samples: bool = False) -> Report:
    """Read one anomaly or a list of them.

    :param payload: A dict with ``dataset``, ``check_name`` and whatever else of the model's fields is known;
        ``source`` defaults to ``custom``, null is the same as missing.
    :param dataset: Stands in where a dict has none.
    :param keep_samples: Keep ``samples``, each as text. Rows may hold personal data, so they are dropped
        otherwise.
    """
    top = Foreign(SOURCE, "", payload)
    places = top.each() if isinstance(payload, (list, tuple)) else [top]
    return Report(anomalies=[_anomaly(place, dataset, keep_samples=keep_samples) for place in places])


def _anomaly(place: Foreign, dataset: str | None, *, keep_samples: bool) -> Anomaly:
    if isinstance(place.value, Anomaly):
        return place.value
    given = {key: entry.value for key, entry in place.entries()}
    for key in given:
        if key not in Anomaly.model_fields:
            raise place.refuse(_unknown(key))
    samples = place.at("samples").each() if keep_samples else []
    defaults = {"source": SOURCE, "dataset": dataset}
    return place.anomaly(
        **{
            **defaults,
            **{key: value for key, value in given.items() if value is not None},
            "samples": [_row_text(sample) for sample in samples],
        }
    )


def _unknown(key: str) -> str:
    nearest = difflib.get_close_matches(key[:60], Anomaly.model_fields, n=1, cutoff=0.5)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(Anomaly.model_fields)}"
    return f"unknown key {shown(key)}; {advice}"


def _row_text(sample: Foreign) -> str:
    if isinstance(sample.value, str):
        return sample.value
    try:
        return json.dumps(sample.value, ensure_ascii=False, default=_refuse_type)
    except (TypeError, ValueError, RecursionError) as error:
        raise sample.refuse(f"is not JSON: {error}") from None


def _refuse_type(value: Any) -> str:
    raise TypeError(f"{type(value).__name__} is not a JSON type")
