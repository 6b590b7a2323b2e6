"""What a trigger remembers from one triggerer to the next."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

log = logging.getLogger(__name__)


class Memory:
    """What Airflow 3.3 keeps for a trigger that watches an asset; Airflow 3.2 keeps nothing.

    :param trigger: Whose it is: one with other parameters has a memory of its own.
    """

    def __init__(self, trigger: BaseTrigger) -> None:
        self._kept: Any = getattr(trigger, "asset_state_store", None)
        described = json.dumps(trigger.serialize())
        self._key = "servicenow:" + hashlib.sha256(described.encode()).hexdigest()[:32]

    async def recall(self) -> Any:
        """Return what was remembered; None where nothing is."""
        if self._kept is None:
            return None
        try:
            return await self._kept.aget(self._key)
        except Exception as error:  # noqa: BLE001 (a memory that fails must not keep changes from being told)
            log.warning("Where it was is not known, so it begins now: %s", error)
            return None

    async def remember(self, value: Any) -> None:
        """Keep something, in place of what was kept before.

        :param value: Plain JSON.
        """
        if self._kept is None:
            return
        try:
            await self._kept.aset(self._key, value)
        except Exception as error:  # noqa: BLE001 (as above)
            log.warning("Where it is could not be kept: %s", error)
