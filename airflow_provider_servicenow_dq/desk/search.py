"""Finding tickets that people mean: one by its name, or a list by words, in the seed's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.dictionary import TASKS
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.order import CORRELATION
from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    ForbiddenError,
    RecordNotFoundError,
    ServiceNowConfigError,
    UnsafeQueryError,
)
from airflow_provider_servicenow_dq.tickets.incident import STATE_LABELS
from airflow_provider_servicenow_dq.tickets.named import Named, is_number, read_name
from airflow_provider_servicenow_dq.tickets.states import INCIDENT
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS, iso, record_url, ticket_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.client.table import Record, TableApi

#: What every ticket is, whatever else it is: all their numbers are found there.
TASK: Final = "task"
_CLASS: Final = "sys_class_name"

MOST_AT_ONCE: Final = 100
_LONGEST_QUERY: Final = 200
_MOST_WORDS: Final = 20

_LISTED: Final = (
    *("sys_id", "number", "short_description", "description", "state", "priority"),
    *("sys_created_on", "sys_updated_on", "assigned_to"),
)


class NoSuchTicketError(RecordNotFoundError):
    """No ticket of that name is shown to us."""

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket that somebody has named.

    :param table: The table that it is of, not one that this extends.
    :param record: Its columns, those of :data:`~airflow_provider_servicenow_dq.tickets.ticket.COLUMNS`.
    """

    table: str
    record: Record


def find_ticket(
    table_api: TableApi,
    name: str,
    *,
    table: str = INCIDENT,
    key_column: str = CORRELATION,
    everywhere: bool = True,
) -> Found:
    """Return the ticket of a number, a sys_id or the address of a record.

    :param table: Where it is looked for unless the address tells.
    :param key_column: Comes with its columns.
    :param everywhere: A ticket that is not there is looked for among all tasks.
    :raises ServiceNowConfigError: If it is no name of a ticket, or the address of another instance.
    :raises NoSuchTicketError: If the instance shows no such ticket, or the record is none.
    :raises AmbiguousNameError: If several tickets have that number.
    """
    named = read_name(name, host=table_api.transport.config.host)
    fields = sorted({*COLUMNS, _CLASS, key_column})
    asked = list(dict.fromkeys([named.table or table, *([TASK] if everywhere else [])]))
    for place in asked:
        rows = _rows(table_api, place, named, fields, is_last=place == asked[-1] and len(asked) > 1)
        if len(rows) > 1:
            raise AmbiguousNameError(place, named.number, len(rows))
        if rows:
            kind = str(rows[0].get(_CLASS) or place)
            if not {kind, place} & {table, *TASKS} and not _is_one_of(table_api, table, rows[0]["sys_id"]):
                raise NoSuchTicketError(
                    404, "No ticket", f"{kind} is no table of tickets: it is neither {table} nor a task"
                )
            if kind == place:
                return Found(place, rows[0])
            # What extends a table has columns of its own.
            sys_id = Named(sys_id=rows[0]["sys_id"])
            whole = _rows(table_api, kind, sys_id, fields, is_last=False)
            return Found(kind, (whole or rows)[0])
    raise NoSuchTicketError(
        404,
        "No Record found",
        f"There is no ticket {named.number or named.sys_id} on {table_api.transport.config.host} in "
        f"{' or '.join(asked)}, or this account may not see it",
    )


def _is_one_of(table_api: TableApi, table: str, sys_id: str) -> bool:
    """Whether a record is one of a table or a task, as far as this account may see.

    Else any record could be written on.
    """
    asked = Named(sys_id=sys_id)
    return any(_rows(table_api, place, asked, ("sys_id",), is_last=True) for place in (table, TASK))


def _rows(
    table_api: TableApi, table: str, named: Named, fields: Sequence[str], *, is_last: bool
) -> list[Record]:
    column, value = ("sys_id", named.sys_id) if named.sys_id else ("number", named.number)
    try:
        rows = table_api.first_page(table, Query.equals({column: value}), fields=fields, limit=3)
    except ForbiddenError:
        if is_last:
            return []  # the account need not read all tasks
        raise
    # An instance ignores a condition on a column that the table does not have.
    return [row for row in rows if str(row.get(column) or "").casefold() == value.casefold()]


