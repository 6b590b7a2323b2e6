"""What counts as told of a ticket: what whoever follows its changes knows already.

It is not what was last seen: the answer to our own note shows, too, what somebody did a second before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Columns that are followed.
FOLLOWED: Final = (
    "state",
    "priority",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "short_description",
    "assigned_to",
    "assignment_group",
    "caller_id",
    "due_date",
    "close_code",
    "close_notes",
)
#: Columns that tell one state of a record from a later one.
VERSION: Final = ("sys_mod_count", "sys_updated_on")

#: What the instance changes by itself when we write a column.
_FOLLOWS: Final = {
    "state": ("close_code", "close_notes"),
    "impact": ("priority",),
    "urgency": ("priority",),
}

_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"

_COLUMNS: Final = "columns"
_READ: Final = "read"
_JOURNAL_AFTER: Final = "journal_after"

Told = dict[str, Any]


class Difference(NamedTuple):
    """A column that is not as it was told."""

    field: str
    old: str
    new: str


def first_told(record: Mapping[str, Any], *, made: bool) -> Told:
    """Return what is told of a ticket that becomes known.

    :param made: We have just made it, so nobody has written into its journals yet. Else what stands there
        counts as told.
    """
    return {
        _COLUMNS: {name: _text(record[name]) for name in FOLLOWED if name in record},
        **_version_of(record),
        _READ: None,
        _JOURNAL_AFTER: "" if made else _text(record.get("sys_updated_on")),
    }


def with_second_told(told: Told) -> Told:
    """Return what is told where the journal entries of the last second are known by their ids."""
    return {**told, _JOURNAL_AFTER: _second_before(journal_after(told))}


def with_ours(told: Told, values: Mapping[str, str], record: Mapping[str, Any] | None) -> Told:
    """Return what is told once something of ours was written: the columns that we wrote, and no others.

    :param values: What we sent.
    :param record: The instance's answer; None where it was lost.
    """
    shown = {name: _text(value) for name, value in (record or {}).items()}
    ours = {name: shown.get(name, value) for name, value in values.items() if name in FOLLOWED}
    for name in values:
        for other in _FOLLOWS.get(name, ()):
            # A reopened ticket loses its close code; one that somebody else gave it is no consequence.
            if other not in ours and other in shown and (name != "state" or not shown[other]):
                ours[other] = shown[other]
    newer = _version_of(record) if record and not is_older(record, told) else {}
    return {**told, _COLUMNS: {**told[_COLUMNS], **ours}, **newer}


def with_record(told: Told, record: Mapping[str, Any], *, journal_read: bool) -> Told:
    """Return what is told once a record was read, and all that is new in it has been written down."""
    shown = {name: _text(record[name]) for name in FOLLOWED if name in record}
    read = {_READ: version(record)} if journal_read else {}
    return {**told, _COLUMNS: {**told[_COLUMNS], **shown}, **_version_of(record), **read}


def with_column(told: Told, name: str, value: str) -> Told:
    """Return what is told with one column changed."""
    return {**told, _COLUMNS: {**told[_COLUMNS], name: value}}


def column(told: Told, name: str) -> str:
    """Return a column as it was told."""
    return str(told[_COLUMNS].get(name, ""))


def is_older(record: Mapping[str, Any], told: Told) -> bool:
    """Whether a record was read before something that has been told since."""
    ours, theirs = _mods(told), _mods(record)
    if ours is not None and theirs is not None:
        return theirs < ours
    return _text(record.get("sys_updated_on")) < _text(told.get("sys_updated_on"))


def version(record: Mapping[str, Any]) -> str:
    """Return what tells a state of a record from others; every journal entry makes a new one."""
    return "|".join(_text(record.get(name)) for name in VERSION)


def journal_was_read(told: Told, record: Mapping[str, Any]) -> bool:
    """Whether the journals were read in this state of the record."""
    return bool(told.get(_READ) == version(record))


def journal_after(told: Told) -> str:
    """Return the time of the last journal entry that was there when the ticket became known."""
    return str(told.get(_JOURNAL_AFTER) or "")


def differences(
    told: Told, record: Mapping[str, Any], under_way: Iterable[Mapping[str, str]]
) -> list[Difference]:
    """Return what somebody else has changed.

    :param under_way: Values of our own writes of which it is not written down yet whether they arrived.
    """
    shown = {name: _text(record[name]) for name in FOLLOWED if name in record}
    known: dict[str, str] = dict(told[_COLUMNS])
    for values in under_way:
        ours = {name: value for name, value in values.items() if name in shown}
        if ours and all(shown[name] == value for name, value in ours.items()):
            known |= ours
    return [
        Difference(name, known[name], shown[name])
        for name in FOLLOWED
        if name in shown and name in known and known[name] != shown[name]
    ]


def _version_of(record: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(record.get(name)) for name in VERSION}


def _second_before(stamp: str) -> str:
    try:
        return (datetime.strptime(stamp, _TIME_FORMAT) - timedelta(seconds=1)).strftime(_TIME_FORMAT)  # noqa: DTZ007 (UTC without a zone, all through)
    except ValueError:
        return stamp


def _mods(record: Mapping[str, Any]) -> int | None:
    text = _text(record.get("sys_mod_count"))
    return int(text) if text.isdecimal() else None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
