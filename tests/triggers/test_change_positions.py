"""Where a watcher of changes is, and where another goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from triggering import Memory, heard, run, solve, until

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.triggers import changes


def test_a_new_triggerer_goes_on_where_the_last_one_was(sandbox, raised):
    one, two, three = raised(3)
    memory = Memory()

    async def work():
        async with heard(sandbox, memory=memory) as first:
            solve(sandbox, one, state="2")
            await until(lambda: first.payloads)
            kept = dict(memory.kept)
            await until(lambda: memory.kept != kept)
        solve(sandbox, two, state="2")
        async with heard(sandbox, memory=memory) as second:
            await until(lambda: second.payloads)
            solve(sandbox, three, state="2")
            await until(lambda: len(second.payloads) > 1)
        return first.told(), second.told()

    first, second = run(work())
    assert first == [(one["number"], "2")]
    assert second == [(two["number"], "2"), (three["number"], "2")]


def test_without_a_memory_it_begins_with_what_happens_from_then_on(sandbox, raised):
    one, two = raised(2)
    solve(sandbox, one, state="2")

    async def work():
        async with heard(sandbox) as listener:
            solve(sandbox, two, state="2")
            await until(lambda: listener.payloads)
            return listener.told()

    assert run(work()) == [(two["number"], "2")]


def test_two_watchers_of_one_asset_remember_each_its_own(sandbox):
    memory = Memory()

    async def work():
        async with heard(sandbox, {"priority": "1"}, memory), heard(sandbox, {"priority": "2"}, memory):
            await until(lambda: len(memory.kept) == 2)

    run(work())
    assert len(memory.kept) == 2


def test_a_memory_that_fails_keeps_no_change_from_being_told(sandbox, raised, logged):
    (record,) = raised()

    class Broken(Memory):
        async def aget(self, key, default=None):
            raise ValueError("this trigger has 2 assets")

        aset = aget

    async def work():
        async with heard(sandbox, memory=Broken()) as listener:
            solve(sandbox, record, state="2")
            await until(lambda: listener.payloads)
            return listener.told()

    assert run(work()) == [(record["number"], "2")]
    assert "this trigger has 2 assets" in logged()


@pytest.mark.parametrize("kept", [None, {}, {"read_at": "yesterday", "seen": []}, {"read_at": 7}, [], "x"])
def test_what_is_no_position_is_none(kept):
    assert changes.Position.from_json(kept) is None


def test_a_position_is_of_bounded_size_and_keeps_the_newest():
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    seen = {
        f"{number:032x}": (f"{now + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}", "1")
        for number in range(2000)
    }
    kept = json.loads(json.dumps(changes.Position(now, seen).as_json()))

    again = changes.Position.from_json(kept)
    assert again is not None
    assert again.read_at == now
    assert len(again.seen) == 500
    assert f"{1999:032x}" in again.seen
    assert len(json.dumps(kept)) < 64_000


def test_what_was_seen_long_ago_is_forgotten(sandbox, raised, table_api):
    sandbox.configure(clock_offset_s=-3600)
    raised(30)
    position = changes.begin(table_api, "incident", Query())
    sandbox.configure(clock_offset_s=0)
    with Transport(table_api.transport.config) as an_hour_later:
        changed, moved = changes.read(TableApi(an_hour_later), "incident", Query(), position)

    assert len(position.seen) == 30
    assert (changed, moved.seen) == ([], {})
