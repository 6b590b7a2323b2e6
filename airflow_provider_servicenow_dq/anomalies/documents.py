"""Payloads that come as JSON: as text over XCom, or as a file that a tool has written."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_servicenow_dq.anomalies.places import joined, too_deep
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

Slim = Callable[[dict[str, Any]], Any]

_JSON = re.compile(r"[\ufeff\s]*[{\[]")


def load_json(source: str, text: str, *, path: str = "", slim: Slim | None = None) -> Any:
    """Return what a JSON text holds.

    :param path: Where in the payload the text is.
    :param slim: Called with each object as soon as it is read; what it returns is kept instead. So rows that
        nobody asked for do not pile up beside the text.
    """
    try:
        return json.loads(text, object_hook=slim)
    except RecursionError:
        reason = "is nested deeper than can be read"
        raise AnomalyFormatError(source, joined(path, too_deep(text)), reason) from None
    except ValueError as error:
        raise AnomalyFormatError(source, path, f"is not JSON: {error}") from None


def load_json_file(source: str, path: str | Path, *, slim: Slim | None = None) -> Any:
    """Return what a JSON file holds; ``slim`` as in :func:`load_json`."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AnomalyFormatError(
            source, reprlib.repr(str(path)), f"cannot be read as a file: {reason}"
        ) from None
    return load_json(source, text, slim=slim)


def is_json_text(payload: object) -> bool:
    """Whether a text is JSON itself, and not the name of a file that holds it."""
    return isinstance(payload, str) and _JSON.match(payload) is not None


def document(source: str, payload: object, *, slim: Slim | None = None) -> Any:
    """Return a payload that may be given as it is, as JSON text or as the path of a JSON file."""
    if isinstance(payload, str) and is_json_text(payload):
        return load_json(source, payload, slim=slim)
    return load_json_file(source, payload, slim=slim) if isinstance(payload, (str, Path)) else payload
