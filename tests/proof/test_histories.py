"""Two hundred random histories end as promised, on both kinds of store.

``make soak`` plays more of them, and other ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import histories
import pytest
import soak

pytestmark = pytest.mark.heavy(minutes=3)

HERE = Path(__file__).parent
HISTORIES = 200


def play(url, *options):
    """Run the program; return its verdicts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    done = subprocess.run(
        [sys.executable, HERE / "soak.py", "--json", "--postgres", url, *options],
        env=environment, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(600)
def test_two_hundred_random_histories_end_as_promised(postgres):
    url = postgres._url.render_as_string(hide_password=False)

    verdicts = play(url, "--seed", "1", "--count", str(HISTORIES))

    wrong = [soak.described(verdict) for verdict in verdicts if verdict["wrong"]]
    assert not wrong, "\n".join(wrong)
    assert len(verdicts) == HISTORIES
    assert {verdict["store"] for verdict in verdicts} == {"sqlite", "postgresql"}


def test_the_histories_that_ci_plays_hold_everything_that_can_happen():
    made = [histories.make(seed) for seed in range(1, HISTORIES + 1)]
    actions = [action for history in made for action in history.actions]
    tasks = [task for action in actions for task in action.get("tasks", [action])]

    assert {history.instance for history in made} == {"honouring", "hardened"}
    assert {action["do"] for action in actions} == {
        "task", "two", "fault", "person", "journal_acl", "lose the store",
    }  # fmt: skip
    assert {task["what"] for task in tasks if "what" in task} == {
        "report", "status", "comments", "link", "deliver", "pull",
    }  # fmt: skip
    assert {"killed_at", "paused_at", "person", "store"} <= {name for task in tasks for name in task}
    assert {action["act"] for action in actions if action["do"] == "person"} == set(histories.DEEDS)
    assert {action["kind"] for action in actions if action["do"] == "fault"} == histories.FAULTS


def test_a_seed_makes_the_same_history_again():
    assert histories.make(7) == histories.make(7)
