"""The kinds of value an anomaly is made of, each checked and bounded once.

They are annotations for pydantic; what they refuse, they refuse with ``ValueError`` and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

#: Longest free text that is kept; ServiceNow's own ``description`` holds as many characters.
MAX_TEXT = 4000
#: Most messages, tags or columns that one anomaly keeps.
MAX_ENTRIES = 100
#: Longest identifier and longest name.
MAX_ID = 255
MAX_NAME = 512

_CUT_MARK = " … [cut]"
# What no database column and no request can carry: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Return ``text`` in at most ``limit`` characters, with a visible mark where some are missing."""
    return text if len(text) <= limit else text[: limit - len(_CUT_MARK)] + _CUT_MARK


def short_id(text: str) -> str:
    """Return ``text`` if an :data:`Id` can hold it, else its beginning and a hash of the whole."""
    if len(text) <= MAX_ID:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{text[: MAX_ID - 33]}#{digest}"


def _to_text(value: Any) -> Any:
    if isinstance(value, (bool, int, float, Decimal)):
        value = str(value)
    return cut(_UNSTORABLE.sub("\ufffd", value)) if isinstance(value, str) else value


def _to_id(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    if _UNSTORABLE.search(value):
        raise ValueError("must not hold NUL or half a surrogate pair")
    return value


def _to_lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _to_readable_time(value: Any) -> Any:
    # Airflow hands out pendulum's times, whose arithmetic and text differ from the standard library's.
    return datetime.fromisoformat(value.isoformat()) if isinstance(value, datetime) else value


def _to_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC") from None


def _bounded(values: list[str]) -> list[str]:
    if len(values) <= MAX_ENTRIES:
        return values
    return [*values[: MAX_ENTRIES - 1], f"… and {len(values) - MAX_ENTRIES + 1} more"]


#: Free text; numbers are spelled out, and what exceeds ``MAX_TEXT`` is cut with a mark.
Text = Annotated[str, StringConstraints(strict=True), BeforeValidator(_to_text)]
#: An identifier of up to ``MAX_ID`` characters; integers are spelled out.
Id = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_ID),
    AfterValidator(_not_blank),
    BeforeValidator(_to_id),
]
#: A name of up to ``MAX_NAME`` characters.
Name = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_NAME),
    AfterValidator(_not_blank),
    BeforeValidator(_to_id),
]
#: A number of rows, groups or values; it fits a 64-bit column.
Count = Annotated[int, Field(ge=0, lt=2**63)]
#: An aware UTC time. ISO 8601 text, epoch seconds and milliseconds are read; without a zone it is UTC.
Time = Annotated[datetime, AfterValidator(_to_utc), BeforeValidator(_to_readable_time)]
#: Texts, the first ``MAX_ENTRIES`` of them; a last one counts the rest.
Texts = Annotated[list[Text], AfterValidator(_bounded)]
#: For enumerations that are read in any case.
AnyCase = BeforeValidator(_to_lower)
