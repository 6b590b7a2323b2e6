"""One look at many tickets on the instance: in few requests, and with an answer for each of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.delivery.refusals import is_definite
from airflow_provider_servicenow_dq.desk.result import SCHEMA_VERSION, for_xcom
from airflow_provider_servicenow_dq.desk.search import TASK
from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    ForbiddenError,
    IncompleteReadError,
    MayHaveHappenedError,
    NothingHappenedError,
    NotServiceNowError,
    RefusedError,
)
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS, ticket_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_servicenow_dq.client.table import Record, TableApi
    from airflow_provider_servicenow_dq.tickets.awaited import Awaited

#: Ids in one query: a hundred of them keep the URL below 8 KB, where servers begin to refuse it.
_AT_ONCE: Final = 100

#: A description may be long, and nobody waits for one.
_FIELDS: Final = (*(name for name in COLUMNS if name != "description"), "sys_class_name")


class Part(NamedTuple):
    """Tickets that are asked for with one request.

    :param field: Column by which all of them are known.
    """

    table: str
    field: str
    tickets: Sequence[Awaited]


def parts_of(tickets: Iterable[Awaited]) -> list[Part]:
    """Return the requests that it takes to look at tickets, each once."""
    alike: dict[tuple[str, str], list[Awaited]] = {}
    for ticket in dict.fromkeys(tickets):
        alike.setdefault((ticket.table, "sys_id" if ticket.sys_id else "number"), []).append(ticket)
    return [
        Part(table, field, group[start : start + _AT_ONCE])
        for (table, field), group in alike.items()
        for start in range(0, len(group), _AT_ONCE)
    ]


def read_part(table_api: TableApi, part: Part) -> dict[Awaited, Record | None]:
    """Return the record of each ticket as it is now, None where the instance shows none.

    :raises AmbiguousNameError: If several records have the number of one.
    """
    wanted = [getattr(ticket, part.field) for ticket in part.tickets]
    query = Query.any_of(part.field, wanted)
    # Numbers need not be unique.
    limit = len(wanted) * (1 if part.field == "sys_id" else 2)
    found: dict[str, list[Record]] = {}
    for row in table_api.first_page(part.table, query, fields=_FIELDS, limit=limit):
        found.setdefault(str(row.get(part.field)).casefold(), []).append(row)
    answers: dict[Awaited, Record | None] = {}
    for ticket, value in zip(part.tickets, wanted, strict=True):
        rows = found.get(value.casefold(), [])
        if len(rows) > 1:
            raise AmbiguousNameError(part.table, value, len(rows))
        answers[ticket] = rows[0] if rows else None
    return answers


def read_all(table_api: TableApi, tickets: Iterable[Awaited]) -> dict[Awaited, Record | None]:
    """Return the record of each ticket as it is now, in the order of the tickets."""
    asked = list(tickets)
    answers: dict[Awaited, Record | None] = {}
    for part in parts_of(asked):
        answers |= read_part(table_api, part)
    return {ticket: answers[ticket] for ticket in asked}


def find_among_tasks(table_api: TableApi, tickets: Iterable[Awaited]) -> dict[Awaited, Awaited]:
    """Return those tickets that are not in the table where they were looked for, as what they are."""
    found: dict[Awaited, Awaited] = {}
    for part in parts_of(tickets):
        asked = [dataclasses.replace(ticket, table=TASK) for ticket in part.tickets]
        try:
            answers = read_part(table_api, part._replace(table=TASK, tickets=asked))
        except ForbiddenError:
            return found  # the account need not read all tasks
        for ticket, record in zip(part.tickets, answers.values(), strict=True):
            kind = str((record or {}).get("sys_class_name") or "")
            if record is not None and kind:
                found[ticket] = dataclasses.replace(ticket, table=kind).found(record)
    return found


def may_pass(error: Exception) -> bool:
    """Whether a look that failed so may succeed later, as the next after an instance is back."""
    if isinstance(error, RefusedError):
        return not is_definite(error)
    # A page where JSON was due comes from an instance that sleeps or is being patched.
    passing = (NothingHappenedError, MayHaveHappenedError, NotServiceNowError, IncompleteReadError)
    return isinstance(error, passing)


def shown(seen: Mapping[Awaited, Record | None], *, base_url: str) -> list[dict[str, Any]]:
    """Return the tickets that the instance shows, in the shape of the seed and small enough for an XCom.

    Beside the seed's fields each has ``schema_version``, ``table`` and the raw value of its ``state``.
    """
    return [_shown(ticket, record, base_url) for ticket, record in seen.items() if record is not None]


def _shown(ticket: Awaited, record: Record, base_url: str) -> dict[str, Any]:
    view = ticket_view(record, base_url=base_url, table=ticket.table)
    small = for_xcom({"ticket": view, "message": "", "warnings": []})["ticket"]
    raw = {"table": ticket.table, "state": str(record.get("state") or "")}
    return {"schema_version": SCHEMA_VERSION, **small, **raw}
