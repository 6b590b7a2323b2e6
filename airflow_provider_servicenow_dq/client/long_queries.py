"""Queries that are too long for one URL, cut into parts that together find the same rows.

A web server refuses a request whose head is too large (HTTP 400, KB0826932), usually above 8 KB. What makes a
query that long is a list of values or a number of alternatives, and both can be asked for bit by bit.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode

from airflow_provider_servicenow_dq.client.query import Condition, Query
from airflow_provider_servicenow_dq.exceptions import UnsafeQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Bytes of a URL that every server on the way takes.
MAX_URL: Final = 7000

#: What turning a page adds to each alternative: where its stretch of sys_ids begins and ends; and once.
_PER_ALTERNATIVE: Final = 2 * (len("%5Esys_id%3C%3D") + 32)
_PER_PAGE: Final = len("%5EORDERBYsys_id") + len("&sysparm_offset=") + len("&sysparm_limit=") + 20

#: A list in a raw query, with what stands before its values. Others only look like one.
_LIST: Final = re.compile(r"((?:OR)?[a-z0-9_.]+IN)(?!STANCEOF|_HIERARCHY|javascript:)(.+)", re.DOTALL)
#: Terms of a raw query within which a list cannot be taken apart.
_WHOLE: Final = ("RLQUERY", "JOIN")


def parts(query: Query, url: str, parameters: Mapping[str, str]) -> list[Query]:
    """Return the query, or several shorter ones that together find the same rows; some may find the same row.

    :param url: Address that it is sent to, without parameters.
    :param parameters: What is sent besides.
    :raises UnsafeQueryError: If it is too long and cannot be cut: nothing in it is a list, or an order is
        asked for, which parts do not have together.
    """
    room = MAX_URL - len(f"{url}?sysparm_query=&{urlencode(parameters)}") - _PER_PAGE
    if _length(query) <= room:
        return [query]
    if query.order:
        raise UnsafeQueryError(
            f"A query of {_length(query)} characters is too long for one URL, and cut into parts it has no "
            "order: leave the order out, or ask for less at once"
        )
    return list(_cut(query, room))


def each_once(
    read: Callable[[Query, int | None], Iterator[dict[str, Any]]],
    queries: Sequence[Query],
    *,
    limit: int | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of all parts, each once.

    :param read: Reads the rows of one part, at most so many, each with its ``sys_id``.
    """
    seen: set[str] = set()
    for query in queries:
        # As many as are wanted in all: as many of them as are missing were not seen yet.
        for row in read(query, limit):
            if len(queries) > 1:
                if row["sys_id"] in seen:
                    continue
                if limit is not None and len(seen) >= limit:
                    return
                seen.add(row["sys_id"])
            yield row


def have_nothing_in_common(queries: Sequence[Query]) -> bool:
    """Whether surely no row is found by two parts of a query, so that their counts can be added up."""
    if len(queries) == 1:
        return True
    terms = [term for query in queries for group in query.alternatives for term in group]
    if any(
        len(query.alternatives) > 1 or not isinstance(term, Condition) for query in queries for term in terms
    ):
        return False
    lists = {term for term in terms if isinstance(term, Condition) and term.operator == "IN"}
    for field in {term.field for term in lists}:
        values = [value for term in lists if term.field == field for value in term.values]
        # Databases may take texts for equal that differ in case or accents.
        if not all(map(str.isascii, values)) or len({value.lower() for value in values}) < len(values):
            return False
    return True


def _length(query: Query) -> int:
    return len(quote_plus(query.encode())) + _PER_ALTERNATIVE * len(query.alternatives)


def _cut(query: Query, room: int) -> Iterator[Query]:
    if _length(query) <= room:
        yield query
    elif len(query.alternatives) > 1:
        middle = len(query.alternatives) // 2
        for some in (query.alternatives[:middle], query.alternatives[middle:]):
            yield from _cut(Query(some), room)
    else:
        yield from _with_shorter_lists(query, room)


def _with_shorter_lists(query: Query, room: int) -> Iterator[Query]:
    (group,) = query.alternatives
    lists = (
        {} if any(str(term).startswith(_WHOLE) for term in group) else dict(enumerate(map(_values, group)))
    )
    place = max(lists, key=lambda index: _size(lists[index]), default=0)
    values = lists.get(place, [])
    if len(values) < 2:  # noqa: PLR2004 (a list of one cannot be shortened)
        raise UnsafeQueryError(
            f"A query of {_length(query)} characters is too long for one URL, and nothing in it is a list "
            "that could be asked for in parts"
        )
    # Beside another long list, which is shortened next, a quarter of the room is enough.
    budget = max(room - (_length(query) - _size(values)), room // 4)
    for some in _batches(values, budget):
        term = _shortened(group[place], some)
        yield from _cut(Query(((*group[:place], term, *group[place + 1 :]),)), room)


def _values(term: Condition | str) -> list[str]:
    """Return the values of a list, as a query writes them; none where the term is no list."""
    if isinstance(term, Condition):
        return list(term.values) if term.operator == "IN" else []
    found = _LIST.fullmatch(term)
    return found.group(2).split(",") if found else []


def _shortened(term: Condition | str, values: Sequence[str]) -> Condition | str:
    if isinstance(term, Condition):
        return replace(term, values=tuple(values))
    found = _LIST.fullmatch(term)
    return f"{found.group(1)}{','.join(values)}" if found else term


def _size(values: Sequence[str]) -> int:
    return sum(map(_size_of, values))


def _size_of(value: str) -> int:
    return len(quote_plus(value.replace("^", "^^"))) + len("%2C")


def _batches(values: Sequence[str], budget: int) -> Iterator[list[str]]:
    """Yield the values in at least two lists of at most so many characters each."""
    batch: list[str] = []
    left = min(budget, _size(values) - 1)
    for value in values:
        if batch and _size_of(value) > left:
            yield batch
            batch, left = [], budget
        batch.append(value)
        left -= _size_of(value)
    yield batch
