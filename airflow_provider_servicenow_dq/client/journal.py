"""Work notes and comments. A record reads as ``""`` there: the entries have a table of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import ForbiddenError, ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.client.table import TableApi

_JOURNALS = ("work_notes", "comments")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One work note or comment.

    :param element: ``work_notes`` or ``comments``.
    :param created_by: User name of its author.
    :param created_on: UTC, ``2016-01-22 14:30:00``.
    """

    sys_id: str
    element: str
    text: str
    created_by: str
    created_on: str


def read_journal(table_api: TableApi, sys_id: str) -> list[JournalEntry]:
    """Return the entries of a record, oldest first.

    An empty list can also mean that this user may not read ``sys_journal_field``: the instance does not tell
    the difference.

    :param sys_id: The record's.
    """
    # Not by table: entries are filed under ``task`` or the table itself.
    query = Query.equals({"element_id": sys_id}).also(Query.any_of("element", _JOURNALS))
    rows = table_api.find(
        "sys_journal_field", query, fields=("sys_id", "element", "value", "sys_created_by", "sys_created_on")
    )
    entries = [
        JournalEntry(
            sys_id=row["sys_id"],
            element=row.get("element", ""),
            text=row.get("value", ""),
            created_by=row.get("sys_created_by", ""),
            created_on=row.get("sys_created_on", ""),
        )
        for row in rows
    ]
    return sorted(entries, key=lambda entry: (entry.created_on, entry.sys_id))


def read_shown_texts(
    table_api: TableApi, table: str, sys_ids: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return the texts of records' journals as people see them, newest first, by ``element``.

    A record that this user may not see is left out, and so is a journal that cannot be read or not be taken
    apart. It shows one text, each entry under a line such as ``2024-03-24 02:10:35 - Beth Anglin (Work
    notes)``; an entry that holds such a line itself comes out as two.

    :param sys_ids: Of at most as many records as fit into one query.
    """
    rows = table_api.first_page(
        table,
        Query.any_of("sys_id", sys_ids),
        fields=("sys_id", *_JOURNALS),
        limit=len(sys_ids),
        display=True,
    )
    texts: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        # An instance leaves a field that the user may not read out of its answer.
        taken = {name: _taken_apart(_display_value(row[name])) for name in _JOURNALS if name in row}
        texts[row["sys_id"]["value"]] = {name: found for name, found in taken.items() if found is not None}
    return texts


def _taken_apart(shown: str) -> list[str] | None:
    texts: list[list[str]] = []
    for line in shown.split("\n"):
        if _is_head(line.rstrip()):
            texts.append([])
        elif texts:
            texts[-1].append(line)
        elif line.strip():
            return None
    return ["\n".join(lines) for lines in texts]


def _is_head(line: str) -> bool:
    """Tell whether a line names time (in the user's format), author and journal (in the user's language)."""
    when, dash, who = line.partition(" - ")
    return bool(dash) and " (" in who and who.endswith(")") and any(map(str.isdigit, when))


def current_user(table_api: TableApi) -> str:
    """Return the user name under which this connection writes.

    :raises ServiceNowConfigError: If neither the instance nor the connection names it.
    """
    # A script of ours, not of the caller's: it runs on the instance and names whoever asks.
    ourselves = Query.raw("sys_id=javascript:gs.getUserID()")
    try:
        rows = table_api.first_page("sys_user", ourselves, fields=("user_name",), limit=2)
    except ForbiddenError:
        rows = []
    named = [row["user_name"] for row in rows if row.get("user_name")]
    if len(named) == 1:
        return str(named[0])
    if table_api.transport.config.login:
        return table_api.transport.config.login
    raise ServiceNowConfigError(
        "The account may not read its own sys_user record: let it, or fill in the connection's login"
    )


def _display_value(value: object) -> str:
    return str(value.get("display_value") or "") if isinstance(value, dict) else str(value or "")
