"""SIGKILL at every moment of every story: nothing is lost, nothing doubled, and the order holds.

The moments are found by living each story once (:mod:`points`), not written down here; what the code could
do is read out of the code (:mod:`places`). Each death is followed by the task's retry, in half of the cases
after another process has delivered what waited. Then the instance and the store must be as if nobody had
died.

On SQLite every moment of the main stories is visited, and after some deaths the recovery is killed as well.
Elsewhere (in the other stories, on the other kind of instance, in recoveries, on PostgreSQL) only one is
visited of the moments between which neither side changed: no death there leaves anything else behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import places
import pytest
from crash_story import HARDENED, HONOURING, KEY_FIELD, REFUSED
from sandboxes import running_sandbox

pytestmark = pytest.mark.heavy(minutes=7)

HERE = Path(__file__).parent

#: No death there can leave anything behind.
NOT_DELIVERING = {
    "form.py": "reads what a form offers; what it keeps of that is read again when it is lost",
    "gate.py": "only reads",
    "search.py": "only reads",
    "awaited.py": "only reads",
    "standing.py": "only reads",
    "adopt.py": "rebuilds a lost store by reading; what it has read it does not take again",
    "pulled_journals.py": "only reads; what is new is written down by pulled_rows.py",
    "rehearsal.py": "sends nothing, and its memory is thrown away",
    "rehearsing.py": "the same for findings",
    "people.py": "only reads",
}

#: Where it asks only when more was changed than fits into one page, as other scenes may have done.
SOMETIMES = places.Place("pull.py:_Pull._read_changed", places.ASKS)


#: The instance commits after the client is dead, and is never too busy; one of its rules saves nothing.
OPTIONS = [
    "--service-ms=15",
    "--semaphores=64",
    f"--abort=incident when short_descriptionLIKE{REFUSED}",
    f"--column=incident.{KEY_FIELD}:string:100",
]


@pytest.fixture(scope="module")
def instances():
    with (
        running_sandbox(*OPTIONS) as honouring,
        running_sandbox(*OPTIONS, "--admin-only-sys-fields") as hardened,
    ):
        yield {HONOURING: honouring, HARDENED: hardened}


def visit(**plan):
    """Run the runner; return its verdicts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    done = subprocess.run(
        [sys.executable, HERE / "crash_runner.py", json.dumps(plan)],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    deaths = [each for each in verdicts if each["case"]["deaths"] and each["reached"]]
    stories = Counter((each["case"]["scenario"], each["case"]["instance"]) for each in deaths)
    print(f"{len(deaths)} crash points visited in {len(stories)} scenarios")
    return verdicts


def complaints(verdicts):
    return [
        f"{case['scenario']} ({case['instance']}), killed at "
        + ", then at ".join(f"{death['step']} (time {death['time']})" for death in case["deaths"])
        + (", delivered by another" if case["delivered_by_another"] else "")
        + "".join(f"\n    {line}" for line in verdict["wrong"])
        for verdict in verdicts
        for case in [verdict["case"]]
        if verdict["wrong"]
    ]


@pytest.mark.timeout(1800)
def test_a_process_may_die_at_every_moment(instances, tmp_path):
    verdicts = visit(instances=instances, directory=str(tmp_path))

    assert not complaints(verdicts), "\n".join(complaints(verdicts))
    visited = {
        places.visited_by(death["step"])
        for verdict in verdicts
        if verdict["reached"]
        for death in verdict["case"]["deaths"]
    }
    known = {
        place for place in places.in_the_code() if place.function.partition(":")[0] not in NOT_DELIVERING
    }
    assert known - visited == set(), "no story dies there: tell one in a crash_stories_*.py"
    assert visited - places.in_the_code() - {SOMETIMES} == set(), (
        "places.py does not see that the code does this"
    )


@pytest.mark.timeout(1800)
def test_a_process_may_die_at_every_moment_of_the_main_stories_with_a_shared_store(
    instances, tmp_path, postgres
):
    url = postgres._url.render_as_string(hide_password=False)

    verdicts = visit(instances=instances, directory=str(tmp_path), postgres=url, every=False)

    assert not complaints(verdicts), "\n".join(complaints(verdicts))


def test_whatever_is_said_not_to_deliver_is_there():
    rooms = {place.function.partition(":")[0] for place in places.in_the_code()}
    assert NOT_DELIVERING.keys() <= rooms, "nothing of it asks or writes: it need not be named"
