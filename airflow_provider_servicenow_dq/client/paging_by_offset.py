"""Reading a list in an order of its own.

Nothing can go on behind a row in any order: a value may be empty, or compare otherwise in the database than
here. So pages are read by offset, which shifts when rows appear or vanish, and a second look at the sys_ids
finds what was missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.paging import (
    Progress,
    ReadPage,
    read_in_sys_id_order,
    sys_id_of,
)
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Rows that are kept in mind at most, so as to give none twice: some 10 MB.
_MOST_IN_MIND: Final = 100_000
#: As many sys_ids as fit into one URL, and as many as come in one page when nothing else is asked for.
_MOST_NAMED: Final = 100
_IDS_AT_ONCE: Final = 10_000


def read_in_order(
    read_page: ReadPage,
    query: Query,
    *,
    limit: int | None,
    page_size: int,
    read_ids: ReadPage,
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield all rows, each once, in the query's own order; equal ones are kept apart by sys_id.

    Those that were moved past the pages meanwhile come last.

    :param read_ids: As ``read_page``, with the sys_ids alone.
    :raises IncompleteReadError: If the server repeats pages or never ends, or there are more rows than can be
        kept in mind.
    """
    progress = progress or Progress("A list")
    offset, left = 0, limit
    seen: set[str] = set()
    total: int | None = None
    while left is None or left > 0:
        page = read_page(query.order_by("sys_id"), offset, page_size)
        vanished = max(0, total - page.total) if total is not None and page.total is not None else 0
        total = page.total
        if vanished and offset:
            # What came behind the vanished rows has moved up, before this page.
            offset = max(0, offset - vanished)
            progress.turned(0)
            continue
        fresh = {sys_id_of(row): row for row in page.rows if sys_id_of(row) not in seen}
        progress.turned(len(fresh))
        given = list(fresh)[:left]
        _keep_in_mind(seen, given)
        yield from (fresh[sys_id] for sys_id in given)
        left = None if left is None else left - len(fresh)
        if not offset and page.is_whole(page_size):
            return
        if len(page.rows) < page_size and offset + page_size >= (page.total or 0):
            break
        offset += page_size
    if left is None or left > 0:
        unordered = Query(query.alternatives)
        yield from _missed(read_page, read_ids, unordered, seen, limit=left, progress=progress)


def _missed(
    read_page: ReadPage,
    read_ids: ReadPage,
    query: Query,
    seen: set[str],
    *,
    limit: int | None,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """Yield the rows that are there and were not seen."""
    ids = read_in_sys_id_order(read_ids, query, limit=None, page_size=_IDS_AT_ONCE, progress=progress)
    missed = [sys_id for row in ids if (sys_id := sys_id_of(row)) not in seen]
    for start in range(0, len(missed), _MOST_NAMED):
        named = query.also(Query.any_of("sys_id", missed[start : start + _MOST_NAMED]))
        for row in read_in_sys_id_order(read_page, named, limit=limit, page_size=_MOST_NAMED + 1):
            limit = None if limit is None else limit - 1
            yield row


def _keep_in_mind(seen: set[str], fresh: Iterable[str]) -> None:
    seen.update(fresh)
    if len(seen) > _MOST_IN_MIND:
        raise IncompleteReadError(
            f"More than {_MOST_IN_MIND} records cannot be read in an order of their own: leave the order "
            "out, or give a limit"
        )
