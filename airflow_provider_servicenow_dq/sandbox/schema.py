"""Tables and columns: what a schema is, and how one is customised.

The tables of an instance as it comes are in :mod:`~airflow_provider_servicenow_dq.sandbox.standard`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Up to this length strings are ``varchar`` and are cut; longer ones, ``mediumtext``, are not (KB0685779).
VARCHAR_LIMIT = 255


class Kind(StrEnum):
    """What a column holds; the values are the names of the dictionary's internal types."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    REFERENCE = "reference"
    LIST = "glide_list"
    DATETIME = "glide_date_time"
    JOURNAL = "journal_input"
    GUID = "GUID"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``reference`` names the table that a reference points to."""

    name: str
    label: str
    kind: Kind = Kind.STRING
    length: int = 40
    reference: str = ""
    choice: bool = False
    default: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """One table with the columns of its parents.

    :param display: Column that stands for a record wherever it is shown.
    :param number_prefix: What numbers of new records begin with; empty: those of the parent, or none.
    :param writers: Roles that may create and change records, besides admin.
    :param readers: Roles that see records, besides admin; None: everybody who may use the API.
    """

    name: str
    label: str
    own_columns: tuple[Column, ...]
    parent: Table | None = None
    display: str = "name"
    number_prefix: str = ""
    writers: frozenset[str] = frozenset()
    readers: frozenset[str] | None = None
    children: list[Table] = field(default_factory=list, repr=False)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Every column by name, in the order in which the Table API answers."""
        merged: dict[str, Column] = dict(self.parent.columns) if self.parent else {}
        merged.update({column.name: column for column in self.own_columns})
        return dict(sorted(merged.items()))

    @cached_property
    def defaults(self) -> dict[str, str]:
        """The values of a new record before anybody has set one."""
        return {name: column.default for name, column in self.columns.items()}

    @cached_property
    def references(self) -> tuple[Column, ...]:
        """The columns that the Table API answers as objects with a link."""
        return tuple(column for column in self.columns.values() if column.kind is Kind.REFERENCE)

    @cached_property
    def lineage(self) -> tuple[str, ...]:
        """The table's name and those of its parents, nearest first."""
        return (self.name, *(self.parent.lineage if self.parent else ()))

    @cached_property
    def family(self) -> tuple[str, ...]:
        """The table's name and those of all its descendants."""
        return (self.name, *(name for child in self.children for name in child.family))


class Schema:
    """The tables of one instance, by name.

    :param tables: Parents before their children.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        self._tables = {table.name: table for table in tables}
        for table in self._tables.values():
            if table.parent is not None:
                table.parent.children.append(table)

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables.values())

    def path(self, table: str, path: str) -> list[Column] | None:
        """Return the columns along a dot-walked path such as ``caller_id.email``, or None without one.

        :param table: Table at which the path starts.
        :param path: Column names joined by dots; all but the last are references.
        """
        columns: list[Column] = []
        for name in path.split("."):
            column = self._tables[table].columns.get(name) if table in self._tables else None
            if column is None:
                return None
            columns.append(column)
            table = column.reference if column.kind is Kind.REFERENCE else ""
        return columns
