"""The choices of a field: what a customer's instance really offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.query import Query

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.client.table import TableApi

#: Where ``incident`` and its siblings inherit choices from.
_PARENT_TABLE = "task"
_FIELDS = ("name", "value", "label", "dependent_value", "sequence")


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
    table_api: TableApi, table: str, field: str, dependent_value: str | None = None
) -> list[Choice]:
    """Return the active choices of a field, in the order of its list.

    Rows of the table itself replace those that it inherits from ``task``.

    :param dependent_value: Only those for this value of the field that it depends on.
    """
    query = Query.any_of("name", sorted({table, _PARENT_TABLE})).also(
        Query.equals({"element": field, "inactive": False, "language": "en"})
    )
    rows = list(table_api.find("sys_choice", query, fields=_FIELDS))
    own = [row for row in rows if row.get("name") == table]
    choices = [
        Choice(
            value=row.get("value", ""),
            label=row.get("label", ""),
            dependent_value=row.get("dependent_value", ""),
            sequence=int(row["sequence"]) if row.get("sequence", "").isdecimal() else None,
        )
        for row in own or rows
    ]
    wanted = [item for item in choices if dependent_value is None or item.dependent_value == dependent_value]
    return sorted(wanted, key=lambda item: (item.sequence is None, item.sequence or 0, item.label))
