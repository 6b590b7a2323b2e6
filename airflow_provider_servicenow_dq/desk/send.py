"""One write to the instance, and what came back compared with what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.names import Names
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address

#: Columns whose value may be given as a name, with the table that knows it. Users and groups have look-ups
#: of their own.
_RECORDS: Final[Mapping[str, str]] = {
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci_service",
    "service_offering": "service_offering",
    "problem_id": "problem",
    "parent_incident": "incident",
}
_USERS: Final = frozenset({"assigned_to", "caller_id", "opened_by", "requested_by"})
_GROUPS: Final = frozenset({"assignment_group"})
_NAMED: Final = frozenset({*_RECORDS, *_USERS, *_GROUPS, "watch_list"})
_JOURNALS: Final = frozenset({"work_notes", "comments"})
_WARNING_LENGTH: Final = 200
_NOT_THERE: Final = "{}: not in the answer; no such column, or the account may not read it"


def has_names(fields: Mapping[str, str]) -> bool:
    """Whether any of the columns may hold a name instead of a sys_id."""
    return not fields.keys().isdisjoint(_NAMED)


def resolve_names(names: Names, fields: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the columns with names of groups, users and records replaced by sys_ids, and warnings.

    A name that matches nothing is left out: the ticket matters more.

    :raises AmbiguousNameError: If a name matches several.
    """
    resolved, warnings = dict(fields), []
    for column, text in fields.items():
        if not text:
            continue
        if column in _GROUPS:
            found = names.group(text)
        elif column in _USERS:
            found = names.user(text)
        elif column in _RECORDS:
            found = names.record(_RECORDS[column], text)
        else:
            continue
        if found is None:
            del resolved[column]
            warnings.append(f"{column}: nothing on the instance is called {text!r}, so it was left empty")
        else:
            resolved[column] = found
    if "watch_list" in resolved:
        resolved["watch_list"] = ",".join(_watcher(names, name) for name in resolved["watch_list"].split(","))
    return resolved, warnings


def _watcher(names: Names, name: str) -> str:
    """Return a watcher: a user's sys_id or a plain e-mail address."""
    return names.user(name.strip()) or name.strip()


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


def lost_journal(journal: str, record: Mapping[str, Any]) -> list[str]:
    """Return a warning if a note went to a journal that the instance's answer does not have."""
    return [] if journal in record else [_NOT_THERE.format(journal)]


def _plain(value: Any) -> str:
    """Return the value without what every instance does to text: line ends, outer blanks."""
    return "\n".join(line.rstrip() for line in str(value).splitlines()).strip()
