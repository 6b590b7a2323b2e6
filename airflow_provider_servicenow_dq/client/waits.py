"""How long an instance asks us to wait."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Rules count per hour, so nothing makes a longer wait reasonable.
LONGEST_WAIT_S: Final = 3600.0

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]+)?")


def asked_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, 0 to 3600; None where the instance names no time that can be read.

    ``Retry-After`` is seconds or a date; without it a rule that is used up says in ``X-RateLimit-Reset`` when
    its hour ends. Both are moments on the instance's clock, which its ``Date`` tells.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    moment = _moment(text)
    if moment is None and status == HTTPStatus.TOO_MANY_REQUESTS:
        moment = _reset(headers.get("X-RateLimit-Reset", "").strip())
    if moment is None:
        return None
    now = _moment(headers.get("Date", "")) or time.time()
    return min(max(0.0, moment - now), LONGEST_WAIT_S)


def words_for(wait: float | None) -> str:
    """Say when a wait is over, by the clock that a task's log is read with."""
    if not wait:
        return ""
    # Rounded up, so that the moment named is none too early.
    moment = datetime.now(UTC) + timedelta(seconds=wait + 1)
    return f"; it may be asked again at {moment:%H:%M:%S} UTC"


def _reset(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{9,11}", text) else None


def _moment(text: str) -> float | None:
    """Return a date of HTTP as a Unix time."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
