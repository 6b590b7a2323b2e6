"""A list is read to its end, each row once, or not at all."""

from __future__ import annotations

import json
import logging
import random
import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stub_server import Reply, of, refusal

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.paging import Page, Progress, read_in_sys_id_order
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi


class ListServer:
    """Pages a list as an instance does: the limit comes before access rules, the count ignores them."""

    def __init__(self, visible, total=None):
        self.rows = [
            {"sys_id": f"{index << 122:032x}", "state": str(index % 2), "hidden": not seen}
            for index, seen in enumerate(visible)
        ]
        self.lie = total
        self.pages = 0

    def __call__(self, asked):
        terms = asked.query["sysparm_query"].split("^")
        last = next((term.removeprefix("sys_id>") for term in terms if term.startswith("sys_id>")), "")
        end = next((term.removeprefix("sys_id<=") for term in terms if term.startswith("sys_id<=")), "g")
        named = next((term.removeprefix("sys_idIN") for term in terms if term.startswith("sys_idIN")), None)
        rows = [row for row in self.rows if last < row["sys_id"] <= end]
        rows = [row for row in rows if named is None or row["sys_id"] in named]
        if "/stats/" in asked.path:
            return of({"stats": {"count": str(len(rows))}})
        self.pages += 1
        # Equal rows come in another order each time, as from a database.
        random.Random(self.pages).shuffle(rows)  # noqa: S311  # no secret
        for term in reversed([term for term in terms if term.startswith("ORDERBY")]):
            rows.sort(key=lambda row: row[term.removeprefix("ORDERBY")])
        offset, limit = int(asked.query["sysparm_offset"]), int(asked.query["sysparm_limit"])
        page = [{"sys_id": row["sys_id"]} for row in rows[offset : offset + limit] if not row["hidden"]]
        total = str(len(rows)) if self.lie is None else self.lie
        return Reply(200, json.dumps({"result": page}).encode(), {"X-Total-Count": total} if total else {})


@pytest.fixture
def table_api(transport):
    return TableApi(transport())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    visible=st.lists(st.booleans(), max_size=14),
    page_size=st.integers(1, 5),
    total=st.sampled_from([None, "", "nonsense", "-1"]),
    order=st.booleans(),
    limit=st.one_of(st.none(), st.integers(1, 15)),
)
def test_every_visible_row_comes_once_whatever_is_hidden_or_counted(
    stub, table_api, visible, page_size, total, order, limit
):
    stub.script = server = ListServer(visible, total)
    query = Query().order_by("state") if order else Query()
    found = [row["sys_id"] for row in table_api.find("incident", query, page_size=page_size, limit=limit)]
    expected = [row["sys_id"] for row in server.rows if not row["hidden"]]
    if order:
        expected.sort(key=lambda sys_id: (int(sys_id, 16) >> 122) % 2)
    assert found == expected[:limit]


def test_a_count_that_is_too_large_is_never_a_short_answer(stub, table_api):
    by_state = Query().order_by("state")
    stub.script = ListServer([True] * 7, "40")
    for query, page_size in ((Query(), 50), (by_state, 50), (by_state, 3)):
        assert len(list(table_api.find("incident", query, page_size=page_size))) == 7
    with pytest.raises(exceptions.IncompleteReadError):
        list(table_api.find("incident", {}, page_size=3))


@pytest.mark.parametrize("query", [Query(), Query().order_by("state")])
@pytest.mark.parametrize("stats", [refusal(403, "Insufficient rights to query records"), of({}), of(None)])
def test_an_empty_page_that_nobody_counts_is_not_taken_for_the_end(stub, table_api, query, stats):
    """A proxy may keep the headers from us, and the page may be full of rows that we may not see."""
    stub.script = lambda asked: stats if "/stats/" in asked.path else of([])
    with pytest.raises(exceptions.IncompleteReadError, match="does not say"):
        list(table_api.find("incident", query))


def test_a_server_that_gives_less_than_it_is_asked_for_is_read_to_the_end(stub, table_api):
    full = ListServer([True] * 20)

    def capped(asked):
        asked.query["sysparm_limit"] = str(min(6, int(asked.query["sysparm_limit"])))
        return full(asked)

    stub.script = capped
    assert len(list(table_api.find("incident", {}))) == 20
    assert len(list(table_api.find("incident", Query().order_by("state")))) == 20


def test_a_count_that_is_too_small_does_not_end_a_list_of_full_pages(stub, table_api):
    stub.script = ListServer([True] * 20, "3")
    assert len(list(table_api.find("incident", {}, page_size=5))) == 20
    assert len(list(table_api.find("incident", Query().order_by("state"), page_size=5))) == 20


@pytest.mark.parametrize("query", [Query(), Query().order_by("state")])
@pytest.mark.parametrize("total", ["", "1000000"])
def test_a_server_that_repeats_its_page_for_ever_is_left(stub, table_api, query, total):
    rows = [{"sys_id": f"{index:032x}"} for index in range(3)]
    stub.script = [of(rows, X_Total_Count=total)]
    with pytest.raises(exceptions.IncompleteReadError):
        list(table_api.find("incident", query, page_size=3))
    assert len(stub.asked) < 110


@pytest.mark.parametrize("query", [Query(), Query().order_by("state")])
def test_a_server_that_promises_more_and_gives_nothing_is_left(stub, table_api, query):
    stub.script = [of([], X_Total_Count="1000000000")]
    with pytest.raises(exceptions.IncompleteReadError, match="nothing new"):
        list(table_api.find("incident", query))
    assert len(stub.asked) <= 101


