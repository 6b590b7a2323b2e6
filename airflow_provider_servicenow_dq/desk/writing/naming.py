"""From the columns that people fill in to those that an instance can store: names become sys_ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.dictionary import Column, Dictionary
    from airflow_provider_servicenow_dq.client.names import Names

#: Columns of the base system whose value may be given as a name, with the table that knows it.
_REFERENCES: Final[Mapping[str, str]] = {
    "assigned_to": "sys_user",
    "caller_id": "sys_user",
    "opened_by": "sys_user",
    "requested_by": "sys_user",
    "assignment_group": "sys_user_group",
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci_service",
    "service_offering": "service_offering",
    "problem_id": "problem",
    "parent_incident": "incident",
}
_CALLER: Final = "caller_id"
#: Where a table of the base system keeps whom a ticket is for; others may have the incident's column.
_CALLERS: Final[Mapping[str, str]] = {"incident": _CALLER, "change_request": "requested_by"}
_LISTS: Final[Mapping[str, str]] = {
    "watch_list": "sys_user",
    "work_notes_list": "sys_user",
    "additional_assignee_list": "sys_user",
    "group_list": "sys_user_group",
}
#: Columns of the base system that hold no record. About any other the dictionary is asked.
_PLAIN: Final = frozenset(
    {
        "short_description", "description", "impact", "urgency", "priority", "severity", "state",
        "category", "subcategory", "contact_type", "correlation_id", "correlation_display", "close_code",
        "close_notes", "work_notes", "comments", "hold_reason", "due_date", "business_impact", "cause",
    }
)  # fmt: skip


def has_names(fields: Mapping[str, str]) -> bool:
    """Whether any of the columns may hold a name instead of a sys_id, or may not be there at all."""
    return not fields.keys() <= _PLAIN


def resolve_names(names: Names, table: str, fields: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the columns with names of groups, users and other records replaced by sys_ids, and warnings.

    A name that matches nothing is left out, and so is a column that the table does not have: the ticket
    matters more. Where the account may not read the dictionary, columns of the customer's own go as they are.

    :raises AmbiguousNameError: If a name matches several records.
    """
    resolved: dict[str, str] = {}
    warnings = []
    dictionary = (
        _dictionary(names, table) if fields.keys() - _PLAIN - _REFERENCES.keys() - _LISTS.keys() else None
    )
    for name, text in fields.items():
        column = dictionary.columns.get(name) if dictionary else None
        if dictionary and column is None and name not in _PLAIN:
            warnings.append(_no_such_column(dictionary, name))
        elif records := _list_of(name, column):
            found, missing = _members(names, records, text)
            warnings += [_nothing(name, member) for member in missing]
            resolved |= {name: found} if found or not missing else {}
        elif (records := _reference_of(name, column)) and text:
            match = names.record(records, text)
            warnings += [] if match else [_nothing(name, text)]
            resolved |= {name: match} if match else {}
        else:
            resolved[name] = text
    return resolved, warnings


def caller_column(table: str) -> str:
    """Return the column of a table for the person whom a ticket is for."""
    return _CALLERS.get(table, _CALLER)


def with_caller(
    names: Names, table: str, fields: Mapping[str, str], user: str
) -> tuple[dict[str, str], list[str]]:
    """Return the columns with the person who triggered the run as the caller, and warnings.

    Nobody has asked for this very person, so that neither nobody nor several of the name are an error: the
    caller is then left to the instance.

    :param user: As Airflow knows them.
    """
    column = caller_column(table)
    if column in fields:
        return dict(fields), []
    dictionary = None if table in _CALLERS else _dictionary(names, table)
    if dictionary and column not in dictionary.columns:
        return dict(fields), [f"{table} has no column {column}, so {user!r} is not its caller"]
    try:
        person = names.person(user)
    except AmbiguousNameError as error:
        return dict(fields), [f"{column}: {error.matches} active users are {user!r}, so it was left out"]
    if person is None:
        words = f"{column}: no active user of the instance has the e-mail address or user name {user!r}"
        return dict(fields), [f"{words}, so it was left out"]
    return {**fields, column: person}, []


def _dictionary(names: Names, table: str) -> Dictionary | None:
    try:
        return names.dictionary(table)
    except RefusedError:
        return None  # it helps where it can be read; without it everything goes as it is


def _reference_of(name: str, column: Column | None) -> str:
    """Return the table that a column refers to; nothing where it is no reference."""
    known = _REFERENCES.get(name, "")
    return known or (column.reference if column and column.type == "reference" else "")


def _list_of(name: str, column: Column | None) -> str:
    """Return the table that a list of records is of."""
    known = _LISTS.get(name, "")
    return known or (column.reference if column and column.type == "glide_list" else "")


def _members(names: Names, table: str, text: str) -> tuple[str, list[str]]:
    """Return a list of records as it is stored, and what is called like nothing.

    Lists of users take e-mail addresses of people who are none.
    """
    found, missing = [], []
    for member in filter(None, map(str.strip, text.split(","))):
        match = names.record(table, member)
        if match is None and table == "sys_user" and "@" in member:
            match = member
        if match is None:
            missing.append(member)
        elif match not in found:
            found.append(match)
    return ",".join(found), missing


def _nothing(column: str, text: str) -> str:
    return f"{column}: nothing on the instance is called {text!r}, so it was left empty"


def _no_such_column(dictionary: Dictionary, name: str) -> str:
    near = dictionary.nearest(name)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"{name}: {dictionary.table} has no such column, so it was left out{hint}"
