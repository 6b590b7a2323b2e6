"""Time that a test moves: everybody's clock goes forward when somebody waits, and nobody really does."""

from __future__ import annotations

import functools
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client import transport
from airflow_provider_servicenow_dq.client.limits import Limits
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.hooks import desk as hooks_desk

if TYPE_CHECKING:
    import pytest

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox


class SimulatedTime:
    """The time of an instance and of everybody who works with it by a hook; never behind the real one.

    :param sandbox: The instance.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._skipped_s = 0.0
        self._began = self.now()

    @property
    def passed(self) -> timedelta:
        """What has passed since this began."""
        return self.now() - self._began

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped_s)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._skipped_s += seconds
            self._sandbox.configure(clock_offset_s=self._skipped_s)

    def sleep_until(self, passed: timedelta) -> None:
        """Let time pass until so much has passed in all."""
        self.sleep(max((passed - self.passed).total_seconds(), 0.0))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let whatever hooks open from now on live in this time."""
        limits = Limits(self.monotonic)
        made = functools.partial(transport.Transport, sleep=self.sleep, limits=limits)
        monkeypatch.setattr(transport, "Transport", made)
        monkeypatch.setattr(transport, "datetime", SimpleNamespace(now=lambda _: self.now()))
        monkeypatch.setattr(hooks_desk, "Desk", functools.partial(Desk, now=self.now, sleep=self.sleep))