@pytest.mark.parametrize("query", [Query(), Query().order_by("state")])
def test_a_server_that_invents_rows_is_left(stub, table_api, query, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.paging._MAX_PAGES", 20)
    stub.script = lambda asked: of([{"sys_id": f"{len(stub.asked):032x}"}])
    with pytest.raises(exceptions.IncompleteReadError, match="give a limit"):
        list(table_api.find("incident", query, page_size=1))
    assert len(list(table_api.find("incident", query, page_size=1, limit=5))) == 5


def test_a_count_that_swings_does_not_hold_us(stub, table_api):
    def script(asked):
        rows = [{"sys_id": f"{index:032x}"} for index in range(3)]
        return of(rows, X_Total_Count="1000" if len(stub.asked) % 2 else "10")

    stub.script = script
    with pytest.raises(exceptions.IncompleteReadError):
        list(table_api.find("incident", Query().order_by("state"), page_size=3))


def test_rows_that_vanish_while_we_read_hide_no_other(stub, table_api):
    for query in (Query(), Query().order_by("state")):
        stub.script = server = ListServer([True] * 12)
        found = []
        for row in table_api.find("incident", query, page_size=4):
            found.append(row["sys_id"])
            if len(found) == 4:
                server.rows = [item for item in server.rows if item["sys_id"] not in found[:3]]
        assert len(found) == len(set(found)) == 12


@pytest.mark.parametrize("result", [{"sys_id": "x"}, None, ["x"], [{"number": "INC1"}]])
def test_a_page_that_is_no_list_of_records_is_not_an_empty_list(stub, table_api, result):
    stub.script = [of(result)]
    with pytest.raises(exceptions.IncompleteReadError):
        list(table_api.find("incident", {}))


def test_a_list_that_fits_one_page_costs_one_request(stub, table_api):
    stub.script = server = ListServer([True] * 3)
    assert len(list(table_api.find("incident", {"active": True}))) == 3
    assert len(list(table_api.find("incident", {}, limit=2))) == 2
    assert server.pages == 2
    assert stub.asked[0].query == {
        "sysparm_query": "active=true^ORDERBYsys_id",
        "sysparm_limit": "1000",
        "sysparm_offset": "0",
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
        "sysparm_suppress_pagination_header": "true",
    }


def test_fields_that_were_not_asked_for_are_not_given(stub, table_api):
    stub.script = [of([{"sys_id": "a", "number": "INC1"}], X_Total_Count="1")]
    assert list(table_api.find("incident", {}, fields=["number"])) == [{"number": "INC1"}]
    assert stub.asked[0].query["sysparm_fields"] == "number,sys_id"


def test_the_count_is_the_instances_word_or_an_error(stub, table_api):
    counted = of({"stats": {"count": "7"}})
    stub.script = [of([], X_Total_Count="24"), of([]), counted, of([])]
    assert table_api.count("incident", {"active": True}) == 24
    assert table_api.count("incident", {"active": True}) == 7
    with pytest.raises(exceptions.IncompleteReadError):
        table_api.count("incident", {})


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.get("incident/../sys_user", "a" * 32),
        lambda api: api.get("incident", "A" * 32),
        lambda api: api.update("incident", "../x", {}),
        lambda api: api.delete("incident", ""),
        lambda api: api.create("", {}),
        lambda api: list(api.find("incident?x", {})),
        lambda api: api.get("incident", "a" * 32, fields=["number,active"]),
    ],
)
def test_names_that_would_change_the_address_are_refused(stub, table_api, call):
    with pytest.raises(ValueError, match="is no "):
        call(table_api)
    assert stub.asked == []


def test_a_write_that_is_answered_without_the_record_is_in_doubt(stub, table_api):
    stub.script = [of([], status=201)]
    with pytest.raises(exceptions.MayHaveHappenedError):
        table_api.create("incident", {"short_description": "x"})


def test_a_million_rows_take_no_memory_and_are_told_in_the_log(caplog):
    """From a source that makes its rows as it is asked: only what the reading itself keeps is measured."""
    caplog.set_level(logging.INFO, "airflow_provider_servicenow_dq.client.paging")
    rows, size = 1_000_000, 10_000

    def read_page(query, offset, size):
        after = re.search("sys_id>([0-9a-f]+)", query.encode())
        start = int(after[1], 16) + 1 if after else 0
        return Page(
            [{"sys_id": f"{number:032x}"} for number in range(start, min(rows, start + size))], rows - start
        )

    progress = Progress("cmdb_ci")
    records = read_in_sys_id_order(read_page, Query(), limit=None, page_size=size, progress=progress)
    before, most = sys.getallocatedblocks(), 0
    for read, _ in enumerate(records, start=1):
        if read % size == 0:
            most = max(most, sys.getallocatedblocks() - before)

    assert read == rows
    assert most < 5 * size, "no more than a page is kept"
    assert len(caplog.messages) == 20
    assert caplog.messages[-1] == "cmdb_ci: 1000000 records read so far, in 100 pages"


def test_a_slow_read_is_told_in_the_log_by_time(caplog, monkeypatch):
    caplog.set_level(logging.INFO, "airflow_provider_servicenow_dq.client.paging")
    now = [0.0]
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.paging.time.monotonic", lambda: now[0])
    progress = Progress("incident")
    for _ in range(10):
        now[0] += 7
        progress.turned(1)
    assert caplog.messages == [
        f"incident: {count} records read so far, in {count} pages" for count in (5, 10)
    ]
