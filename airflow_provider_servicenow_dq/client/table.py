"""The Table API: records in, records out. Every value is the text that the instance stores."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.ids import checked_sys_id, checked_table
from airflow_provider_servicenow_dq.client.long_queries import each_once, have_nothing_in_common, parts
from airflow_provider_servicenow_dq.client.paging import (
    Page,
    Progress,
    ReadPage,
    read_in_sys_id_order,
)
from airflow_provider_servicenow_dq.client.paging_by_offset import read_in_order
from airflow_provider_servicenow_dq.client.paging_by_time import KEY_FIELDS, read_in_update_order
from airflow_provider_servicenow_dq.client.query import Query, Value, as_query, checked_field
from airflow_provider_servicenow_dq.exceptions import (
    AnswerLostError,
    IncompleteReadError,
    RefusedError,
    ServiceNowConfigError,
    UnsafeQueryError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.client.answers import Answer
    from airflow_provider_servicenow_dq.client.transport import Transport

#: A record as the Table API writes it: texts, or ``{"display_value", "value"}`` each where that is asked.
Record = dict[str, Any]

#: The links to other pages repeat the whole query, and can make the headers too long.
_NO_LINKS = {"sysparm_suppress_pagination_header": "true"}


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
        """Yield all matching records, each once, page by page, also while records appear, change and vanish.

        Without an order in the query they come by sys_id, however many there are. With one, those whose place
        in it changes between two pages may come last, and there may be 100,000 of them at most. A query that
        is too long for one URL is asked in parts, one after the other.

        :param limit: Yield at most so many.
        :raises IncompleteReadError: If the end cannot be reached.
        :raises UnsafeQueryError: If it is too long and cannot be asked in parts.
        """
        query = as_query(query)
        names = fields and sorted({*fields, "sys_id"})
        read_page = self._reader(table, names)
        progress = Progress(table)

        def read(part: Query, left: int | None) -> Iterator[Record]:
            if part.order:
                read_ids = self._reader(table, ["sys_id"])
                return read_in_order(
                    read_page, part, limit=left, page_size=page_size, read_ids=read_ids, progress=progress
                )
            return read_in_sys_id_order(read_page, part, limit=left, page_size=page_size, progress=progress)

        rows = each_once(read, self.in_parts(table, query, names), limit=limit)
        hides_sys_id = bool(fields) and "sys_id" not in (fields or ())
        for row in rows:
            yield {name: value for name, value in row.items() if name != "sys_id"} if hides_sys_id else row

    def find_updated(
        self,
        table: str,
        query: Query | Mapping[str, Value],
        *,
        since: datetime,
        until: datetime | None = None,
        fields: Sequence[str] | None = None,
        page_size: int = 1000,
    ) -> Iterator[Record]:
        """Yield all matching records last updated in a time, by (``sys_updated_on``, ``sys_id``).

        With an end that is past, each record that stays in that time comes exactly once. Without one, a
        record that is updated while the list is read comes again, with its new time. An instance stamps a
        change when it begins and shows it when it is done: whoever reads on later begins a minute or more
        before the last stamp seen.

        :param query: Without an order.
        :param since: With a zone; by the instance's clock, as ``sys_updated_on`` is. Its second is included.
        :param until: The same.
        :param fields: All by default; ``sys_updated_on`` and ``sys_id`` always come.
        :raises IncompleteReadError: If the end cannot be reached, a clock was set meanwhile, or the instance
            reads times in another zone than UTC.
        """
        clock = self.transport.clock
        began = clock.times_set
        read_page = self._reader(table, fields and sorted({*fields, *KEY_FIELDS}))

        def read_while_time_goes_on(part: Query, offset: int, size: int) -> Page:
            page = read_page(part, offset, size)
            if clock.times_set != began:
                raise IncompleteReadError(
                    "A clock was set while the list was read: what was updated may stand before what was read"
                )
            return page

        return read_in_update_order(
            read_while_time_goes_on,
            Query(as_query(query).alternatives),
            since=_in_utc(since),
            until=until and _in_utc(until),
            page_size=page_size,
            progress=Progress(table),
        )

    def in_parts(self, table: str, query: Query, fields: Sequence[str] | None) -> list[Query]:
        """Return a query as the parts in which it is asked, because of its length; mostly it is one.

        :raises UnsafeQueryError: If it is too long and cannot be asked in parts.
        """
        url = f"{self.transport.config.base_url}{_path(table)}"
        return parts(query, url, _parameters(fields) | _NO_LINKS)

    def page(
        self,
        table: str,
        query: Query,
        *,
        fields: Sequence[str],
        offset: int,
        size: int,
        display: bool = False,
    ) -> Page:
        """Return one page of a list that is leafed through, and how many records match in all.

        Rows that this user may not see leave their page short, and count.

        :param query: With an order.
        :param display: Give every field as ``{"display_value", "value"}``.
        :raises IncompleteReadError: If the instance does not say how many match.
        """
        page = self._reader(table, fields, display=display)(query, offset, size)
        return page if page.total is not None else Page(page.rows, self._counted(table, query.encode()))

    def _reader(self, table: str, fields: Sequence[str] | None, *, display: bool = False) -> ReadPage:
        """Return what reads one page of a table, and says how many match whatever the headers lack."""
        path = _path(table)
        wanted = _parameters(fields, display=display) | _NO_LINKS

        def read_page(part: Query, offset: int, size: int) -> Page:
            encoded = part.encode()
            window = {"sysparm_query": encoded, "sysparm_limit": str(size), "sysparm_offset": str(offset)}
            page = _page(self.transport.request("GET", path, params=wanted | window))
            if page.total is None and len(page.rows) < size:
                return Page(page.rows, self._counted(table, encoded))
            return page

        return read_page

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
        params = _parameters(fields, display=display) | _NO_LINKS | page
        return _page(self.transport.request("GET", _path(table), params=params)).rows

    def count(self, table: str, query: Query | Mapping[str, Value]) -> int:
        """Return how many records match, those included that this user may not see.

        :raises IncompleteReadError: If the instance does not say.
        :raises UnsafeQueryError: If the query is too long, and its parts may count a record twice.
        """
        queries = self.in_parts(table, as_query(query), ["sys_id"])
        if not have_nothing_in_common(queries):
            raise UnsafeQueryError(
                "The query is too long to count by, and its parts may count a record twice"
            )
        return sum(self._count(table, part.encode()) for part in queries)

    def _count(self, table: str, encoded: str) -> int:
        params = {"sysparm_query": encoded, "sysparm_limit": "1", "sysparm_fields": "sys_id"}
        total = _page(self.transport.request("GET", _path(table), params=params | _NO_LINKS)).total
        return self._counted(table, encoded) if total is None else total

    def _counted(self, table: str, encoded: str) -> int:
        """Return how many records match, by the Aggregate API: a proxy may keep the header from us.

        :raises IncompleteReadError: If the instance does not say.
        """
        params = {"sysparm_query": encoded, "sysparm_count": "true"}
        try:
            result = self.transport.request("GET", f"/api/now/stats/{table}", params=params).result
            return int(result["stats"]["count"])
        except (RefusedError, TypeError, KeyError, ValueError):
            raise IncompleteReadError(
                f"The instance does not say how many records of {table} match: the header X-Total-Count is "
                "missing, and the Aggregate API does not tell either"
            ) from None

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
    path = f"/api/now/table/{checked_table(table)}"
    return path if sys_id is None else f"{path}/{checked_sys_id(sys_id)}"


def _in_utc(moment: datetime) -> datetime:
    """Return a moment as the instance writes it, cut to its second.

    :raises ServiceNowConfigError: If it has no zone.
    """
    if moment.tzinfo is None:
        raise ServiceNowConfigError(f"{moment} has no time zone: since and until must say theirs")
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)


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
