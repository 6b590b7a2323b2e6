"""Programs that run beside a script and end with it, whatever they have started themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


class StepFailedError(Exception):
    """A program did not do its work.

    :param message: Which, and how it ended.
    :param log: Where it has written why.
    """

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message, log)
        self.message = message
        self.log = log

    def tail(self, lines: int = 25) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Stack:
    """Programs with a common environment and a folder for their logs; none outlives the ``with`` block.

    :param env: What they get besides this process's own environment.
    :param logs: Folder for ``<name>.log`` of each.
    :param grace_s: How long they may take to end when asked to.
    """

    def __init__(self, env: dict[str, str], logs: Path, grace_s: float = 12) -> None:
        self.logs = logs
        self.grace_s = grace_s
        self._env = os.environ | env
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._known: set[psutil.Process] = set()

    def __enter__(self) -> Self:
        """Make room for the logs, and have SIGTERM end the block like Ctrl-C does."""
        self.logs.mkdir(parents=True, exist_ok=True)
        # SIGINT as well: a shell that starts us in the background has it ignored.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, _interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        # A second Ctrl-C must not leave half of them behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.end()

    def start(self, name: str, *command: str, talk: bool = False) -> subprocess.Popen[str]:
        """Start a program in a session of its own, so that Ctrl-C reaches it through us alone.

        :param talk: Connect its standard input and output to us; the log gets its standard error.
        """
        with self.log(name).open("w") as log:
            pipe = subprocess.PIPE if talk else None
            process = subprocess.Popen(
                command,
                env=self._env,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def run(self, name: str, *command: str) -> None:
        """Run a program to its end.

        :raises StepFailedError: It ended with an error.
        """
        if code := self.start(name, *command).wait():
            message = f"{name} ended with code {code}"
            raise StepFailedError(message, self.log(name))

    def wait_for(self, name: str, url: str, timeout_s: float) -> None:
        """Return when a URL answers.

        :raises StepFailedError: The program has ended, or has not answered in time.
        """
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            self.check()
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 (our own)
                return
            time.sleep(0.2)
        message = f"{name} did not answer at {url} within {timeout_s:.0f} s"
        raise StepFailedError(message, self.log(name))

    def check(self) -> None:
        """Raise StepFailedError if any program ended with an error."""
        for name, process in self._running.items():
            if process.poll():
                message = f"{name} ended with code {process.returncode}"
                raise StepFailedError(message, self.log(name))

    def log(self, name: str) -> Path:
        """Return where a program's output goes."""
        return self.logs / f"{name}.log"

    def end(self) -> None:
        """Ask everything of the stack to end; make it, after a while."""
        give_up = time.monotonic() + self.grace_s
        asked: set[psutil.Process] = set()
        # Looked up again each time: something may be started while the rest ends.
        while ours := self._alive():
            for process in ours:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if time.monotonic() > give_up:
                        process.kill()
                    elif process not in asked:
                        process.terminate()
            asked |= ours
            time.sleep(0.1)

    def _alive(self) -> set[psutil.Process]:
        """Return our programs and all that they have started.

        Airflow's parts put children into process groups of their own and leave them behind when they are
        ended; but the children stay in the session that we made for their program.
        """
        for program in self._running.values():
            program.poll()
        leaders = {program.pid for program in self._running.values()}
        self._known |= {process for process in psutil.process_iter() if _session(process) in leaders}
        for process in list(self._known):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known.update(process.children(recursive=True))
        self._known = {process for process in self._known if _runs(process)}
        return self._known


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port(preferred: int) -> int:
    """Return the preferred port of this machine, or any other if that is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    message = "no free port on 127.0.0.1"
    raise OSError(message)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
