"""JSON lines in object storage."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import ObjectStoragePath


def write_lines(records: Iterable[Mapping[str, Any]], path: ObjectStoragePath) -> dict[str, Any]:
    """Write one line for each record; return the path and the count."""
    count = 0
    # Read to the end first: closing a half-written object publishes it.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
        lines.seek(0)
        if path.protocol == "file":
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:  # type: ignore[no-untyped-call]  # Airflow left it so
            shutil.copyfileobj(lines, file)
    return {"path": str(path), "count": count}
