"""What was read is what is there: every row that was there all the time comes once, whatever others do."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import NOON, InProcess, filled, written

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

HIDDEN = ("incident when category=secret",)


class World:
    """An instance on which others work between two pages, and who remembers what was there all the time."""

    def __init__(self, chance, rows):
        self.chance = chance
        self.time = NOON
        self.talk = InProcess(between=self.work, hidden=HIDDEN)
        self.steady, self.ids = set(), []
        for _ in range(rows):
            self.insert(seconds_ago=chance.randrange(4))
        self.steady = {sys_id for sys_id in self.ids if self.matches(sys_id)}
        self.rate = chance.choice([0, 1, 1, 3, 8])

    def row(self, sys_id):
        return self.talk.instance.records.get("incident", sys_id)

    def matches(self, sys_id):
        row = self.row(sys_id)
        return row is not None and row["active"] == "true" and row["category"] != "secret"

    def work(self):
        if len(self.talk.asked) > 60:
            return  # rows that come faster than they are read have no end
        for _ in range(self.rate):
            self.time += timedelta(seconds=1)
            self.chance.choice([self.insert, self.delete, self.update, self.update])()

    def insert(self, seconds_ago=0):
        # Few different beginnings, so that hidden rows come in runs.
        sys_id = f"{self.chance.choice('07af')}{self.chance.getrandbits(124):031x}"
        category = "secret" if sys_id[0] in "7a" else self.chance.choice(["inquiry", "secret"])
        stamp = written(self.time - timedelta(seconds=seconds_ago))
        self.talk.put(
            sys_id,
            category=category,
            active=self.chance.choice(["true", "true", "false"]),
            priority=self.chance.choice("123"),
            sys_updated_on=stamp,
        )
        self.ids.append(sys_id)

    def delete(self):
        if self.ids:
            sys_id = self.ids.pop(self.chance.randrange(len(self.ids)))
            self.talk.remove(sys_id)
            self.steady.discard(sys_id)

    def update(self):
        if not self.ids:
            return
        sys_id = self.chance.choice(self.ids)
        change = self.chance.choice(
            [
                {"priority": "1"},
                {"priority": "3"},
                {"active": "false"},
                {"active": "true"},
                {"category": "secret"},
                {"category": "inquiry"},
            ]
        )
        self.talk.put(sys_id, **change, sys_updated_on=written(self.time))
        if not self.matches(sys_id):
            self.steady.discard(sys_id)


worlds = st.builds(World, st.integers(0, 2**32).map(random.Random), st.integers(0, 40))  # noqa: S311  # no secret


@settings(max_examples=60)
@given(worlds, st.integers(1, 9), st.sampled_from([Query(), Query().order_by("priority")]))
def test_every_row_that_was_there_all_the_time_is_read_once_and_none_twice(world, page_size, order):
    query = Query.equals({"active": True}).also(order)
    found = [
        row["sys_id"]
        for row in TableApi(world.talk).find("incident", query, fields=["sys_id"], page_size=page_size)
    ]

    assert world.steady <= set(found)
    assert [sys_id for sys_id, times in Counter(found).items() if times > 1] == []


@settings(max_examples=60)
@given(worlds, st.integers(1, 9), st.booleans())
def test_by_update_each_row_of_a_past_time_is_read_once_and_without_an_end_each_version(
    world, page_size, has_end
):
    since, end = NOON - timedelta(seconds=2), NOON if has_end else None

    def left_alone():
        stamps = {(world.row(sys_id)["sys_updated_on"], sys_id) for sys_id in world.steady}
        return {key for key in stamps if written(since) <= key[0] <= written(NOON)}

    before = left_alone()
    found = TableApi(world.talk).find_updated(
        "incident", {"active": True}, since=since, until=end, fields=["number"], page_size=page_size
    )
    keys = [(row["sys_updated_on"], row["sys_id"]) for row in found]

    assert before & left_alone() <= set(keys)
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("page_size", [100, 499, 500, 501])
def test_five_hundred_rows_of_one_second_come_once_each_in_few_requests(page_size):
    talk, ids = filled(500)
    for offset, sys_id in ((-1, "a" * 32), (1, "b" * 32)):
        talk.put(sys_id, sys_updated_on=written(NOON + timedelta(seconds=offset)))

    found = TableApi(talk).find_updated(
        "incident", {}, since=NOON - timedelta(days=1), until=NOON + timedelta(days=1), page_size=page_size
    )

    assert [row["sys_id"] for row in found] == ["a" * 32, *ids, "b" * 32]
    assert len(talk.asked) <= 500 // page_size + 5


def test_a_page_that_says_all_costs_one_request():
    talk, ids = filled(20)

    assert len(list(TableApi(talk).find_updated("incident", {}, since=NOON, until=NOON))) == len(ids)
    assert len(talk.asked) == 1
    assert talk.asked[0]["sysparm_query"] == (
        "sys_updated_on>=2026-01-05 12:00:00^sys_updated_on<=2026-01-05 12:00:00"
        "^ORDERBYsys_updated_on^ORDERBYsys_id"
    )


@pytest.mark.parametrize("by_update", [False, True])
def test_behind_a_thousand_rows_that_are_hidden_the_others_are_found_in_few_requests(by_update):
    talk, ids = filled(1000, hidden=HIDDEN)
    for sys_id in ids[1:-1]:
        talk.put(sys_id, category="secret")
    api = TableApi(talk)

    found = (
        api.find_updated("incident", {}, since=NOON, page_size=50)
        if by_update
        else api.find("incident", {}, page_size=50)
    )

    assert [row["sys_id"] for row in found] == [ids[0], ids[-1]]
    assert len(talk.asked) < 60


def test_hidden_rows_that_lie_close_together_are_passed_too():
    talk, _ = filled(0, hidden=HIDDEN)
    for number in range(2**70, 2**70 + 100):
        talk.put(f"{number:032x}", category="secret")
    talk.put("f" * 32)

    assert [row["sys_id"] for row in TableApi(talk).find("incident", {}, page_size=10)] == ["f" * 32]
    assert len(talk.asked) < 400


def test_hidden_rows_that_vanish_meanwhile_take_no_visible_one_with_them():
    """By offset, the visible rows behind them would move up, before the next page."""
    talk, ids = filled(30, hidden=HIDDEN)
    for sys_id in ids[:20]:
        talk.put(sys_id, category="secret")
    talk.between = lambda: [talk.remove(ids.pop(0)) for _ in range(10) if len(talk.asked) == 1]

    assert [row["sys_id"] for row in TableApi(talk).find("incident", {}, page_size=10)] == ids[10:]


def test_a_limit_behind_hidden_rows_is_reached_with_pages_of_the_usual_size():
    talk, ids = filled(1000, hidden=HIDDEN)
    for sys_id in ids[:-1]:
        talk.put(sys_id, category="secret")

    (row,) = TableApi(talk).find("incident", {}, limit=1, page_size=500)

    assert row["sys_id"] == ids[-1]
    assert len(talk.asked) < 10


def test_a_sys_id_of_another_kind_is_read_like_any_other_but_nothing_hidden_behind_it():
    talk, _ = filled(3, hidden=HIDDEN)
    talk.put("global")
    assert [row["sys_id"] for row in TableApi(talk).find("incident", {}, page_size=2)][-1] == "global"

    for name in "hijk":
        talk.put(name, category="secret")
    with pytest.raises(IncompleteReadError, match="global"):
        list(TableApi(talk).find("incident", {}, page_size=2))


def test_a_row_moved_past_the_pages_of_an_own_order_comes_last():
    talk, ids = filled(9)
    for sys_id in ids:
        talk.put(sys_id, priority="2")
    talk.between = lambda: talk.put(ids[-1], priority="1") if len(talk.asked) == 1 else None

    found = [
        row["sys_id"] for row in TableApi(talk).find("incident", Query().order_by("priority"), page_size=3)
    ]

    assert found[-1] == ids[-1]
    assert sorted(found) == ids


def test_an_own_order_has_an_end_to_what_it_keeps_in_mind(monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.paging_by_offset._MOST_IN_MIND", 8)
    talk, _ = filled(9)
    rows = TableApi(talk).find("incident", Query().order_by("priority"), page_size=3)
    with pytest.raises(IncompleteReadError, match="leave the order out"):
        list(rows)
    assert len(list(TableApi(talk).find("incident", Query().order_by("priority"), page_size=3, limit=8))) == 8
