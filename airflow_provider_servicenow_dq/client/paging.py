"""Reading a list to its end, against ties, rows that are hidden, and servers that lie.

``sysparm_limit`` is applied before access rules, so a short or empty page is not the end; the count that
comes with a page ignores them, so it tells what is left. Pages begin behind the last row seen, never at an
offset, because offsets shift when rows appear or vanish. A run of hidden rows that is longer than a page has
no last row to go on from: there the stretch is narrowed until its count fits one page, which is then all of
it. What makes no progress is an error rather than a short answer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

#: Pages in a row that may bring nothing new.
_MAX_BARREN: Final = 100
#: No list has more pages: ten million rows at the usual size. A server that invents rows ends here.
_MAX_PAGES: Final = 10_000
#: Whoever waits for a long read is told how far it is, by whichever comes first.
_LOG_EVERY_ROWS: Final = 50_000
_LOG_EVERY_S: Final = 30.0

_HEX_ID = re.compile(r"[0-9a-f]{0,32}")
_LAST_ID: Final = 16**32 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    :param rows: The records that this user may see.
    :param total: How many match in all, those included that this user may not see, by the instance's word.
        Only a full page may come without.
    """

    rows: list[dict[str, Any]]
    total: int | None

    def is_whole(self, size: int) -> bool:
        """Whether this page, asked for from the start with that size, is all that matches."""
        if len(self.rows) >= size:
            return False
        total = self.total or 0
        # Short of its count it may be cut by a server that gives less than it is asked for.
        return len(self.rows) >= total or (not self.rows and total <= size)


#: Reads one page of a query, from an offset, of a size in rows.
ReadPage = Callable[[Query, int, int], Page]


class Progress:
    """Counts the pages of one walk, tells the log, and stops the walk when it gets nowhere.

    :param what: What is read, for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pages = 0
        self._barren = 0
        self._rows = 0
        self._told = 0, time.monotonic()

    def turned(self, rows: int, *, went_on: bool = False) -> None:
        """Count a page.

        :param rows: How many new rows it brought.
        :param went_on: Whether it brought the walk forward all the same.
        :raises IncompleteReadError: If there were too many.
        """
        self._pages += 1
        self._rows += rows
        self._barren = 0 if rows or went_on else self._barren + 1
        if self._barren > _MAX_BARREN:
            raise IncompleteReadError(
                f"{_MAX_BARREN} pages in a row brought nothing new, and the instance promises more"
            )
        if self._pages > _MAX_PAGES:
            raise IncompleteReadError(f"The list does not end after {_MAX_PAGES} pages: give a limit")
        rows_told, told_at = self._told
        if self._rows - rows_told >= _LOG_EVERY_ROWS or time.monotonic() - told_at >= _LOG_EVERY_S:
            self._told = self._rows, time.monotonic()
            log.info("%s: %d records read so far, in %d pages", self._what, self._rows, self._pages)


class Stride:
    """How much of the sys_ids, or of time, to ask for at once where a page may be full of hidden rows.

    It is found as one finds a word in a dictionary: by the counts where rows lie evenly, and faster and
    faster where they do not.

    :param size: Rows that one page holds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tries = 0

    def narrower(self, span: int, page: Page) -> int:
        """Return how much to ask for of a stretch that was found to hide more rows than fit a page.

        :raises IncompleteReadError: If nothing is left to narrow.
        """
        if span < 1:
            raise IncompleteReadError(
                "The instance promises more rows, and brought nothing new however it was asked"
            )
        self._tries = max(0, self._tries) + 1
        return span // max(1 << (1 << (self._tries - 1)), 2 * (page.total or 0) // self._size)

    def wider(self, span: int, page: Page) -> int:
        """Return how much to ask for behind a stretch that held no more than a page: about half a page."""
        if page.total:
            self._tries = 0
            return max(1, span) * max(1, self._size // (2 * page.total))
        self._tries = min(0, self._tries) - 1
        return max(1, span) << (1 << (2 - self._tries))


def read_in_sys_id_order(
    read_page: ReadPage,
    query: Query,
    *,
    limit: int | None,
    page_size: int,
    after: str = "",
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield all rows by sys_id, each once, also while rows appear, change and vanish.

    :param after: Begin behind this sys_id.
    :raises IncompleteReadError: If the server repeats rows or never ends.
    """
    last, end, left = after, None, limit
    progress, stride = progress or Progress("A list"), Stride(page_size)
    while left is None or left > 0:
        # Small pages are for short answers, not for long runs of hidden rows.
        size = page_size if left is None or end else min(page_size, left)
        page = read_page(_between(query, last, end).order_by("sys_id"), 0, size)
        progress.turned(len(page.rows), went_on=end is not None and page.is_whole(size))
        for row in page.rows[:left]:
            sys_id = sys_id_of(row)
            # In upper case, as databases that ignore case sort it.
            if not last.upper() < sys_id.upper() <= (end or sys_id).upper():
                raise IncompleteReadError(
                    "The instance repeats rows instead of going on: the list has no end"
                )
            last = sys_id
            yield row
        left = None if left is None else left - len(page.rows)
        if page.is_whole(size):
            if end is None:
                return
            span = stride.wider(_place(end) - _place(last), page)
            last, end = end, _id_at(_place(end) + span)
        elif not page.rows:
            span = stride.narrower((_place(end) if end else _LAST_ID) - _place(last), page)
            end = _id_at(_place(last) + span)


def _between(query: Query, last: str, end: str | None) -> Query:
    if last:
        query = query.also(Query.where("sys_id", ">", last))
    return query.also(Query.where("sys_id", "<=", end)) if end else query


def _place(sys_id: str) -> int:
    """Return where a sys_id lies among all that there may be.

    :raises IncompleteReadError: If it is none of the usual, such as ``global``.
    """
    if not _HEX_ID.fullmatch(sys_id):
        raise IncompleteReadError(
            f"Behind {sys_id!r} come more rows that this user may not see than a page has"
        )
    return int(sys_id.ljust(32, "0"), 16)


def _id_at(place: int) -> str | None:
    """Return the sys_id at a place; none beyond the last, where an end is no end."""
    return f"{place:032x}" if place <= _LAST_ID else None


def sys_id_of(row: dict[str, Any]) -> str:
    """Return a row's sys_id.

    :raises IncompleteReadError: If it came without.
    """
    sys_id = row.get("sys_id")
    if not isinstance(sys_id, str) or not sys_id:
        raise IncompleteReadError("A record came without its sys_id, so the list cannot be read page by page")
    return sys_id
