"""What columns a table has, from the instance's own dictionary: customers change it, and add their own."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.client.ids import checked_table
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.table import Record, TableApi

#: ``task``, and what extends it on every instance, so that nobody has to be asked.
TASKS: Final = frozenset(
    {
        *("task", "incident", "incident_task", "problem", "problem_task", "change_request", "change_task"),
        *("sc_request", "sc_req_item", "sc_task", "sn_si_incident", "sn_si_task", "sn_vul_vulnerable_item"),
    }
)
#: How deep a table may be below the one that it extends, at most: the base system needs four.
_MOST_PARENTS: Final = 6
_FIELDS: Final = (
    "name",
    "element",
    "column_label",
    "internal_type",
    "max_length",
    "mandatory",
    "reference",
    "choice",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    :param table: The table that brings it: the asked one, or one that it extends.
    :param type: The dictionary's name for it, e.g. ``string``, ``integer``, ``reference``, ``glide_list``.
    :param max_length: In characters; None where the dictionary gives none.
    :param reference: The table that a reference, or a list of them, points to.
    :param has_choices: Whether it takes its values from a list.
    """

    name: str
    label: str
    table: str
    type: str = "string"
    max_length: int | None = None
    mandatory: bool = False
    reference: str = ""
    has_choices: bool = False


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The columns of one table, those included that it inherits.

    :param lineage: The table and those that it extends, nearest first.
    :param columns: By name.
    """

    table: str
    lineage: tuple[str, ...]
    columns: Mapping[str, Column]

    def nearest(self, name: str) -> str | None:
        """Return the column that is meant, if one is near: by its name, or by its label in any case."""
        by_label = {column.label.casefold(): column.name for column in self.columns.values()}
        if name.strip().casefold() in by_label:
            return by_label[name.strip().casefold()]
        near = difflib.get_close_matches(name.strip().lower(), self.columns, n=1)
        if near:
            return near[0]
        # A custom column is often written without what the platform puts before it.
        bare = re.sub(r"^(u|x_[a-z0-9]+_[a-z0-9]+)_", "", name)
        return next((known for known in self.columns if known.removeprefix("u_") == bare), None)


def read_lineage(table_api: TableApi, table: str) -> tuple[str, ...]:
    """Return a table and those that it extends, nearest first; none where this user may not read that."""
    if table in TASKS:
        return tuple(dict.fromkeys((table, "task")))
    steps = ["super_class." * depth + "name" for depth in range(_MOST_PARENTS + 1)]
    try:
        rows = table_api.first_page("sys_db_object", {"name": checked_table(table)}, fields=steps, limit=2)
    except ForbiddenError:
        rows = []  # the usual way to say no is an answer without rows
    found = next((row for row in rows if row.get("name") == table), {})
    parents = [str(found[step]) for step in steps if found.get(step)]
    return tuple(dict.fromkeys(parents))


def read_dictionary(table_api: TableApi, table: str) -> Dictionary | None:
    """Return the columns of a table, with two requests at most.

    :returns: None where they are not readable for this user, or there is no such table.
    """
    lineage = read_lineage(table_api, table)
    if not lineage:
        return None
    query = Query.any_of("name", lineage).also(Query.equals({"active": True}))
    try:
        read = list(table_api.find("sys_dictionary", query, fields=_FIELDS))
    except ForbiddenError:
        return None
    rows = [row for row in read if row.get("name") in lineage and row.get("element")]
    # The table's own word on a column goes before that of those it extends.
    rows.sort(key=lambda row: -lineage.index(row["name"]))
    columns = {row["element"]: _column(row) for row in rows}
    return Dictionary(table, lineage, columns) if columns else None


def _column(row: Record) -> Column:
    length = str(row.get("max_length") or "")
    return Column(
        name=row["element"],
        label=str(row.get("column_label") or ""),
        table=row["name"],
        type=str(row.get("internal_type") or "string"),
        max_length=int(length) if length.isdecimal() else None,
        mandatory=row.get("mandatory") == "true",
        reference=str(row.get("reference") or ""),
        has_choices=str(row.get("choice") or "0") not in {"", "0"},
    )
