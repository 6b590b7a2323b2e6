"""The texts of a ticket for security findings: all of them, readable, in what one create can carry.

A create writes the description and one work note; what is behind a second page costs a request of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.notes import member_mark, stamp
from airflow_provider_servicenow_dq.tickets.text import cut, harmless, one_line, paged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly

_PAGE: Final = COLUMN_LENGTHS["description"]
#: Of a description, what the words of whoever asked for the ticket may take.
_MOST_WORDS: Final = _PAGE // 2
#: For the line that names a ticket's predecessor, and the one that says where the rest of a list is.
_SPARE: Final = 240
_MOST_LINE: Final = 900
_LEAST_LINE: Final = 120


def first_pages(
    anomalies: Sequence[Anomaly], *, namespace: str, heading: str, words: str, now: datetime
) -> list[str]:
    """Return the description of a new ticket and its work notes: one, whenever all findings fit into it.

    :param heading: What the list is, e.g. ``50 security findings (PROJ-12)``.
    :param words: Of whoever asked for the ticket; they stand first, cut at 2,000 characters.
    """
    own = f"{cut(harmless(words), _MOST_WORDS)}\n\n" if words.strip() else ""
    title = harmless(f"## {heading} {stamp(now)}")
    room = _PAGE - _SPARE - len(own)
    lines = _lines(anomalies, namespace, _room_each(len(anomalies), room - len(title) - 1))
    body = title
    taken = 0
    for line in lines:
        if len(body) + 1 + len(line) > room:
            break
        body = f"{body}\n{line}"
        taken += 1
    rest = lines[taken:]
    if rest:
        body = f"{body}\n… and {len(rest)} more in the work notes"
    return [own + body, *(paged(title, rest, _PAGE) if rest else [])]


def further_pages(anomalies: Sequence[Anomaly], *, namespace: str, heading: str, now: datetime) -> list[str]:
    """Return the work notes about findings that come to a ticket that is there."""
    title = harmless(f"{stamp(now)} {heading}")
    return paged(title, _lines(anomalies, namespace, _room_each(len(anomalies), 0)), _PAGE)


def _room_each(count: int, first: int) -> int:
    """Return how long a line may be so that all lines fit on the first page and one more.

    :param first: Room for lines on the first page.
    """
    for each in range(_MOST_LINE, _LEAST_LINE, -1):
        if first // (each + 1) + (_PAGE - _SPARE) // (each + 1) >= count:
            return each
    return _LEAST_LINE


def _lines(anomalies: Sequence[Anomaly], namespace: str, room: int) -> list[str]:
    return [_line(anomaly, namespace, room) for anomaly in anomalies]


def _line(anomaly: Anomaly, namespace: str, room: int) -> str:
    """Return what is known of a finding; its mark, by which it is found again, is never cut."""
    end = f" ({member_mark(anomaly, namespace)})"
    name = f"- {anomaly.severity}: {one_line(anomaly.check_name)} on {one_line(anomaly.dataset)}"
    more = [f"id {anomaly.external_id}", anomaly.observed, anomaly.message, anomaly.url]
    line = harmless(name)
    for fact in filter(None, more):
        longer = f"{line}; {harmless(one_line(fact))}"
        if len(longer) + len(end) > room:
            break
        line = longer
    return cut(line, room - len(end)) + end
