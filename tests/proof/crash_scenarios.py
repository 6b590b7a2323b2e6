"""All stories in which a process is killed at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import crash_stories_findings
import crash_stories_link
import crash_stories_open
import crash_stories_pull
import crash_stories_push
import crash_stories_trouble

if TYPE_CHECKING:
    from crash_story import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *crash_stories_open.STORIES,
    *crash_stories_push.STORIES,
    *crash_stories_link.STORIES,
    *crash_stories_pull.STORIES,
    *crash_stories_findings.STORIES,
    *crash_stories_trouble.STORIES,
)
