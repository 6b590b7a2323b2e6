"""The rows of every table, in memory and, where wanted, in a file as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_servicenow_dq.sandbox.schema import Schema
    from airflow_provider_servicenow_dq.sandbox.storage import Storage

#: One record, column to raw value. Never changed in place: a change puts a new one, so a reader may keep it.
Row = dict[str, str]

_FIRST_NUMBER = 10001
#: Tables whose records are referred to by name instead of sys_id.
_KEYED_BY_NAME = frozenset({"sys_db_object", "sys_glide_object"})


class Records:
    """Rows by class and sys_id, with the journal by record.

    A row belongs to the class in its ``sys_class_name``, else to its only table. A parent table holds the
    rows of its descendants as well, and a sys_id is unique in the whole family.

    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._storage: Storage | None = None
        self._numbers: dict[str, int] = {}
        self._rows: dict[str, dict[str, Row]] = {table.name: {} for table in schema}
        self._journal: dict[str, dict[str, Row]] = {}

    def attach(self, storage: Storage) -> None:
        """Do what a file says was done, and keep what is done from now on in it."""
        for table, sys_id, row in storage.records():
            if table not in self.schema:
                continue
            if row is None:
                self.unseed(table, sys_id)
            else:
                self.seed(table, {**self.schema[table].defaults, **row})
        self._numbers.update(storage.numbers())
        self._storage = storage

    def detach(self) -> None:
        """Keep nothing in the file any more."""
        self._storage = None

    def get(self, table: str, sys_id: str) -> Row | None:
        """Return one row of the table or of its descendants."""
        for name in self.schema[table].family:
            row = self._rows[name].get(sys_id)
            if row is not None:
                return row
        return None

    def rows(self, table: str) -> list[Row]:
        """Return all rows of the table and its descendants, in the order in which they were made."""
        family = self.schema[table].family
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
        self.seed(table, row)
        if self._storage:
            self._storage.put(table, row["sys_id"], row)

    def remove(self, table: str, sys_id: str) -> None:
        """Delete a row of exactly this class."""
        self.unseed(table, sys_id)
        if self._storage:
            self._storage.put(table, sys_id, None)

    def seed(self, table: str, row: Row) -> None:
        """Write a row that is there without anybody having made it, and so is not kept in the file."""
        self._rows[table][row["sys_id"]] = row
        if table == "sys_journal_field":
            self._journal.setdefault(row["element_id"], {})[row["sys_id"]] = row

    def unseed(self, table: str, sys_id: str) -> None:
        """Take such a row away."""
        row = self._rows[table].pop(sys_id, None)
        if row is not None and table == "sys_journal_field":
            self._journal[row["element_id"]].pop(sys_id)

    def adapt(self, schema: Schema) -> None:
        """Give every row the columns that its table has now; rows of tables that are gone are lost."""
        self.schema = schema
        old, self._rows = self._rows, {table.name: {} for table in schema}
        for table in schema:
            columns = table.columns
            for sys_id, row in old.get(table.name, {}).items():
                kept = {name: value for name, value in row.items() if name in columns}
                self._rows[table.name][sys_id] = {**table.defaults, **kept}

    def is_taken(self, table: str, sys_id: str) -> bool:
        """Tell whether any table of the family has the sys_id: it is the primary key of them all."""
        return self.get(self.schema[table].lineage[-1], sys_id) is not None

    def next_number(self, table: str) -> str:
        """Return the next record number, which is then used up whether or not the insert succeeds."""
        number = self._numbers.get(table, _FIRST_NUMBER)
        self._numbers[table] = number + 1
        if self._storage:
            self._storage.count(table, number + 1)
        return f"{self.schema[table].number_prefix}{number:07d}"

    def display_value(self, table: str, sys_id: str) -> str:
        """Return the display value of a record, empty where there is none."""
        if table not in self.schema:
            return ""
        row = self.get(table, sys_id)
        if row is None and table in _KEYED_BY_NAME:
            row = next((found for found in self.rows(table) if found["name"] == sys_id), None)
        return row[self.schema[class_of(table, row)].display] if row else ""

    def by_display_value(self, table: str, text: str) -> Row | None:
        """Return the first row that goes by this name (for users also by user name), in any case."""
        wanted = text.casefold()
        for row in self.rows(table):
            names = {
                row[self.schema[class_of(table, row)].display].casefold(),
                row.get("user_name", "").casefold(),
            }
            if wanted in names:
                return row
        return None

    def commit(self) -> None:
        """End an operation: what it wrote is kept from now on."""
        if self._storage:
            self._storage.commit()


def class_of(table: str, row: Row) -> str:
    """Return the name of the table that a row, found in ``table``, belongs to."""
    return row.get("sys_class_name") or table
