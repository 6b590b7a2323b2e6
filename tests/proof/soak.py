"""Plays many random histories at once and says what came of them: ``make soak``.

``make soak SEED=7 STORE=sqlite`` plays one again. One that was cut down by hand is played by
``PYTHONPATH=tests python tests/proof/playing.py '<history as JSON>'``. This is a program of its own, with one
thread, so that it may fork.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import databases
import histories
import ledger
import playing

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Much of a history is waiting for leases and doubts to end.
_AT_ONCE: Final = 8
_LONGEST_S: Final = 120
#: A history that a slow machine has spoilt is played again.
_MOST_TIMES: Final = 4


@dataclasses.dataclass
class Slot:
    """Where one history at a time is played."""

    kind: str
    urls: list[str]
    told: Path


class Stage:
    """Plays histories at once, each in a process of its own.

    :param slots: As many at once.
    """

    def __init__(self, slots: list[Slot]) -> None:
        self._free = slots
        self._busy: dict[int, tuple[Slot, int]] = {}

    def play(self, seeds: Iterator[int]) -> Iterator[dict[str, Any]]:
        """Yield a verdict for each seed, and the kind of its store."""
        for seed in seeds:
            while not self._free:
                yield self._next()
            slot = self._free.pop(0)
            self._busy[self._begin(slot, seed)] = (slot, seed)
        while self._busy:
            yield self._next()

    def end(self) -> None:
        """Kill what still plays."""
        for child in self._busy:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)

    def _begin(self, slot: Slot, seed: int) -> int:
        child = os.fork()
        if child:
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpgid(child, child)
            return child
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        signal.alarm(_LONGEST_S)  # nobody waits for ever
        gc.disable()  # it would write on every page that is shared
        verdict: dict[str, Any] = {"wrong": ["it did not end"], "figures": {}, "stalled": False}
        try:
            verdict = _played(seed, slot.urls)
        except BaseException:
            verdict["wrong"] = [traceback.format_exc()]
        slot.told.write_text(json.dumps(verdict))
        os._exit(0)

    def _next(self) -> dict[str, Any]:
        child, status = os.wait()
        slot, seed = self._busy.pop(child)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # whatever a history that broke has left behind
        self._free.append(slot)
        ended = {"wrong": [f"it ended with status {status}"], "figures": {}, "stalled": False}
        verdict = json.loads(slot.told.read_text()) if slot.told.exists() else ended
        slot.told.unlink(missing_ok=True)
        return {**verdict, "seed": seed, "store": slot.kind}


def _played(seed: int, urls: list[str]) -> dict[str, Any]:
    history = histories.make(seed)
    for _ in range(_MOST_TIMES):
        verdict = playing.play(history, urls)
        if not (verdict.wrong and verdict.stalled):
            break
    return dataclasses.asdict(verdict)


@contextlib.contextmanager
def stage(kinds: list[str], directory: Path, postgres: str | None = None) -> Iterator[Stage]:
    """Make room for histories on stores of these kinds.

    :param postgres: URL of a server that runs already.
    """
    ledger.keep()
    logging.disable(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        stack.enter_context(databases.compiling_once())
        server = None
        if "postgresql" in kinds:
            server = (
                databases.Postgres(databases.sa.make_url(postgres))
                if postgres
                else stack.enter_context(databases.start_postgres())
            )
        slots = []
        for number, kind in zip(range(_AT_ONCE), cycle(kinds), strict=False):
            urls = [
                server.new_store() if kind == "postgresql" and server else f"sqlite:///{directory}/{number}-{name}.db"
                for name in ("one", "two")
            ]  # fmt: skip
            slots.append(Slot(kind, urls, directory / f"{number}.json"))
        for slot in slots[: len(kinds)]:
            playing.rehearse(slot.urls[0], directory)
        gc.freeze()  # what is loaded by now stays shared with every fork
        playing_now = Stage(slots)
        try:
            yield playing_now
        finally:
            playing_now.end()


def until(first: int, count: int | None, minutes: float | None) -> Iterator[int]:
    """Yield seeds until there were enough of them, or the time is over."""
    ends_at = time.monotonic() + 60 * minutes if minutes else None
    seed = first
    while (count is None or seed < first + count) and (ends_at is None or time.monotonic() < ends_at):
        yield seed
        seed += 1


def summary(verdicts: list[dict[str, Any]], seconds: float) -> str:
    """Return the figures of a run."""
    figures: Counter[str] = Counter()
    for verdict in verdicts:
        figures.update(verdict["figures"])
    words = [line.partition(":")[0] for verdict in verdicts for line in verdict["wrong"]]
    stores = Counter(verdict["store"] for verdict in verdicts)
    counted = ", ".join(f"{number:,} {name}" for name, number in figures.items())
    kept = ", ".join(f"{number} on {kind}" for kind, number in sorted(stores.items()))
    return (
        f"{len(verdicts):,} histories ({kept}) in {seconds:.0f} s: {counted}; "
        f"lost {words.count('lost')}, doubled {words.count('doubled')}, "
        f"otherwise wrong {len(words) - words.count('lost') - words.count('doubled')}"
    )


def described(verdict: dict[str, Any]) -> str:
    """Return what is wrong with a history, and how to play it again."""
    history = {**verdict["history"], "actions": None} if "history" in verdict else {}
    actions = [json.dumps(action) for action in verdict.get("history", {}).get("actions", [])]
    return "\n".join(
        [
            f"wrong: make soak SEED={verdict['seed']} STORE={verdict['store']}",
            *(["  (the machine was too slow for its promise, each time)"] if verdict["stalled"] else []),
            *(f"  {line}" for line in verdict["wrong"]),
            f"  {json.dumps(history)}",
            *(f"    {action}" for action in actions),
        ]
    )


def main() -> None:
    """Play histories; exit with 1 if any of them ended wrong."""
    parser = argparse.ArgumentParser(description="Play random histories and judge them.")
    parser.add_argument("--seed", type=int, help="Of the one history to play; else of the first.")
    parser.add_argument("--count", type=int, help="How many (one with --seed, else 2000).")
    parser.add_argument("--minutes", type=float, help="For how long instead.")
    parser.add_argument("--store", choices=databases.KINDS, help="Where to keep the store; both by default.")
    parser.add_argument("--postgres", help="URL of a server that runs already.")
    parser.add_argument("--json", action="store_true", help="Print a verdict a line.")
    chosen = parser.parse_args()
    count = chosen.count or (None if chosen.minutes else 1 if chosen.seed is not None else 2000)
    # Another soak plays other histories, unless it is told which.
    first = chosen.seed if chosen.seed is not None else int(time.time())
    started = time.monotonic()
    verdicts: list[dict[str, Any]] = []
    kinds = [chosen.store] if chosen.store else list(databases.KINDS)
    with (
        tempfile.TemporaryDirectory() as directory,
        stage(kinds, Path(directory), chosen.postgres) as playing_now,
    ):
        for verdict in playing_now.play(until(first, count, chosen.minutes)):
            verdicts.append(verdict)
            if chosen.json:
                print(json.dumps(verdict), flush=True)
            elif verdict["wrong"]:
                print(described(verdict), flush=True)
            elif len(verdicts) % 100 == 0:
                print(summary(verdicts, time.monotonic() - started), flush=True)
    if not chosen.json:
        print(summary(verdicts, time.monotonic() - started))
    sys.exit(any(verdict["wrong"] for verdict in verdicts))


if __name__ == "__main__":
    main()
