"""Following reports that somebody else takes to a roll-up ticket while we deliver them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.store import outbox

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_servicenow_dq.desk.crew import Crew
    from airflow_provider_servicenow_dq.store.outbox import Address

#: A report moves to a roll-up ticket once, and then at most to one that somebody opened earlier.
_MOST_MOVES: Final = 5


class Following:
    """Knows where reports were when their delivery began, and delivers those that are elsewhere by its end.

    :param ids: The reports.
    :param within: Where is going to be delivered.
    """

    def __init__(self, crew: Crew, ids: Collection[int], *, within: Collection[Address]) -> None:
        self._crew = crew
        self._ids = ids
        # A place may have had its turn before a report was moved there, so lying there is not enough.
        self._tried = {id_: place for id_, place in self._places().items() if place in within}

    def deliver_moved(self) -> None:
        """Deliver what was moved, also if it is moved again meanwhile; what still is left is a failure."""
        for _ in range(_MOST_MOVES):
            now = self._places()
            moved = dict.fromkeys(place for id_, place in now.items() if place != self._tried.get(id_))
            if not moved or not self._crew.look(list(moved)):
                return
            self._tried = now
            self._crew.deliver_all(list(moved))
        if self._places() != self._tried:
            self._crew.failed.append(
                DeliveryPendingError("Reports were moved to other tickets again and again", None)
            )

    def _places(self) -> dict[int, Address]:
        with self._crew.desk.store.snapshot() as connection:
            entries = outbox.by_ids(connection, self._ids).values()
        return {
            entry.id: entry.address for entry in entries if entry.state not in {*outbox.ENDED, outbox.DEAD}
        }
