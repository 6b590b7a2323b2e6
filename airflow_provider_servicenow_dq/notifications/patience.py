"""How long a DAG is kept waiting."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

#: No DAG is kept waiting for longer, in seconds.
LONGEST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """It begins when it is made."""

    until: float = field(default_factory=lambda: time.monotonic() + LONGEST_S)

    def left(self) -> float:
        """Return the seconds that are left."""
        return max(self.until - time.monotonic(), 0.0)
