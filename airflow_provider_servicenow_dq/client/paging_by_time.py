"""Reading what was updated since a moment, in the order of its update.

The key is ``(sys_updated_on, sys_id)``: a bulk update gives thousands of rows the same second. A page begins
at the second of the last row seen, and what of it was seen is left out; where one second fills a page, its
rows are read by sys_id. So no page needs ``^NQ``, and none begins at an offset.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.paging import (
    Page,
    Progress,
    ReadPage,
    Stride,
    read_in_sys_id_order,
    sys_id_of,
)
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.stamps import TIME_FORMAT
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP: Final = "sys_updated_on"
#: Fields that every row must come with.
KEY_FIELDS: Final = (STAMP, "sys_id")
#: When there is no end.
_NEVER: Final = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 (as the instance writes it: UTC without a zone)
_SECOND: Final = timedelta(seconds=1)
_OTHER_ZONE: Final = (
    "The instance reads a time in a query in another time zone than UTC: set the time zone of the "
    "integration user to GMT"
)


def read_in_update_order(
    read_page: ReadPage,
    query: Query,
    *,
    since: datetime,
    until: datetime | None = None,
    page_size: int,
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield all rows last updated from one moment to another, by (``sys_updated_on``, ``sys_id``).

    With an end that is past, each row that stays in that time is read exactly once. Without one, a row that
    is updated while the list is read comes again with its new time.

    :param read_page: Reads one page of a query, from an offset, of a size in rows, at least with the key.
    :param since: UTC without a zone, as the instance writes it, in whole seconds; rows of it are included.
    :param until: The same; rows of it are included.
    :raises IncompleteReadError: If the server repeats rows or never ends, or reads times in another zone.
    """
    return _Walk(read_page, query, since, until, page_size, progress or Progress("A list")).rows()


class _Walk:
    """One read: everything up to ``(_begin, _last)`` has been given; ``_end`` bounds the stretch in hand."""

    def __init__(
        self,
        read_page: ReadPage,
        query: Query,
        since: datetime,
        until: datetime | None,
        size: int,
        progress: Progress,
    ) -> None:
        self._read_page = read_page
        self._query = query
        self._until = until or _NEVER
        self._size = size
        self._stride = Stride(size)
        self._progress = progress
        self._begin, self._last = since, ""
        self._end = self._until
        self._is_done = self._begin > self._until

    def rows(self) -> Iterator[dict[str, Any]]:
        while not self._is_done:
            page = self._read_page(self._stretch().order_by(STAMP).order_by("sys_id"), 0, self._size)
            fresh = [row for row in page.rows if self._is_new(row)]
            self._check_zone(page)
            is_whole = page.is_whole(self._size) or (not fresh and (page.total or 0) <= self._size)
            self._progress.turned(len(fresh), went_on=is_whole)
            if fresh:
                self._begin, self._last = _stamp(fresh[-1]), sys_id_of(fresh[-1])
            yield from fresh
            if is_whole:
                self._go_behind(page)
            elif len(page.rows) >= self._size and _stamp(page.rows[0]) == self._begin:
                yield from self._rest_of_second()
            elif not fresh:
                yield from self._narrow(page)

    def _stretch(self) -> Query:
        part = self._query.also(Query.where(STAMP, ">=", self._begin.strftime(TIME_FORMAT)))
        if self._end == _NEVER:
            return part
        return part.also(Query.where(STAMP, "<=", self._end.strftime(TIME_FORMAT)))

    def _is_new(self, row: dict[str, Any]) -> bool:
        stamp = _stamp(row)
        if not self._begin <= stamp <= self._end:
            raise IncompleteReadError(_OTHER_ZONE)
        return stamp > self._begin or sys_id_of(row).upper() > self._last.upper()

    def _check_zone(self, page: Page) -> None:
        """Make sure that the second at which this page begins was found, unless nothing is left of it.

        :raises IncompleteReadError: If it was not, so that what lies between is missing.
        """
        if not self._last or any(_stamp(row) == self._begin for row in page.rows):
            return
        itself = self._query.also(Query.where("sys_id", "=", self._last))
        if any(_stamp(row) == self._begin for row in self._read_page(itself, 0, 1).rows):
            raise IncompleteReadError(_OTHER_ZONE)

    def _go_behind(self, page: Page) -> None:
        """Go on behind the stretch, which has been read whole."""
        span = self._stride.wider(_seconds(self._end - self._begin), page)
        self._is_done = self._end >= self._until
        if self._is_done:
            return
        self._begin, self._last = self._end + _SECOND, ""
        left = _seconds(self._until - self._begin)
        self._end = self._until if span >= left else self._begin + timedelta(seconds=span)

    def _rest_of_second(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the second in hand, of which there are more than a page."""
        second = self._query.also(Query.where(STAMP, "=", self._begin.strftime(TIME_FORMAT)))
        for row in read_in_sys_id_order(
            self._read_page,
            second,
            limit=None,
            page_size=self._size,
            after=self._last,
            progress=self._progress,
        ):
            if _stamp(row) != self._begin:
                raise IncompleteReadError(_OTHER_ZONE)
            yield row
        self._begin, self._last = self._begin + _SECOND, ""
        self._end = self._until
        self._is_done = self._begin > self._until

    def _narrow(self, page: Page) -> Iterator[dict[str, Any]]:
        """Ask for less, where a page was full of rows that this user may not see."""
        if self._end == self._begin:
            yield from self._rest_of_second()
            return
        span = self._stride.narrower(_seconds(self._end - self._begin), page)
        self._end = self._begin + timedelta(seconds=span)


def _stamp(row: dict[str, Any]) -> datetime:
    try:
        return datetime.strptime(row[STAMP], TIME_FORMAT)  # noqa: DTZ007 (UTC without a zone, all through)
    except (KeyError, TypeError, ValueError):
        raise IncompleteReadError(
            f"A record came without its {STAMP}, so the list cannot be read page by page"
        ) from None


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
