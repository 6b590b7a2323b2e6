"""Times as an instance writes them: UTC without a zone, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"


def moment(stamp: str) -> datetime:
    """Return the moment, aware.

    :raises ValueError: If it is no time.
    """
    return datetime.strptime(stamp, TIME_FORMAT).replace(tzinfo=UTC)


def moment_or_none(stamp: str | None) -> datetime | None:
    """Return the moment, aware; None for what is no time."""
    try:
        return moment(stamp or "")
    except ValueError:
        return None


def written(at: datetime) -> str:
    """Return an aware moment as the instance writes it."""
    return at.astimezone(UTC).strftime(TIME_FORMAT)
