"""Records as the Table API answers them: raw values, display values, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.records import Row, class_of
from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.locales import Locale

_JOURNALS = {
    "work_notes": ("work_notes",),
    "comments": ("comments",),
    "comments_and_work_notes": ("work_notes", "comments"),
}


@dataclass(frozen=True)
class Shape:
    """How a request wants its records.

    :param fields: Paths to answer; None for all columns.
    :param display: ``false`` raw values, ``true`` display values, ``all`` both.
    :param exclude_links: Answer references without ``link``.
    :param base_url: Where links point.
    :param unreadable: Columns of the table that are left out.
    :param locale: How the user sees times; None: as the instance shows them to whoever has no choice.
    """

    instance: Instance
    table: str
    base_url: str
    fields: tuple[str, ...] | None = None
    display: str = "false"
    exclude_links: bool = False
    unreadable: frozenset[str] = frozenset()
    locale: Locale | None = None

    def record(self, row: Row) -> dict[str, Any]:
        """Return one record of the table."""
        answer = self._readable_and_not(row)
        for name in self.unreadable:
            answer.pop(name, None)
        return answer

    def _readable_and_not(self, row: Row) -> dict[str, Any]:
        if self.fields is None and self.display == "false":
            return self._raw(row)
        paths = self.fields if self.fields is not None else tuple(self.instance.schema[self.table].columns)
        answer: dict[str, Any] = {}
        for path in paths:
            columns = self.instance.schema.path(self.table, path)
            if columns is not None:
                answer[path] = self._value(columns, row)
        return answer

    def _raw(self, row: Row) -> dict[str, Any]:
        """Return the most frequent shape, without a look at every column."""
        table = self.instance.schema[self.table]
        same_class = class_of(self.table, row) == self.table
        answer: dict[str, Any] = dict(row) if same_class else {name: row[name] for name in table.columns}
        if not self.exclude_links:
            for column in table.references:
                if value := row[column.name]:
                    answer[column.name] = {"link": self._link(column, value), "value": value}
        return answer

    def _value(self, columns: list[Column], row: Row) -> Any:
        for column in columns[:-1]:
            found = self.instance.records.get(column.reference, row.get(column.name, ""))
            if found is None:
                return {"display_value": "", "value": ""} if self.display == "all" else ""
            row = found
        column = columns[-1]
        table = class_of(self.table if len(columns) == 1 else columns[-2].reference, row)
        return self._shaped(column, row.get(column.name, ""), table, row)

    def _shaped(self, column: Column, value: str, table: str, row: Row) -> Any:
        is_link = column.kind is Kind.REFERENCE and value and not self.exclude_links
        if self.display == "false":
            return {"link": self._link(column, value), "value": value} if is_link else value
        shown = display_value(self.instance, table, column, value, row, self.locale)
        link = {"link": self._link(column, value)} if is_link else {}
        if self.display == "all":
            return {"display_value": shown, **link, "value": value}
        return {"display_value": shown, **link} if is_link else shown

    def _link(self, column: Column, value: str) -> str:
        return f"{self.base_url}/api/now/table/{column.reference}/{value}"


def display_value(
    instance: Instance, table: str, column: Column, value: str, row: Row, locale: Locale | None = None
) -> str:
    """Return what a person sees of a value.

    :param table: The class of the row, whose choice lists apply.
    :param locale: How the person sees times; None: as the instance has them by default.
    """
    seen = locale or instance.locale()
    if column.kind is Kind.JOURNAL:
        return journal_text(instance, row["sys_id"], _JOURNALS.get(column.name, ()), seen)
    shown = value
    if not value or value == "global":
        return value
    if column.choice:
        shown = instance.choices.of(table, column.name).get(value, value)
    elif column.kind is Kind.REFERENCE:
        shown = instance.records.display_value(column.reference, value)
    elif column.kind is Kind.DATETIME:
        shown = seen.shown(value)
    elif column.kind is Kind.LIST:
        parts = value.split(",")
        shown = ", ".join(instance.records.display_value(column.reference, part) or part for part in parts)
    elif column.name == "sys_class_name" and value in instance.schema:
        shown = instance.schema[value].label
    return shown


def author_name(instance: Instance, user_name: str) -> str:
    """Return the full name behind a user name."""
    user = instance.records.by_display_value("sys_user", user_name)
    return user["name"] if user else user_name


def journal_text(instance: Instance, sys_id: str, elements: tuple[str, ...], locale: Locale) -> str:
    """Return a journal as one string, newest entry first, each under a line with its time and author."""
    columns = instance.schema["task"].columns
    entries = [
        f"{locale.shown(entry['sys_created_on'])} - {author_name(instance, entry['sys_created_by'])}"
        f" ({columns[entry['element']].label})\n{entry['value']}\n\n"
        for entry in reversed(instance.records.journal(sys_id))
        if entry["element"] in elements
    ]
    return "".join(entries)
