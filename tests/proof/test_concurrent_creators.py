"""Twenty processes report one problem at once, with the overlap that does most harm enforced.

Why neither two stay open nor none. Every creator looks again after its own create, and orders what it sees by
(``sys_created_on``, ``sys_id``), which never change. Let F be the first of all in that order. Whoever sees F
puts it first, and whoever does not see F has nothing to do with it: nobody cancels F. Whoever looks last sees
all of them, since every create was committed before its creator looked, and cancels all but F that are still
untouched. What a person has touched stays, and is reported.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time

import pytest
import requests
from sandboxes import running_sandbox
from scenes import Scene

from airflow_provider_servicenow_dq.store.store import Store

pytestmark = pytest.mark.heavy

PROCESSES = 20
#: Looks by correlation id come last: at the start before the decision, after a create before the cancelling.
LOOKS = r"table/incident\?.*correlation_idIN"
#: A create of ours, or the test's own, which lets the others go on.
CREATES = r"table/(incident|problem)"
NEW, CANCELED = "1", "8"


@pytest.fixture
def hardened():
    with running_sandbox("--admin-only-sys-fields", "--semaphores=64") as url:
        yield url


@pytest.fixture
def honouring():
    with running_sandbox("--semaphores=64") as url:
        yield url


def scene_at(url, store_urls):
    return Scene("creators", url, lambda name: Store(store_urls[name]), timeout_s=30)


class Creators:
    """Processes that report the same problem, each into a store.

    :param stores: URL of each one's store.
    """

    def __init__(self, url, stores, directory):
        self.scene = scene_at(url, dict(enumerate(stores)))
        self._directory = directory
        fork = multiprocessing.get_context("fork")
        self._processes = [fork.Process(target=self._report, args=(number,)) for number in range(len(stores))]
        for process in self._processes:
            process.start()

    def _report(self, number):
        came = self.scene.report(self.scene.anomaly(), store=number, task=f"task {number}")
        told = {"results": came.results, "failures": came.failures}
        (self._directory / f"told-{number}.json").write_text(json.dumps(told))

    def told(self):
        """Wait for their end; return the result of each."""
        for process in self._processes:
            process.join(timeout=120)
        told = [json.loads(path.read_text()) for path in self._directory.glob("told-*.json")]
        assert len(told) == len(self._processes)
        assert [each["failures"] for each in told if each["failures"]] == []
        return [each["results"][0] for each in told]


def creates(scene):
    return [logged for logged in scene.control.requests if logged.method == "POST"]


@pytest.mark.parametrize("instance", ["honouring", "hardened"])
def test_with_a_shared_store_twenty_creators_make_one_incident(request, instance, store_url, tmp_path):
    url = request.getfixturevalue(instance)
    scene = scene_at(url, {})
    scene.control.barrier(PROCESSES, method="GET", path=LOOKS, timeout_s=60)

    told = Creators(url, [store_url("store")] * PROCESSES, tmp_path).told()

    (incident,) = scene.incidents()
    assert len(creates(scene)) == 1
    assert {each["ticket"]["ticket_number"] for each in told} == {incident["number"]}
    assert sorted(each["action"] for each in told) == ["created"] + ["unchanged"] * (PROCESSES - 1)
    assert scene.notes(incident) == []


@pytest.mark.parametrize("looks_together", [True, False], ids=["looking at once", "looking as they come"])
def test_on_a_hardened_instance_one_of_twenty_tickets_stays_and_the_others_name_it(
    hardened, tmp_path, looks_together
):
    scene = scene_at(hardened, {})
    scene.control.barrier(PROCESSES, method="GET", path=LOOKS, timeout_s=60)
    scene.control.barrier(PROCESSES, method="POST", path=CREATES, timeout_s=60)
    if looks_together:
        scene.control.barrier(PROCESSES, method="GET", path=LOOKS, timeout_s=60)
    stores = [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(PROCESSES)]

    told = Creators(hardened, stores, tmp_path).told()

    made = sorted(scene.incidents(), key=lambda each: (each["sys_created_on"], each["sys_id"]))
    first, *others = made
    assert len(made) == PROCESSES
    assert [each["state"] for each in made] == [NEW] + [CANCELED] * (PROCESSES - 1)
    for other in others:
        (note,) = scene.notes(other)
        assert first["number"] in note
    assert scene.notes(first) == []
    posted = creates(scene)
    assert min(each.finished for each in posted) >= max(each.started for each in posted)
    assert {each["ticket"]["ticket_number"] for each in told} == {first["number"]}


def test_a_ticket_that_a_person_touched_before_the_twins_were_seen_is_left_and_reported(hardened, tmp_path):
    scene = scene_at(hardened, {})
    scene.control.barrier(3, method="GET", path=LOOKS, timeout_s=60)
    scene.control.barrier(4, method="POST", path=CREATES, timeout_s=60)
    creators = Creators(hardened, [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(3)], tmp_path)
    while len(scene.incidents()) < 3:  # the test's own timeout ends it
        time.sleep(0.05)
    first, second, third = sorted(
        scene.incidents(), key=lambda each: (each["sys_created_on"], each["sys_id"])
    )
    scene.control.act_as("beth.anglin", "incident", second["sys_id"], {"work_notes": "mine"})
    # The fourth that the barrier waits for.
    problem = f"{hardened}/api/now/table/problem"
    requests.post(problem, json={}, auth=("admin", "admin"), timeout=60)

    told = creators.told()

    states = {each["sys_id"]: each["state"] for each in scene.incidents()}
    assert [states[each["sys_id"]] for each in (first, second, third)] == [NEW, NEW, CANCELED]
    assert scene.notes(second) == ["mine"]
    assert any(second["number"] in warning for each in told for warning in each["warnings"])


def test_who_looks_before_the_other_creates_keeps_its_ticket_and_the_other_goes(hardened, tmp_path):
    """Both decide to create; one has long looked for twins when the other one's create arrives."""
    scene = scene_at(hardened, {name: f"sqlite:///{tmp_path / name}.db" for name in ("early", "late")})
    scene.control.barrier(2, method="GET", path=LOOKS, timeout_s=60)
    scene.control.fail_next("delay", method="POST", body="late", seconds=3, when="before")
    told = {}

    def report(name):
        told[name] = scene.report(scene.anomaly(observed=name), store=name, task=name).results[0]

    threads = [threading.Thread(target=report, args=(name,)) for name in ("early", "late")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    first, second = scene.incidents()
    assert (first["state"], second["state"]) == (NEW, CANCELED)
    assert first["number"] in scene.notes(second)[0]
    assert {each["ticket"]["ticket_number"] for each in told.values()} == {first["number"]}
