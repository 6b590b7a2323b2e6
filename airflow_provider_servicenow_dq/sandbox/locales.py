"""How one user sees dates and times: zone and formats, as the user's profile or the instance has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_servicenow_dq.sandbox.scripts import TIME_FORMAT

#: Letters of the platform's (Java's) formats that an administrator can choose from, as Python has them.
_DIRECTIVES = {
    "yyyy": "%Y",
    "MM": "%m",
    "MMM": "%b",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "a": "%p",
}
_LETTERS = re.compile(r"([A-Za-z])\1*")


@dataclass(frozen=True, slots=True)
class Locale:
    """One user's zone, and date and time as ``strftime`` writes them."""

    zone: ZoneInfo
    pattern: str

    def shown(self, raw: str) -> str:
        """Return a raw time as the user sees it."""
        moment = datetime.strptime(raw, TIME_FORMAT).replace(tzinfo=UTC)
        return moment.astimezone(self.zone).strftime(self.pattern)

    def stored(self, text: str) -> str | None:
        """Return the raw time that the user means, or None where the text is not in the user's format."""
        for pattern in (self.pattern, self.pattern.partition(" ")[0]):
            moment = _moment(text, pattern, self.zone)
            if moment:
                return moment
        return None

    def literal(self, text: str) -> str:
        """Return the raw time of a literal in the platform's own format that is in the user's zone."""
        for pattern in (TIME_FORMAT, "%Y-%m-%d"):
            moment = _moment(text, pattern, self.zone)
            if moment:
                return moment
        return text


def _moment(text: str, pattern: str, zone: ZoneInfo) -> str | None:
    try:
        local = datetime.strptime(text, pattern).replace(tzinfo=zone)
    except ValueError:
        return None
    return local.astimezone(UTC).strftime(TIME_FORMAT)


@cache
def locale(zone: str, date_format: str, time_format: str) -> Locale:
    """Return what a zone and the platform's formats, such as ``dd/MM/yyyy`` and ``HH:mm:ss``, mean.

    :raises ValueError: There is no such zone, or the format has letters that the platform does not offer.
    """
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"there is no time zone {zone!r}") from error
    return Locale(known, f"{_pattern(date_format)} {_pattern(time_format)}")


def _pattern(text: str) -> str:
    def directive(match: re.Match[str]) -> str:
        if match[0] not in _DIRECTIVES:
            raise ValueError(f"{text!r} has {match[0]!r}, which no date or time format has")
        return _DIRECTIVES[match[0]]

    return _LETTERS.sub(directive, text)


#: Raw values, and what requests that are not about display values write.
RAW = Locale(ZoneInfo("UTC"), TIME_FORMAT)
