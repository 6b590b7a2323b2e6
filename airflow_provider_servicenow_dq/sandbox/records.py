"""The rows of every table, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: One record, column to raw value. Never changed in place: a change puts a new one, so a reader may keep it.
Row = dict[str, str]

_FIRST_NUMBER = 10001


class Records:
    """Rows by class and sys_id, with the journal by record.

    A row belongs to the class in its ``sys_class_name``, else to its only table. A parent table holds the
    rows of its descendants as well, and a sys_id is unique in the whole family.
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Row]] = {name: {} for name in TABLES}
        self._numbers = dict.fromkeys(TABLES, _FIRST_NUMBER)
        self._journal: dict[str, dict[str, Row]] = {}

    def get(self, table: str, sys_id: str) -> Row | None:
        """Return one row of the table or of its descendants."""
        for name in TABLES[table].family:
            row = self._rows[name].get(sys_id)
            if row is not None:
                return row
        return None

    def rows(self, table: str) -> list[Row]:
        """Return all rows of the table and its descendants, in the order in which they were made."""
        family = TABLES[table].family
        # list() copies a dict at once, so a reader without the instance's lock cannot meet a half-made one.
        return [row for name in family for row in list(self._rows[name].values())]

    def some(self, table: str, sys_ids: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of some sys_ids, each once."""
        for sys_id in dict.fromkeys(sys_ids):
            row = self.get(table, sys_id)
            if row is not None:
                yield row

    def journal(self, element_id: str) -> list[Row]:
        """Return the journal rows of a record, oldest first."""
        return list(self._journal.get(element_id, {}).values())

    def put(self, table: str, row: Row) -> None:
        """Write a row of exactly this class, in the place of the one with its sys_id."""
        self._rows[table][row["sys_id"]] = row
        if table == "sys_journal_field":
            self._journal.setdefault(row["element_id"], {})[row["sys_id"]] = row

    def remove(self, table: str, sys_id: str) -> None:
        """Delete a row of exactly this class."""
        row = self._rows[table].pop(sys_id)
        if table == "sys_journal_field":
            self._journal[row["element_id"]].pop(sys_id)

    def is_taken(self, table: str, sys_id: str) -> bool:
        """Tell whether any table of the family has the sys_id: it is the primary key of them all."""
        *_, root = TABLES[table].lineage
        return self.get(root, sys_id) is not None

    def next_number(self, table: str) -> str:
        """Return the next record number, which is then used up whether or not the insert succeeds."""
        number = self._numbers[table]
        self._numbers[table] = number + 1
        return f"{TABLES[table].number_prefix}{number:07d}"

    def display_value(self, table: str, sys_id: str) -> str:
        """Return the display value of a record, empty where there is none."""
        row = self.get(table, sys_id) if table in TABLES else None
        return row[TABLES[class_of(table, row)].display] if row else ""

    def by_display_value(self, table: str, text: str) -> Row | None:
        """Return the first row that goes by this name (for users also by user name), in any case."""
        wanted = text.casefold()
        for row in self.rows(table):
            names = {
                row[TABLES[class_of(table, row)].display].casefold(),
                row.get("user_name", "").casefold(),
            }
            if wanted in names:
                return row
        return None


def class_of(table: str, row: Row) -> str:
    """Return the name of the table that a row, found in ``table``, belongs to."""
    return row.get("sys_class_name") or table
