"""Every moment at which a process that works at the desk may die.

A moment is named by the place in ``desk/`` or ``findings/`` that was at work and by what it was doing there,
for example ``send.py:create: POST incident, answered``:

* a transaction that wrote: *before commit* and *after commit*; one that only read, or could do no more:
  *after reading*;
* a request that writes: *before sending*; *sent*, so that the instance executes it after our death;
  *answered*, when the instance has committed and nothing was read of it; *after*, when its answer (or that
  there is none) is known;
* a request that reads changes nothing on either side: *before sending* and *after*.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import sqlalchemy as sa
import urllib3.connection

import airflow_provider_servicenow_dq
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection

_PACKAGE: Final = Path(airflow_provider_servicenow_dq.__file__).parent
#: Where the work is done.
ROOMS: Final = (_PACKAGE / "desk", _PACKAGE / "findings")
_IN_ROOMS: Final = tuple(f"{room}{os.sep}" for room in ROOMS)

#: These open the transactions of others: their callers are the places.
LENDS: Final = {f"claimed.py:Lease.{name}" for name in ("transaction", "deciding", "settling")}

#: No answer comes after so many seconds: let the client's own timeout speak.
_NO_ANSWER_S: Final = 60


_others: Final = threading.local()


@contextlib.contextmanager
def watched(on_step: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_step`` with its name at every moment of this process, from whichever thread it comes."""

    def on_own_step(step: str) -> None:
        if not getattr(_others, "at_work", False):
            on_step(step)

    with (
        patch.object(Store, "begin", _opened(Store.begin, on_own_step)),
        patch.object(Store, "snapshot", _opened(Store.snapshot, on_own_step)),
        patch.object(Transport, "request", _request(on_own_step)),
        patch.object(urllib3.connection.HTTPConnection, "request", _send(on_own_step)),
        patch.object(http.client.HTTPConnection, "getresponse", _await_answer(on_own_step)),
    ):
        yield


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Let what happens in the block be somebody else's: on this thread no moment of it is ours."""
    _others.at_work = True
    try:
        yield
    finally:
        _others.at_work = False


def kill_at(number: int) -> Callable[[str], None]:
    """Return an ``on_step`` that kills this process at its n-th moment; the first is 1."""
    left = [number]

    def on_step(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            die()

    return on_step


def die() -> None:
    """End this process as the kernel's out-of-memory killer would: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def place_of(step: str) -> str:
    """Return the place of a moment, such as ``send.py:create``."""
    return step.partition(": ")[0]


def here() -> str:
    """Return the place that is at work: the innermost function of the desk on this thread's stack."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        # By its letters: a path for each frame of each moment takes a tenth of a story's time.
        if code.co_filename.startswith(_IN_ROOMS):
            name = f"{Path(code.co_filename).name}:{code.co_qualname.partition('.<locals>')[0]}"
            if name not in LENDS:
                return name
        frame = frame.f_back
    return "outside the desk"


def _opened(
    open_: Callable[[Store], AbstractContextManager[Connection]], on_step: Callable[[str], None]
) -> Callable[..., Any]:
    @contextlib.contextmanager
    def watched_transaction(store: Store) -> Iterator[Connection]:
        place, wrote = here(), False

        def note_writes(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            nonlocal wrote
            wrote = wrote or not statement.lstrip().upper().startswith(("SELECT", "BEGIN"))

        with open_(store) as connection:
            sa.event.listen(connection, "before_cursor_execute", note_writes)
            yield connection
            if wrote:
                on_step(f"{place}: before commit")
        on_step(f"{place}: after {'commit' if wrote else 'reading'}")

    return watched_transaction


def _send(on_step: Callable[[str], None]) -> Callable[..., Any]:
    send = urllib3.connection.HTTPConnection.request

    def watched_send(connection: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        step = f"{here()}: {method} {_resource(url)}"
        connection.proof_step = step if method != "GET" else ""
        on_step(f"{step}, before sending")
        send(connection, method, url, *args, **kwargs)
        if method != "GET":
            on_step(f"{step}, sent")

    return watched_send


def _await_answer(on_step: Callable[[str], None]) -> Callable[..., Any]:
    getresponse = http.client.HTTPConnection.getresponse

    def watched_getresponse(connection: Any) -> http.client.HTTPResponse:
        if step := getattr(connection, "proof_step", ""):
            patience = connection.sock.gettimeout() or _NO_ANSWER_S
            if select.select([connection.sock], [], [], patience)[0]:
                on_step(f"{step}, answered")
        return getresponse(connection)

    return watched_getresponse


def _request(on_step: Callable[[str], None]) -> Callable[..., Any]:
    request = Transport.request

    def watched_request(transport: Transport, method: str, path: str, **options: Any) -> Any:
        step = f"{here()}: {method} {_resource(path)}, after"
        try:
            answer = request(transport, method, path, **options)
        except Exception:
            on_step(step)
            raise
        on_step(step)
        return answer

    return watched_request


def _resource(url: str) -> str:
    """Return what a request is about: the table, for the Table API."""
    parts = url.partition("?")[0].split("/")
    return parts[4] if parts[1:4] == ["api", "now", "table"] else parts[-1]
