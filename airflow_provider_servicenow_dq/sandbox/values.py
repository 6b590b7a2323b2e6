"""What a request body becomes before any rule sees it: raw values of columns, and journal entries."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.journal_rewrites import rewritten
from airflow_provider_servicenow_dq.sandbox.locales import RAW, Locale
from airflow_provider_servicenow_dq.sandbox.schema import VARCHAR_LIMIT, Column, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_servicenow_dq.sandbox.records import Records, Row
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

SYS_ID = re.compile(r"[0-9a-f]{32}")
_ALWAYS_IGNORED = {"sys_mod_count", "sys_class_name", "sys_tags", "sys_domain", "sys_domain_path"}


@dataclass(slots=True)
class Written:
    """What one request writes.

    :param too_long: Columns whose values the database has no room for.
    """

    values: Row = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)


class Choices:
    """The choice lists as ``sys_choice`` has them; read again after that table was written."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lists: dict[tuple[str, str], dict[str, str]] | None = None

    def forget(self) -> None:
        """Read ``sys_choice`` again at the next use."""
        self._lists = None

    def of(self, table: str, element: str) -> dict[str, str]:
        """Return value → label of a column, from the nearest table of the lineage that has a list."""
        if self._lists is None:
            lists: dict[tuple[str, str], dict[str, str]] = {}
            for row in self._records.rows("sys_choice"):
                if row["inactive"] != "true" and row["language"] == "en":
                    lists.setdefault((row["name"], row["element"]), {}).setdefault(row["value"], row["label"])
            self._lists = lists
        for name in self._records.schema[table].lineage:
            if found := self._lists.get((name, element)):
                return found
        return {}


@dataclass(frozen=True)
class Reader:
    """Reads request bodies as an instance does: what is unknown or unusable is dropped without a word.

    :param may_write_system: Accept ``sys_created_*`` and ``sys_updated_*``.
    :param make: Creates a record of a table with a display value and returns its sys_id.
    :param unwritable: Columns that the user writes in vain.
    :param locale: ``sysparm_input_display_value``: values are as this user sees them; None: raw.
    """

    records: Records
    choices: Choices
    switches: Switches
    may_write_system: bool
    make: Callable[[str, str], str]
    unwritable: frozenset[str] = frozenset()
    locale: Locale | None = None

    def read(self, table: str, body: Mapping[str, Any]) -> Written:
        """Return what a body writes to a row of the table."""
        written = Written()
        columns = self.records.schema[table].columns
        ignored = _ALWAYS_IGNORED | self.unwritable
        for name, given in body.items():
            column = columns.get(name)
            if column is None or name == "sys_id" or name in ignored:
                continue
            if name.startswith("sys_") and not self.may_write_system:
                continue
            text = as_text(given)
            if column.kind is Kind.JOURNAL:
                kept = rewritten(text, self.switches.journal_rewrites)
                if kept and name != "comments_and_work_notes":
                    written.journal.append((name, kept))
                continue
            value = self._value(table, column, text)
            if value is not None:
                written.values[name] = value
                if value != text and len(text) > column.length and column.kind is Kind.STRING:
                    written.too_long.append(name)
        return written

    def _value(self, table: str, column: Column, text: str) -> str | None:
        """Return the raw value to store, or None to leave the column as it is."""
        if column.choice and (choices := self.choices.of(table, column.name)):
            return self._choice(choices, text)
        match column.kind:
            case Kind.BOOLEAN:
                return "true" if text.lower() in {"true", "1", "yes"} else "false"
            case Kind.INTEGER:
                return _integer(text)
            case Kind.DATETIME:
                return self._time(text)
            case Kind.REFERENCE:
                return self._reference(table, column, text)
        return text[: column.length] if column.length <= VARCHAR_LIMIT else text

    def _choice(self, choices: dict[str, str], text: str) -> str | None:
        """Find the choice that is meant; ``""`` empties no choice column, the unknown is discarded."""
        if text in choices or not text:
            return text or None
        folded = text.casefold()
        for value in choices:
            if value.casefold() == folded:
                return value
        if self.locale is not None or self.switches.choice_labels:
            for value, label in choices.items():
                if label.casefold() == folded:
                    return value
        return text if self.switches.allow_non_existing_choice else None

    def _time(self, text: str) -> str | None:
        if not text:
            return ""
        return (self.locale or RAW).stored(text)

    def _reference(self, table: str, column: Column, text: str) -> str | None:
        """Store a sys_id without a look; what a name does depends on the request and the instance."""
        if not text or SYS_ID.fullmatch(text):
            return text
        if self.locale is not None or self.switches.reference_names == "resolve":
            row = self.records.by_display_value(column.reference, text)
            if row is not None:
                return row["sys_id"]
            lineage = self.records.schema[table].lineage
            dynamic = any(f"{name}.{column.name}" in self.switches.dynamic_creation for name in lineage)
            return self.make(column.reference, text) if dynamic else ""
        return None if self.switches.reference_names == "discard" else text[: column.length]


def as_text(given: Any) -> str:
    """Return a JSON value as the string that the platform makes of it."""
    if given is None:
        return ""
    if isinstance(given, str):
        # Java strings turn what is not a character into "?" on their way to the database.
        return given.encode("utf-8", "replace").decode() if not given.isascii() else given
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, dict) and isinstance(given.get("value"), str):
        return as_text(given["value"])
    return str(given) if isinstance(given, int | float) else json.dumps(given)


def _integer(text: str) -> str | None:
    if not text:
        return ""
    try:
        return str(int(text))
    except ValueError:
        return None
