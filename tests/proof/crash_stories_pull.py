"""Stories of what people did to tickets, and of reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crash_story import Scenario

STORIES: Final[list[Scenario]] = []
