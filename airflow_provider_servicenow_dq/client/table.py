"""The Table API: records in, records out. Every value is the text that the instance stores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.paging import Page, read_in_order, read_in_sys_id_order
from airflow_provider_servicenow_dq.client.query import Query, Value, as_query, checked_field
from airflow_provider_servicenow_dq.exceptions import (
    AnswerLostError,
    IncompleteReadError,
    ServiceNowConfigError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.client.answers import Answer
    from airflow_provider_servicenow_dq.client.transport import Transport

#: A record as the Table API writes it: texts, or ``{"display_value", "value"}`` each where that is asked.
Record = dict[str, Any]

_TABLE = re.compile(r"[a-z0-9_]+")
_SYS_ID = re.compile(r"[0-9a-f]{32}")


class TableApi:
    """Verbs of the Table API of one instance. As safe to share between threads as its transport.

    Each raises the errors of :meth:`Transport.request`, and ``ServiceNowConfigError`` for a table name or a
    sys_id that is none.

    :param transport: What carries the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def get(
        self, table: str, sys_id: str, *, fields: Sequence[str] | None = None, display: bool = False
    ) -> Record:
        """Return one record.

        :param display: Give every field as ``{"display_value", "value"}``; a journal has no other.
        :raises RecordNotFoundError: If it does not exist, or this user may not see it.
        """
        params = _parameters(fields, display=display)
        return _record(self.transport.request("GET", _path(table, sys_id), params=params))

    def find(
        self,
        table: str,
        query: Query | Mapping[str, Value],
        *,
        fields: Sequence[str] | None = None,
        limit: int | None = None,
        page_size: int = 1000,
    ) -> Iterator[Record]:
        """Yield all matching records, each once, page by page.

        Without an order in the query they come by sys_id, and then also rows that appear or vanish meanwhile
        disturb no other. With one, pages are read by offset, so a row whose place in that order changes
        between two pages can be missed: order only where the order matters.

        :param limit: Yield at most so many.
        :raises IncompleteReadError: If the end cannot be reached.
        """
        query = as_query(query)
        path = _path(table)
        wanted = _parameters(fields and sorted({*fields, "sys_id"}))

        def read_page(part: Query, offset: int, size: int) -> Page:
            params = {
                "sysparm_query": part.encode(),
                "sysparm_limit": str(size),
                "sysparm_offset": str(offset),
            }
            return _page(self.transport.request("GET", path, params=wanted | params))

        walk = read_in_order if query.order else read_in_sys_id_order
        hides_sys_id = bool(fields) and "sys_id" not in (fields or ())
        for row in walk(read_page, query, limit=limit, page_size=page_size):
            yield {name: value for name, value in row.items() if name != "sys_id"} if hides_sys_id else row

    def first_page(
        self,
        table: str,
        query: Query | Mapping[str, Value],
        *,
        fields: Sequence[str] | None = None,
        limit: int,
        display: bool = False,
    ) -> list[Record]:
        """Return the first matching records with one request: for look-ups that are known to be small.

        Rows that this user may not see count towards the limit.

        :param display: Give every field as ``{"display_value", "value"}``; a journal has no other.
        """
        query = as_query(query)
        ordered = query if query.order else query.order_by("sys_id")
        page = {"sysparm_query": ordered.encode(), "sysparm_limit": str(limit)}
        params = _parameters(fields, display=display) | page
        return _page(self.transport.request("GET", _path(table), params=params)).rows

    def count(self, table: str, query: Query | Mapping[str, Value]) -> int:
        """Return how many records match, those included that this user may not see.

        :raises IncompleteReadError: If the instance does not say.
        """
        params = {"sysparm_query": as_query(query).encode(), "sysparm_limit": "1", "sysparm_fields": "sys_id"}
        total = _page(self.transport.request("GET", _path(table), params=params)).total
        if total is None:
            raise IncompleteReadError(f"The instance does not say how many records of {table} match")
        return total

    def create(self, table: str, values: Mapping[str, Any]) -> Record:
        """Insert a record and return it as the instance made it."""
        return _record(self.transport.request("POST", _path(table), params=_parameters(), json=dict(values)))

    def update(self, table: str, sys_id: str, values: Mapping[str, Any]) -> Record:
        """Change some fields of a record and return it as it is now."""
        path = _path(table, sys_id)
        return _record(self.transport.request("PATCH", path, params=_parameters(), json=dict(values)))

    def delete(self, table: str, sys_id: str) -> None:
        """Delete a record."""
        self.transport.request("DELETE", _path(table, sys_id))


def _path(table: str, sys_id: str | None = None) -> str:
    if not _TABLE.fullmatch(table):
        raise ServiceNowConfigError(f"{table!r} is no table name: only a-z, 0-9 and _ are allowed")
    if sys_id is None:
        return f"/api/now/table/{table}"
    if not _SYS_ID.fullmatch(sys_id):
        raise ServiceNowConfigError(f"{sys_id!r} is no sys_id: it has 32 characters of 0-9 and a-f")
    return f"/api/now/table/{table}/{sys_id}"


def _parameters(fields: Sequence[str] | None = None, *, display: bool = False) -> dict[str, str]:
    parameters = {
        "sysparm_exclude_reference_link": "true",
        "sysparm_display_value": "all" if display else "false",
    }
    if fields:
        parameters["sysparm_fields"] = ",".join(checked_field(name) for name in fields)
    return parameters


def _record(answer: Answer) -> Record:
    if not isinstance(answer.result, dict):
        raise AnswerLostError(f"ServiceNow answered {answer.status} without the record")
    return answer.result


def _page(answer: Answer) -> Page:
    rows = answer.result
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise IncompleteReadError("The instance answered with something else than a list of records")
    total = answer.headers.get("X-Total-Count", "")
    return Page(rows, int(total) if re.fullmatch(r"[0-9]{1,12}", total) else None)
