"""What each run of a task is told: nothing that a successful run was told, and everything else."""

from __future__ import annotations

import contextlib

import pytest
from pulls import by_hand, take, told
from reporting import anomaly, incidents, report

from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import changes
from airflow_provider_servicenow_dq.store.changes import Change


class Airflow:
    """Knows which runs have succeeded."""

    def __init__(self):
        self.states = {}

    def __call__(self, runs):
        return {run: self.states[run] == "success" for run in runs if run in self.states}


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def add(desk):
    """Write changes down as a pull does."""

    def add(*names, field="state", **content):
        rows = [Change("incident", "a" * 32, "k" * 32, field, {"name": name, **content}) for name in names]
        with desk.store.begin() as connection:
            changes.add(connection, desk.host, rows, now=desk.now())

    return add


def run(desk, name, airflow, ends="success", **options):
    """Let a task take changes in a run; return them as the XCom holds them."""
    taken = take(desk, name, succeeded=airflow, **options)
    names = [change["name"] for change in taking.read(desk, taken)]
    if ends != "died":
        taking.returned(desk, taken)
    airflow.states[name] = {"died": "failed"}.get(ends, ends)
    return names


def test_a_run_is_told_what_came_since_the_last_successful_one(desk, airflow, add):
    add("a", "b")
    assert run(desk, "one", airflow) == ["a", "b"]
    add("c")

    assert run(desk, "two", airflow) == ["c"]
    assert run(desk, "three", airflow) == []


def test_a_retry_is_told_the_same(desk, airflow, add):
    add("a")
    assert run(desk, "one", airflow, ends="up_for_retry") == ["a"]
    add("b")

    assert run(desk, "one", airflow) == ["a"]
    assert run(desk, "two", airflow) == ["b"]


@pytest.mark.parametrize("ends", ["died", "failed", "running", "up_for_retry", "skipped"])
def test_what_a_run_took_that_did_not_succeed_comes_again(desk, airflow, add, ends):
    add("a")
    assert run(desk, "one", airflow) == ["a"]
    add("b")
    assert run(desk, "two", airflow, ends=ends) == ["b"]
    add("c")

    assert run(desk, "three", airflow) == ["b", "c"]


def test_runs_that_overlap_miss_nothing(desk, airflow, add):
    add("a")
    first = take(desk, "one", succeeded=airflow)
    airflow.states["one"] = "running"
    add("b")
    assert run(desk, "two", airflow) == ["a", "b"]
    airflow.states["one"] = "failed"
    add("c")

    assert run(desk, "three", airflow) == ["c"]
    assert [change["name"] for change in taking.read(desk, first)] == ["a"]


def test_tasks_are_told_apart(desk, airflow, add):
    add("a")

    assert run(desk, "one", airflow, task="dag/one") == ["a"]
    assert run(desk, "one", airflow, task="dag/two") == ["a"]


def test_where_airflow_cannot_be_asked_what_was_returned_counts(desk, airflow, add):
    add("a")
    silent = dict.fromkeys(("one", "two"))
    assert run(desk, "one", airflow, ends="died") == ["a"]
    airflow.states.clear()
    assert run(desk, "two", airflow) == ["a"]
    airflow.states.clear()
    add("b")

    assert run(desk, "three", airflow) == ["b"]
    assert silent


def test_outside_of_a_dag_what_was_returned_counts(desk, airflow, add):
    add("a")
    assert run(desk, "", airflow, ends="died") == ["a"]
    assert run(desk, "", airflow) == ["a"]
    add("b")

    assert run(desk, "", airflow) == ["b"]


def test_more_than_an_xcom_holds_comes_with_the_next_run(desk, airflow, add):
    add(*range(2100))

    parts = []
    for name in ("one", "two", "three", "four"):
        taken = take(desk, name, succeeded=airflow)
        parts.append((len(list(taking.read(desk, taken))), taken.truncated))
        taking.returned(desk, taken)
        airflow.states[name] = "success"

    assert parts == [(1000, True), (1000, True), (100, False), (0, False)]


def test_exactly_as_many_as_an_xcom_holds_are_all(desk, airflow, add):
    add(*range(1000))

    taken = take(desk, "one", succeeded=airflow)

    assert (len(list(taking.read(desk, taken))), taken.truncated) == (1000, False)


def test_long_texts_fill_an_xcom_earlier(desk, airflow, add):
    add(*range(250), field="work_notes", new="x" * 10_000)

    taken = take(desk, "one", succeeded=airflow)

    assert 50 < len(list(taking.read(desk, taken))) < 100
    assert taken.truncated
    assert not take(desk, "two", succeeded=airflow, include_notes=False).truncated


def test_one_run_can_take_all_of_them(desk, airflow, add):
    add(*range(2100))

    assert len(run(desk, "one", airflow, all_of_them=True)) == 2100


def test_while_changes_are_written_somewhere_no_transaction_is_open(desk, add, monkeypatch):
    add(*range(1200))
    taken = take(desk, all_of_them=True)
    snapshot, open_now = type(desk.store).snapshot, []

    @contextlib.contextmanager
    def counted(store):
        with snapshot(store) as connection:
            open_now.append(store)
            yield connection
            open_now.pop()

    monkeypatch.setattr(type(desk.store), "snapshot", counted)
    names = []
    for change in taking.read(desk, taken):
        assert open_now == []
        names.append(change["name"])

    assert names == list(range(1200))


def test_a_task_without_notes_is_told_the_columns_only(desk, airflow, add):
    add("a")
    add("b", field="comments")

    assert run(desk, "one", airflow, include_notes=False) == ["a"]


def test_a_task_that_died_after_the_watermark_had_moved_misses_nothing(desk, sandbox, airflow):
    report(desk, anomaly())
    told(desk)
    by_hand(sandbox, incidents(sandbox)[0], state="2")

    pull(desk, Project())  # and the process is gone
    pull(desk, Project())
    taken = take(desk, "one", succeeded=airflow)

    assert [change["new"] for change in taking.read(desk, taken)] == ["2"]
