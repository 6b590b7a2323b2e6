"""Sandboxes in processes of their own: a fork must not copy a running server."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def running_sandbox(*options: str) -> Iterator[str]:
    """Run ``servicenow-dq sandbox`` for the length of the block; give its address."""
    start = "import sys; from airflow_provider_servicenow_dq.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-u", "-c", start, "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield re.search(r"http://\S+", process.stdout.readline()).group()  # type: ignore[union-attr]  # it prints one
        finally:
            process.terminate()


@contextlib.contextmanager
def forked_sandbox(lag: Path) -> Iterator[str]:
    """Run an instance in a process of its own, which has time to answer whatever happens here.

    :param lag: Where it writes down by how many seconds it was later than it meant to be, at most.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        with Sandbox(port=0) as running:
            os.write(writing, running.url.encode())
            os.close(writing)
            _watch_the_clock(lag, parent)
        os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield pipe.read()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _watch_the_clock(lag: Path, parent: int) -> None:
    longest = 0.0
    while os.getppid() == parent:
        due = time.monotonic() + 0.05
        time.sleep(0.05)
        late = time.monotonic() - due
        if late > longest:
            longest = late
            new = lag.with_suffix(".new")
            new.write_text(str(longest))
            new.replace(lag)  # whoever reads it finds the old or the new one, never half
