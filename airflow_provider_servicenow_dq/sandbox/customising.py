"""What administrators add to an instance: tables, columns, choices and priorities, each as one text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.columns import SYSTEM_COLUMNS
from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind, Schema, Table
from airflow_provider_servicenow_dq.sandbox.standard import standard, standard_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = re.compile(
    r"(?P<name>[ux]_[a-z0-9_]+)(?: extends (?P<parent>[a-z0-9_]+))?(?: for (?P<roles>[\w.]+(?:,[\w.]+)*))?"
)
_COLUMN = re.compile(
    r"(?P<table>[a-z0-9_]+)\.(?P<name>[a-z0-9_]+)(?::(?P<kind>[a-z_]+)(?::(?P<detail>[a-z0-9_]+))?)?"
)
_CHOICE = re.compile(
    r"(?P<table>[a-z0-9_]+)\.(?P<column>[a-z0-9_]+)(?: when (?P<dependent>[^=]+))?=(?P<values>.+)", re.DOTALL
)
_PRIORITY = re.compile(r"(?P<impact>\d+),(?P<urgency>\d+)=(?P<priority>\d*)")
_KINDS = {
    "string": Kind.STRING,
    "choice": Kind.STRING,
    "integer": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
    "datetime": Kind.DATETIME,
    "journal": Kind.JOURNAL,
    "reference": Kind.REFERENCE,
    "list": Kind.LIST,
}
_DEFAULT_LENGTHS = {Kind.REFERENCE: 32, Kind.LIST: 4000, Kind.JOURNAL: 4000}


@dataclass(frozen=True, slots=True)
class ChoiceList:
    """The choices of a column, for one value of the column that it depends on."""

    table: str
    column: str
    dependent: str
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> ChoiceList:
        """Read ``incident.category=data:Data|other:Something else``.

        :raises ValueError: The text is not of that form.
        """
        match = _CHOICE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not TABLE.COLUMN[ when VALUE]=VALUE[:LABEL]|VALUE[:LABEL]…")
        pairs = []
        for part in match["values"].split("|"):
            value, _, label = part.partition(":")
            pairs.append((value, label or value))
        return cls(match["table"], match["column"], match["dependent"] or "", tuple(pairs))


@cache
def priorities(matrix: tuple[str, ...]) -> Mapping[tuple[str, str], str]:
    """Return the data look-up of impact and urgency; the vendor's matrix is the sum of the two, less one.

    :param matrix: Changes to it: ``3,3=4``, and ``3,3=`` for a pair that has no row.
    :raises ValueError: A text is not of that form.
    """
    found = {
        (str(impact), str(urgency)): str(impact + urgency - 1)
        for impact in (1, 2, 3)
        for urgency in (1, 2, 3)
    }
    for text in matrix:
        match = _PRIORITY.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not IMPACT,URGENCY=PRIORITY")
        pair = (match["impact"], match["urgency"])
        found.pop(pair, None)
        if match["priority"]:
            found[pair] = match["priority"]
    return found


@cache
def customised(tables: tuple[str, ...], columns: tuple[str, ...]) -> Schema:
    """Return the schema with an administrator's tables and columns.

    :param tables: ``NAME[ extends TABLE][ for ROLE,ROLE]``; without roles, itil may write.
    :param columns: ``TABLE.NAME[:KIND[:LENGTH or TABLE]]``; of a column that exists, it changes the length.
    :raises ValueError: A text is not of that form, or names a table that does not exist.
    """
    if not tables and not columns:
        return standard()
    made = {table.name: table for table in standard_tables()}
    for text in tables:
        table = _table(text, made)
        made[table.name] = table
    added: dict[str, list[Column]] = {}
    for text in columns:
        match = _COLUMN.fullmatch(text)
        if match is None or match["table"] not in made:
            raise ValueError(f"{text!r} is not TABLE.NAME[:KIND[:LENGTH or TABLE]] of a table that exists")
        added.setdefault(match["table"], []).append(_column(text, match, made))
    return _with_columns(made, added)


def _with_columns(tables: Mapping[str, Table], added: Mapping[str, list[Column]]) -> Schema:
    """Build the schema anew, for a table refers to its parent and not to its parent's name."""
    final: dict[str, Table] = {}
    for name, table in tables.items():
        own = (*table.own_columns, *added.get(name, ()))
        parent = final[table.parent.name] if table.parent else None
        final[name] = replace(table, own_columns=own, parent=parent, children=[])
    return Schema(final.values())


def _table(text: str, known: Mapping[str, Table]) -> Table:
    match = _TABLE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not NAME[ extends TABLE][ for ROLE,ROLE], the name with u_ before it")
    if match["parent"] and match["parent"] not in known:
        raise ValueError(f"{text!r} extends a table that does not exist")
    parent = known.get(match["parent"] or "")
    words = match["name"].split("_")[1:]
    roles = frozenset((match["roles"] or "itil").split(","))
    is_task = parent is not None and "task" in parent.lineage
    return Table(
        match["name"],
        _label(match["name"]),
        () if parent else SYSTEM_COLUMNS,
        parent,
        display=parent.display if parent else "sys_id",
        number_prefix="".join(word[0] for word in words if word).upper() if is_task else "",
        writers=roles,
        readers=None if parent is None else roles | {"snc_read_only"},
    )


def _column(text: str, match: re.Match[str], tables: Mapping[str, Table]) -> Column:
    table, name, detail = tables[match["table"]], match["name"], match["detail"] or ""
    kind = _KINDS.get(match["kind"] or "string")
    if kind is None:
        raise ValueError(f"{text!r} is of none of the kinds {', '.join(_KINDS)}")
    if kind in {Kind.REFERENCE, Kind.LIST} and detail not in tables:
        raise ValueError(f"{text!r} refers to a table that does not exist")
    existing = table.columns.get(name)
    if existing is not None and detail.isdecimal():
        return replace(existing, length=int(detail))
    # On the platform's own tables the names of columns that are added begin with u_ or x_.
    is_free = name.startswith(("u_", "x_")) or table.name.startswith(("u_", "x_"))
    if existing is not None or not is_free:
        raise ValueError(f"{text!r} is a column of the platform: only its length can change")
    length = int(detail) if detail.isdecimal() else _DEFAULT_LENGTHS.get(kind, 40)
    is_choice = match["kind"] == "choice"
    return Column(name, _label(name), kind, length, "" if detail.isdecimal() else detail, choice=is_choice)


def _label(name: str) -> str:
    return name.removeprefix("u_").removeprefix("x_").replace("_", " ").capitalize()
