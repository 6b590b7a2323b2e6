"""The ``javascript:`` values that encoded queries use, and the dates relative to now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_CALL = re.compile(r"javascript:\s*(?P<name>[\w.()]+?)\((?P<arguments>[^()]*)\)\s*;?\s*", re.DOTALL)
_AGO = re.compile(r"gs\.(?P<unit>minutes|hours|days|months|quarters|years)Ago(?P<edge>Start|End)?")
_EDGE_OF_DAY = re.compile(r"gs\.(?P<edge>beginning|end)Of(?P<day>Yesterday|Today|Tomorrow)")
_EDGE_OF_SPAN = re.compile(
    r"gs\.(?P<edge>beginning|end)Of(?P<which>Last|This|Next)(?P<unit>Week|Month|Quarter|Year)"
)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"Yesterday": -1, "Today": 0, "Tomorrow": 1}
_WHICH = {"Last": -1, "This": 0, "Next": 1}


class ScriptError(ValueError):
    """The script is none that this instance can evaluate."""


def shift(moment: datetime, unit: str, amount: int) -> datetime:
    """Return the moment ``amount`` units later.

    :param unit: Singular: ``minute``, ``hour``, ``day``, ``week``, ``month``, ``quarter``, ``year``.
    :raises ScriptError: There is no such unit.
    """
    if unit in _MONTHS:
        months = moment.year * 12 + moment.month - 1 + amount * _MONTHS[unit]
        year, month = months // 12, months % 12 + 1
        day = min(
            moment.day, (datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
        )
        return moment.replace(year=year, month=month, day=day)
    if unit not in {"minute", "hour", "day", "week"}:
        raise ScriptError(unit)
    return moment + timedelta(**{f"{unit}s": amount})


def _start_of(moment: datetime, unit: str) -> datetime:
    """Return the first moment of the unit around ``moment``."""
    if unit == "minute":
        return moment.replace(second=0)
    if unit == "hour":
        return moment.replace(minute=0, second=0)
    midnight = moment.replace(hour=0, minute=0, second=0)
    if unit == "week":
        return midnight - timedelta(days=midnight.weekday())
    if unit in _MONTHS:
        month = (midnight.month - 1) // _MONTHS[unit] * _MONTHS[unit] + 1
        return midnight.replace(month=month, day=1)
    return midnight


class Scripts:
    """Evaluates scripts for one user at one moment.

    :param now: The instance's time, in UTC.
    :param zone: The user's time zone: days begin at its midnight.
    :param user_id: The user's sys_id.
    :param user_name: The user's login.
    :param groups: Returns sys_ids of the user's groups.
    """

    def __init__(
        self, now: datetime, zone: ZoneInfo, user_id: str, user_name: str, groups: Callable[[], list[str]]
    ) -> None:
        self.now = now.replace(microsecond=0)
        self._zone = zone
        self._fixed: dict[str, Callable[[], str]] = {
            "gs.getUserID": lambda: user_id,
            "gs.getUserName": lambda: user_name,
            "gs.nowDateTime": lambda: self.now.strftime(TIME_FORMAT),
            "gs.now": lambda: self.now.strftime("%Y-%m-%d"),
            "gs.getUser().getMyGroups": lambda: ",".join(groups()),
            "getMyGroups": lambda: ",".join(groups()),
        }

    def evaluate(self, value: str) -> str:
        """Return the value of a ``javascript:`` literal, and any other literal as it is.

        :raises ScriptError: The script is none that this instance can evaluate.
        """
        if not value.startswith("javascript:"):
            return value
        match = _CALL.fullmatch(value)
        if match is None:
            raise ScriptError(value)
        name, arguments = match["name"], match["arguments"]
        if name in self._fixed:
            return self._fixed[name]()
        if name == "gs.dateGenerate":
            return self._date_generate(arguments)
        return self._relative(name, arguments).astimezone(UTC).strftime(TIME_FORMAT)

    def edge(self, moment: datetime, unit: str, side: str) -> datetime:
        """Return the first or last second of the unit around a moment, in the user's zone.

        :param side: ``Start`` or ``End``.
        """
        first = _start_of(moment.astimezone(self._zone), unit)
        return first if side == "Start" else shift(first, unit, 1) - timedelta(seconds=1)

    def _date_generate(self, arguments: str) -> str:
        day, _, clock = (part.strip().strip("'\"") for part in arguments.partition(","))
        clock = {"start": "00:00:00", "end": "23:59:59", "": "00:00:00"}.get(clock, clock)
        try:
            local = datetime.strptime(f"{day} {clock}", TIME_FORMAT).replace(tzinfo=self._zone)
        except ValueError as error:
            raise ScriptError(arguments) from error
        return local.astimezone(UTC).strftime(TIME_FORMAT)

    def _relative(self, name: str, arguments: str) -> datetime:
        local = self.now.astimezone(self._zone)
        if match := _AGO.fullmatch(name):
            unit = match["unit"].removesuffix("s")
            try:
                moment = shift(local, unit, -int(arguments))
            except ValueError as error:
                raise ScriptError(name) from error
            return self.edge(moment, unit, match["edge"]) if match["edge"] else moment
        if match := _EDGE_OF_DAY.fullmatch(name):
            moment = shift(local, "day", _DAYS[match["day"]])
            return self.edge(moment, "day", "Start" if match["edge"] == "beginning" else "End")
        if match := _EDGE_OF_SPAN.fullmatch(name):
            unit = match["unit"].lower()
            moment = shift(_start_of(local, unit), unit, _WHICH[match["which"]])
            return self.edge(moment, unit, "Start" if match["edge"] == "beginning" else "End")
        raise ScriptError(name)
