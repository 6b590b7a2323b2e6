"""Sandboxes in processes of their own: a fork must not copy a running server."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
