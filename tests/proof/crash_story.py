"""What a story is in which a process is killed at every moment, and how it must end."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from scenes import Came, Scene

#: Instances that keep the sys_id we choose, and those that do not.
HONOURING: Final = "honouring"
HARDENED: Final = "hardened"
BOTH: Final = (HONOURING, HARDENED)

NEW, IN_PROGRESS, RESOLVED, CLOSED, CANCELED = "1", "2", "6", "7", "8"

#: Sent, but nobody heard of it; and about to be sent, which from outside looks the same.
SENT: Final = "incident, sent"
UNSENT: Final = "incident, before sending"

#: Instances of the proof have a business rule that saves no incident with this in its title.
REFUSED: Final = "refused"

#: They have a column for correlation ids besides the usual one.
KEY_FIELD: Final = "u_key"


@dataclass(frozen=True)
class Scenario:
    """A story.

    :param act: What the task does that is killed, and that runs again after that.
    :param ends: State and number of notes of each incident at the end, by title, then oldest first.
    :param prepare: What happened before.
    :param instances: The kinds of instance on which it plays.
    :param main: It is told on every kind of store.
    :param again: Ends of the moments after which the recovery is killed as well, at each of its moments.
    :param begins: End of the first moment that another story does not have in the same way.
    :param meets: Two creators meet, so that one ticket may have twins that are canceled, or none.
    :param during: What others do while any process is at work.
    """

    name: str
    act: Callable[[Scene], Came]
    ends: tuple[tuple[str, int], ...]
    prepare: Callable[[Scene], object] = lambda _: None
    instances: tuple[str, ...] = (HONOURING,)
    main: bool = False
    again: tuple[str, ...] = ()
    begins: str = ""
    meets: bool = False
    during: Callable[[Scene], AbstractContextManager[None]] = lambda _: contextlib.nullcontext()
