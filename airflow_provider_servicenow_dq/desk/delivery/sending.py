"""A write that is under way, by us or by somebody who left it behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.store import outbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_provider_servicenow_dq.store.outbox import Entry


@dataclass(frozen=True, slots=True)
class Sending:
    """A write that is under way, and the entries that it is for.

    :param attempt: How often it was tried, this time included.
    :param left_behind: It was found in this state: somebody else sent it, or an earlier try of ours.
    """

    entries: Sequence[Entry]
    write: Mapping[str, Any]
    tried_at: datetime
    attempt: int
    left_behind: bool

    @property
    def creates(self) -> bool:
        """Whether it makes a record."""
        return bool(self.write["op"] == "create")


def left_behind(waiting: Sequence[Entry]) -> Sending | None:
    """Return the write that is marked as being sent among entries that wait, if there is one."""
    sent = [entry for entry in waiting if entry.state == outbox.SENDING]
    for entry in sent:
        if entry.write is not None and entry.write["op"] != "with" and entry.tried_at is not None:
            together = outbox.sent_together(entry, sent)
            return Sending(together, entry.write, entry.tried_at, entry.attempts, left_behind=True)
    return None