def get_ticket(
    table_api: TableApi, ticket_id: str, *, table: str = INCIDENT, everywhere: bool = True
) -> dict[str, Any]:
    """Return one ticket in the shape of the seed's ``ticket``; errors as :func:`find_ticket`.

    :param ticket_id: Number, sys_id or address of its record.
    :param everywhere: Not only in its table.
    """
    found = find_ticket(table_api, ticket_id, table=table, everywhere=everywhere)
    return ticket_view(found.record, base_url=table_api.transport.config.base_url, table=found.table)


def search_tickets(
    table_api: TableApi, query: str, *, table: str = INCIDENT, page: int = 1, size: int = 50
) -> dict[str, Any]:
    """Return a page of tickets in the shape of the seed's *Search Tickets Response*, the newest first.

    Tickets that the account may not see count in ``total`` and leave their page short, so that no page
    depends on another.

    :param query: A number, in any case, or words that the short description holds, all of them and in any
        order; nothing finds all.
    :param page: From 1; behind the last one there are no items.
    :param size: Items on a page, 1 to 100.
    :raises ServiceNowConfigError: If page, size or query are out of bounds.
    :raises UnsafeQueryError: If the table has no number or no short description.
    """
    if not 1 <= size <= MOST_AT_ONCE:
        raise ServiceNowConfigError(f"size must be 1 to {MOST_AT_ONCE} tickets on a page, not {size}")
    if page < 1:
        raise ServiceNowConfigError(f"page must be 1 or more, not {page}")
    wanted = _query(query).order_by("sys_created_on", descending=True).order_by("sys_id")
    shown = table_api.page(table, wanted, fields=_LISTED, offset=(page - 1) * size, size=size, display=True)
    if query.strip():
        _check(table, shown.rows)
    total = shown.total or 0
    base_url = table_api.transport.config.base_url
    return {
        "items": [_item(row, base_url=base_url, table=table) for row in shown.rows],
        "total": total,
        "page": page,
        "size": size,
        "pages": -(-total // size),
    }


def _query(text: str) -> Query:
    if len(text) > _LONGEST_QUERY:
        raise ServiceNowConfigError(f"query must be at most {_LONGEST_QUERY} characters long")
    words = list(dict.fromkeys(filter(None, map(_sayable, text.split()))))[:_MOST_WORDS]
    query = Query()
    for word in words:
        query = query.also(Query.where("short_description", "LIKE", word))
    if not is_number(text.strip()):
        return query
    number = Query.equals({"number": text.strip().upper()})
    return Query(number.alternatives + query.alternatives)


def _sayable(word: str) -> str:
    """Return as much of a word as a condition can say."""
    word = "".join(letter for letter in word if letter.isprintable())
    # The one would be run as a script, the other stands for an empty field; what is left finds both.
    return word[1:] if word == "NULL" or word.lower().startswith("javascript:") else word


def _check(table: str, rows: Sequence[Record]) -> None:
    """Make sure that the table has what was asked for: an instance ignores a condition that it cannot read.

    :raises UnsafeQueryError: If it has not.
    """
    for name in ("number", "short_description"):
        if any(name not in row for row in rows):
            raise UnsafeQueryError(
                f"{table} has no {name} that this account may read, so it cannot be searched by it"
            )


def _item(row: Record, *, base_url: str, table: str) -> dict[str, Any]:
    def value(name: str) -> str:
        return _part(row, name, "value")

    def label(name: str) -> str:
        return _part(row, name, "display_value") or value(name)

    known = STATE_LABELS.get(value("state")) if table == INCIDENT else None
    return {
        "ticket_id": value("sys_id"),
        "ticket_number": value("number"),
        "title": value("short_description"),
        "description": value("description"),
        "status": known or label("state"),
        "priority": label("priority"),
        "created_at": iso(value("sys_created_on")),
        "updated_at": iso(value("sys_updated_on")),
        "assigned_to": label("assigned_to") or None,
        "url": record_url(base_url, table, value("sys_id")),
    }


def _part(row: Record, name: str, part: str) -> str:
    shown = row.get(name)
    return str(shown.get(part) or "") if isinstance(shown, Mapping) else str(shown or "")
