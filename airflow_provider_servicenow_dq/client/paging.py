"""Reading a list to its end, against ties, rows that are hidden, and servers that lie.

``sysparm_limit`` is applied before access rules, so a short or empty page is not the end;
``X-Total-Count`` ignores them, so it tells how far to go. It may be missing or wrong: a full page always
means to go on, and what makes no progress is an error rather than a short answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Pages in a row that may bring nothing new, each full of rows that the user may not see.
_MAX_BARREN = 100
#: No list has more pages: ten million rows at the usual size. A server that invents rows ends here.
_MAX_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    :param rows: The records that this user may see.
    :param total: How many match in all, by the instance's word.
    """

    rows: list[dict[str, Any]]
    total: int | None

    def is_last(self, offset: int, size: int) -> bool:
        """Whether nothing can follow this page, asked for with that offset and size."""
        if len(self.rows) >= size:
            return False
        return not self.rows if self.total is None else offset + size >= self.total


class _Progress:
    """Counts the pages of one walk and stops it when it gets nowhere."""

    def __init__(self) -> None:
        self._pages = 0
        self._barren = 0

    def turned(self, *, brought_rows: bool) -> None:
        """Count a page.

        :raises IncompleteReadError: If there were too many.
        """
        self._pages += 1
        self._barren = 0 if brought_rows else self._barren + 1
        if self._barren > _MAX_BARREN:
            raise IncompleteReadError(
                f"{_MAX_BARREN} pages in a row brought nothing new, and the instance promises more"
            )
        if self._pages > _MAX_PAGES:
            raise IncompleteReadError(f"The list does not end after {_MAX_PAGES} pages: give a limit")


def read_in_sys_id_order(
    read_page: Callable[[Query, int, int], Page], query: Query, *, limit: int | None, page_size: int
) -> Iterator[dict[str, Any]]:
    """Yield all rows by sys_id: each page begins behind the last row seen, so it cannot shift.

    :param read_page: Reads one page of a query, from an offset, of a size in rows.
    :raises IncompleteReadError: If the server repeats rows or never ends.
    """
    last, offset, left = "", 0, limit
    progress = _Progress()
    while left is None or left > 0:
        size = page_size if left is None else min(page_size, left)
        part = query.also(Query.where("sys_id", ">", last)) if last else query
        page = read_page(part.order_by("sys_id"), offset, size)
        progress.turned(brought_rows=bool(page.rows))
        for row in page.rows[:left]:
            sys_id = _sys_id(row)
            # In upper case, as databases that ignore case sort it.
            if sys_id.upper() <= last.upper():
                raise IncompleteReadError(
                    "The instance repeats rows instead of going on: the list has no end"
                )
            last = sys_id
            yield row
        if page.is_last(offset, size):
            return
        left = None if left is None else left - len(page.rows)
        offset = 0 if page.rows else offset + size


def read_in_order(
    read_page: Callable[[Query, int, int], Page], query: Query, *, limit: int | None, page_size: int
) -> Iterator[dict[str, Any]]:
    """Yield all rows in the query's own order, by offset; equal ones are kept apart by sys_id.

    :param read_page: Reads one page of a query, from an offset, of a size in rows.
    :raises IncompleteReadError: If the server repeats pages or never ends.
    """
    offset, left = 0, limit
    total: int | None = None
    seen: set[str] = set()
    progress = _Progress()
    while left is None or left > 0:
        page = read_page(query.order_by("sys_id"), offset, page_size)
        vanished = max(0, total - page.total) if total is not None and page.total is not None else 0
        total = page.total
        if vanished and offset:
            # What came behind the vanished rows has moved up, before this page.
            offset = max(0, offset - vanished)
            progress.turned(brought_rows=False)
            continue
        fresh = {_sys_id(row): row for row in page.rows if _sys_id(row) not in seen}
        progress.turned(brought_rows=bool(fresh))
        seen.update(fresh)
        yield from list(fresh.values())[:left]
        if page.is_last(offset, page_size):
            return
        left = None if left is None else left - len(fresh)
        offset += page_size


def _sys_id(row: dict[str, Any]) -> str:
    sys_id = row.get("sys_id")
    if not isinstance(sys_id, str) or not sys_id:
        raise IncompleteReadError("A record came without its sys_id, so the list cannot be read page by page")
    return sys_id
