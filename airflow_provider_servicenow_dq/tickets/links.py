"""The texts by which a ticket tells that an anomaly was linked to it, and how they are known again.

A ticket's description gets the anomaly as the seed writes it; its work notes get a line that names the
anomaly by its correlation id, which nothing else can be taken for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, source_name
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.notes import member_mark, stamp
from airflow_provider_servicenow_dq.tickets.text import as_kept, cut, harmless, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_MOST_NAME: Final = 300
_MOST_ID: Final = 100


def link_line(anomaly: Anomaly, *, namespace: str, now: datetime) -> str:
    """Return ``[2026-01-23 19:51:23 UTC] Qualytics Anomaly Linked: 824, max_value on orders (dq:…)``."""
    name = cut(one_line(anomaly.external_id or anomaly.fingerprint), _MOST_ID)
    what = cut(one_line(f"{anomaly.check_name} on {anomaly.dataset}"), _MOST_NAME)
    text = f"{stamp(now)} {source_name(anomaly.source)} Anomaly Linked: {name}, {what}"
    return f"{harmless(text)} ({member_mark(anomaly, namespace)})"


def is_told(anomaly: Anomaly, texts: Iterable[str], *, namespace: str) -> bool:
    """Whether a line among the texts of a ticket's journal tells that the anomaly was linked."""
    mark = f"({member_mark(anomaly, namespace)})"
    return any(mark in line and "Anomaly Linked: " in line for text in texts for line in text.splitlines())


def has_details(anomaly: Anomaly, text: str) -> bool:
    """Whether a text holds the anomaly's details, written at any time, by us or by its source itself."""
    head = re.escape(as_kept(f"## {source_name(anomaly.source)} Anomaly Linked ["))
    name = as_kept(harmless(f"**Anomaly ID:** {anomaly.external_id or anomaly.fingerprint}"))
    block = rf"{head}[^\]]{{1,40}}\] {re.escape(name)}(?= \*\*Status:|$)"
    return re.search(block, as_kept(text)) is not None


def with_details(description: str, details: str) -> str | None:
    """Return a description with an anomaly's details at its end; None if they do not fit."""
    longer = f"{description.rstrip()}\n\n{details}" if description.strip() else details
    return longer if len(longer) <= COLUMN_LENGTHS["description"] else None


def pages(text: str) -> list[str]:
    """Return a text as work notes of at most 4,000 characters, cut between lines where there are any."""
    limit = COLUMN_LENGTHS["work_notes"]
    found = []
    while len(text) > limit:
        at = text.rfind("\n", 1, limit + 1)
        at = at if at > 0 else limit
        found.append(text[:at])
        text = text[at:].removeprefix("\n")
    return [page for page in [*found, text] if page.strip()]
