"""Reading by the time of the last update: zones, clocks and moments."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from in_process import NOON, InProcess, filled, written

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError, ServiceNowConfigError


@pytest.mark.parametrize("hours", [-5, 1])
def test_an_instance_that_reads_times_in_its_users_zone_is_found_out(hours):
    def moved(encoded):
        return re.sub(
            r"(?<=[=<>])\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
            lambda found: written(datetime.fromisoformat(found[0]) - timedelta(hours=hours)),
            encoded,
        )

    talk, _ = filled(0)
    talk.rewrite = moved
    for minute in range(100):
        talk.put(f"{minute:032x}", sys_updated_on=written(NOON + timedelta(minutes=10 * minute)))

    found = TableApi(talk).find_updated("incident", {}, since=NOON + timedelta(hours=3), page_size=10)

    with pytest.raises(IncompleteReadError, match="GMT"):
        list(found)


def test_a_row_that_moved_on_from_the_boundary_is_no_sign_of_another_zone():
    talk, _ = filled(0)
    for minute in range(6):
        talk.put(f"{minute:032x}", sys_updated_on=written(NOON + timedelta(minutes=minute)))
    last = f"{2:032x}"
    talk.between = lambda: (
        talk.put(last, sys_updated_on=written(NOON + timedelta(hours=1))) if len(talk.asked) == 1 else None
    )

    found = TableApi(talk).find_updated("incident", {}, since=NOON, page_size=3)

    assert [int(row["sys_id"], 16) for row in found] == [0, 1, 2, 3, 4, 5, 2]


@pytest.mark.parametrize(("seconds", "breaks"), [(-300, True), (300, True), (-2, False)])
def test_a_clock_that_is_set_meanwhile_breaks_off_a_list_by_update(seconds, breaks):
    talk, ids = filled(9)
    talk.between = lambda: (
        talk.instance.configure(talk.instance.switches.changed(clock_offset_s=float(seconds)))
        if len(talk.asked) == 2
        else None
    )
    rows = TableApi(talk).find_updated("incident", {}, since=NOON, page_size=3)
    if breaks:
        with pytest.raises(IncompleteReadError, match="clock"):
            list(rows)
    else:
        assert len(list(rows)) == len(ids)
    assert len(list(TableApi(talk).find("incident", {}, page_size=3))) == len(ids)


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ServiceNowConfigError, match="time zone"):
        TableApi(InProcess()).find_updated("incident", {}, since=datetime(2026, 1, 1))  # noqa: DTZ001  # on purpose


def test_an_order_of_the_query_does_not_disturb_that_by_update():
    talk, ids = filled(3)
    rows = TableApi(talk).find_updated("incident", Query().order_by("number"), since=NOON, page_size=2)
    assert [row["sys_id"] for row in rows] == ids
