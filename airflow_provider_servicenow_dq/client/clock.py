"""How far the instance's clock is from ours, from the ``Date`` of its answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_SECOND: Final = timedelta(seconds=1)
#: Two clocks drift apart; what contradicts earlier answers by more was set.
_DRIFT: Final = timedelta(seconds=5)


class InstanceClock:
    """What answers have told of the instance's clock. Safe to share between threads."""

    def __init__(self) -> None:
        self._bounds: tuple[timedelta, timedelta] | None = None
        self._times_set = 0

    @property
    def times_set(self) -> int:
        """How often one of the two clocks was seen to have been set."""
        return self._times_set

    @property
    def ahead(self) -> timedelta:
        """How far the instance is ahead of us at most; zero while its clock may be ours.

        At most, so that what happened after a moment on the instance is not taken for something before it.
        """
        if self._bounds is None:
            return timedelta()
        least, most = self._bounds
        return timedelta() if least <= timedelta() <= most else most

    def learn(self, date: str | None, *, sent: datetime, received: datetime) -> None:
        """Take in the ``Date`` of an answer, which says the second in which it was made.

        :param date: The header; None, or one that is none, tells nothing.
        :param sent: When the request was sent, by our clock.
        :param received: When its answer was there.
        """
        try:
            said = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if said.tzinfo is None:
            said = said.replace(tzinfo=UTC)
        least, most = said - received, said + _SECOND - sent
        if self._bounds is not None:
            narrowed = max(least, self._bounds[0]), min(most, self._bounds[1])
            self._times_set += narrowed[0] - narrowed[1] > _DRIFT
            # A clock that was set in between contradicts what it said before.
            least, most = narrowed if narrowed[0] <= narrowed[1] else (least, most)
        self._bounds = least, most
