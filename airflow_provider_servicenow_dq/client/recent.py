"""Reading what was updated since a moment without knowing in which time zone the instance reads times.

A time in a query is UTC on some instances and in the user's zone on others, and the documentation does not
say which. So each page asks for what is newer by either of two conditions: the time itself, and "so many
minutes ago", in which no zone plays a part but the two clocks do. Where the zone is not UTC some rows come
that are older; none is missing.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.paging import Page, Progress, read_in_sys_id_order
from airflow_provider_servicenow_dq.client.paging_by_time import STAMP
from airflow_provider_servicenow_dq.client.query import Query, checked_field
from airflow_provider_servicenow_dq.client.stamps import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_servicenow_dq.client.table import TableApi

#: The minute that is cut off on either side.
_SLACK: Final = timedelta(minutes=1)


def since(field: str, moment: datetime, *, now: datetime) -> Query:
    """Return the query for rows whose time is not before a moment, in whatever zone times are read.

    :param moment: By the instance's clock, with a zone.
    :param now: What time it is by that clock, or later.
    """
    minutes = max(1, math.ceil((now - moment + _SLACK) / timedelta(minutes=1)))
    name = checked_field(field)
    return Query.raw(f"{name}>={written(moment)}^OR{name}RELATIVEGE@minute@ago@{minutes}")


class Recent:
    """One read of the rows of a table that were updated since a moment; they come by sys_id.

    A row that is updated meanwhile comes as it was or as it is, and is newer than :attr:`newest`.

    :param moment: By the instance's clock, with a zone.
    :param now: Tells that clock's time; asked before each page.
    """

    def __init__(
        self,
        table_api: TableApi,
        table: str,
        moment: datetime,
        *,
        fields: Sequence[str],
        now: Callable[[], datetime],
        page_size: int = 2000,
    ) -> None:
        self._table_api = table_api
        self._table = table
        self._fields = sorted({*fields, STAMP, "sys_id"})
        self._progress = Progress(table)
        self._moment = moment
        self._now = now
        self._size = page_size
        self._first = self._read(Query().order_by("sys_id"), 0, page_size)
        #: How many rows match, as far as the instance tells.
        self.total = self._first.total or 0
        #: Everything up to this update was there when the read began, but for what was not committed yet.
        self.newest = max((str(row.get(STAMP) or "") for row in self._first.rows), default="")
        self._is_begun = False

    @property
    def pages(self) -> int:
        """How many requests the whole of it takes."""
        return max(1, math.ceil(self.total / self._size))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, each once.

        :raises IncompleteReadError: If the end cannot be reached.
        """
        return read_in_sys_id_order(
            self._next, Query(), limit=None, page_size=self._size, progress=self._progress
        )

    def _next(self, part: Query, offset: int, size: int) -> Page:
        if not self._is_begun:
            self._is_begun = True
            return self._first
        return self._read(part, offset, size)

    def _read(self, part: Query, offset: int, size: int) -> Page:
        recent = since(STAMP, self._moment, now=self._now()).also(part)
        return self._table_api.page(self._table, recent, fields=self._fields, offset=offset, size=size)
