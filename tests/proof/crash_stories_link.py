"""Stories of anomalies that are linked to a ticket that is there already, and unlinked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crash_story import Scenario

STORIES: Final[list[Scenario]] = []
