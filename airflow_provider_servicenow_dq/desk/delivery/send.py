"""One write to the instance, and what came back compared with what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address

_JOURNALS: Final = frozenset({"work_notes", "comments"})
_WARNING_LENGTH: Final = 200
_NOT_THERE: Final = "{}: not in the answer; no such column, or the account may not read it"


def create(desk: Desk, address: Address, write: Mapping[str, Any]) -> dict[str, Any]:
    """Insert a record with the sys_id that we chose; return it as the instance has it."""
    values = {**write["fields"], "sys_id": write["sys_id"]}
    return desk.table_api.create(address.table, values)


def update(desk: Desk, address: Address, write: Mapping[str, Any]) -> dict[str, Any]:
    """Append a note, or reopen with one, in one request; return the columns that we keep, and journals."""
    record = desk.table_api.update(address.table, write["sys_id"], write["values"])
    return {name: record[name] for name in (*COLUMNS, *_JOURNALS) if name in record}


def dropped(sent: Mapping[str, str], record: Mapping[str, Any], *, wish: str | None) -> list[str]:
    """Return a warning for each column that the instance dropped or changed.

    :param sent: Columns as sent.
    :param record: The instance's answer.
    :param wish: The priority that was wished for.
    """
    warnings = []
    for column, value in sent.items():
        if column in _JOURNALS or column == "sys_id":
            continue
        if column not in record:
            warnings.append(_NOT_THERE.format(column))
        elif _plain(record[column]) != _plain(value):
            warnings.append(f"{column}: sent {value!r}, ServiceNow kept {record[column]!r}")
    if wish and record.get("priority") not in {None, wish}:
        warnings.append(f"priority: wished for {wish}, ServiceNow made it {record['priority']!r}")
    return [
        warning if len(warning) <= _WARNING_LENGTH else warning[: _WARNING_LENGTH - 1] + "…"
        for warning in warnings
    ]


def lost_journal(values: Mapping[str, str], answer: Mapping[str, Any]) -> list[str]:
    """Return a warning if a note went to a journal that the instance's answer does not have."""
    return [_NOT_THERE.format(name) for name in values if name in _JOURNALS and name not in answer]


def _plain(value: Any) -> str:
    """Return the value without what every instance does to text: line ends, outer blanks."""
    return "\n".join(line.rstrip() for line in str(value).splitlines()).strip()
