"""The choices of a field: what a customer's instance really offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.client.dictionary import read_lineage
from airflow_provider_servicenow_dq.client.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_servicenow_dq.client.table import Record, TableApi

_FIELDS: Final = ("name", "element", "value", "label", "dependent_value", "sequence", "language")
_ENGLISH: Final = "en"


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that a field can have.

    :param value: What is stored.
    :param label: What people see.
    :param dependent_value: Value of the field that this one depends on, e.g. the category of a subcategory.
    :param sequence: Its place in the list; None where the instance gives none.
    """

    value: str
    label: str
    dependent_value: str
    sequence: int | None


def get_choices(
    table_api: TableApi,
    table: str,
    field: str,
    dependent_value: str | None = None,
    *,
    language: str = _ENGLISH,
) -> list[Choice]:
    """Return the active choices of a field, in the order of its list.

    Choices of the table itself replace those that it inherits, all of them together.

    :param dependent_value: Only those for this value of the field that it depends on.
    :param language: Code of the language of the labels, e.g. ``de``. What has no label in it comes in
        English, else in the only language that it has.
    """
    choices = read_choices(table_api, table, (field,), language=language)[field]
    return [item for item in choices if dependent_value is None or item.dependent_value == dependent_value]


def read_choices(
    table_api: TableApi, table: str, fields: Sequence[str], *, language: str = _ENGLISH
) -> dict[str, list[Choice]]:
    """Return the active choices of several fields, as :func:`get_choices` does, with one request for all.

    :returns: By field; an empty list where a field has none, or this user may not read them.
    """
    lineage = read_lineage(table_api, table) or (table, "task")
    query = Query.any_of("name", lineage).also(Query.any_of("element", fields))
    rows = list(table_api.find("sys_choice", query.also(Query.equals({"inactive": False})), fields=_FIELDS))
    return {
        field: _nearest([row for row in rows if row.get("element") == field], lineage, language)
        for field in fields
    }


def _nearest(rows: Sequence[Record], lineage: Sequence[str], language: str) -> list[Choice]:
    by_table = ([row for row in rows if row.get("name") == name] for name in lineage)
    choices = _in_language(next(filter(None, by_table), []), (language, _ENGLISH))
    return sorted(choices, key=lambda item: (item.sequence is None, item.sequence or 0, item.label))


def _in_language(rows: Iterable[Record], languages: Sequence[str]) -> list[Choice]:
    """Return one choice for each value, in the first of the languages that it has, else in any."""
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(languages))}
    best: dict[tuple[str, str], tuple[int, Record]] = {}
    for row in rows:
        key = row.get("value") or "", row.get("dependent_value") or ""
        rank = ranks.get(row.get("language") or _ENGLISH, len(ranks))
        if key not in best or rank < best[key][0]:
            best[key] = rank, row
    return [
        Choice(value, row.get("label") or "", dependent_value, _sequence(row))
        for (value, dependent_value), (_, row) in best.items()
    ]


def _sequence(row: Record) -> int | None:
    text = row.get("sequence") or ""
    return int(text) if text.isdecimal() else None
