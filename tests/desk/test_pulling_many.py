"""Thousands of changes, in one second, while rows shift, in any zone: none missed, none told twice."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, datetime, timedelta

import pytest
from pulls import by_hand, in_short, take, told
from reporting import anomaly, incidents, report
from worlds import desk_at

from airflow_provider_servicenow_dq.client.recent import Recent
from airflow_provider_servicenow_dq.desk import pull as pulls
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import pulling, schema, tickets
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.store.pulling import Watermark


@pytest.fixture
def follow(desk, sandbox):
    """Let an instance have many incidents that the store follows, without asking it for each."""

    def follow(count):
        instance = sandbox.instance
        account = instance.account("admin")
        records = []
        for number in range(count):
            values = {"short_description": f"number {number}", "correlation_id": f"dq:custom:{number:032x}"}
            records.append(dict(instance.insert(account, "incident", values)))
        links = []
        with desk.store.begin() as connection:
            for number, record in enumerate(records):
                key = f"{number:032x}"
                made = tickets.add(
                    connection,
                    Address(desk.host, "incident", f"dq:custom:{key}"),
                    record,
                    made=True,
                    created_by_us=True,
                    seen=1,
                    seen_at_note=1,
                    noted_at=desk.now(),
                    severity="high",
                    changed_at=desk.now(),
                )
                links.append({"ticket_id": made.id, "key": key, "linked_at": desk.now(), "by_person": False})
            connection.execute(schema.link.insert(), links)
            # As after a first pull, which would ask for each of them.
            pulling.seen(
                connection, pulling.all_of(connection, desk.host, "incident").values(), now=desk.now()
            )
            mark = Watermark(sandbox.instance.now(), 0.0)
            pulling.move_watermark(connection, desk.host, "incident", mark)
        return records

    return follow


def edit(sandbox, records, **values):
    instance = sandbox.instance
    account = instance.account("beth.anglin")
    for record in records:
        instance.update(account, "incident", record["sys_id"], values)


def news(desk):
    """Pull, and return which tickets were told of, each as often as it was."""
    pull(desk, Project())
    taken = take(desk, all_of_them=True)
    told_of = [change["sys_id"] for change in taking.read(desk, taken)]
    taking.returned(desk, taken)
    return told_of


def test_ten_thousand_updates_are_told_once_each(desk, sandbox, follow):
    records = follow(2000)
    edit(sandbox, records, state="2", category="database", subcategory="db2", short_description="late")
    edit(sandbox, records, work_notes="seen")

    assert sorted(news(desk)) == sorted(record["sys_id"] for record in records * 5)


def test_five_hundred_updates_in_one_second_over_many_pages_are_told_once_each(
    desk, sandbox, follow, monkeypatch
):
    records = follow(500)
    monkeypatch.setattr(pulls, "Recent", small_pages(37))
    monkeypatch.setattr(pulls, "IDS_AT_ONCE", 1)  # else it costs less to ask for each of them
    frozen = sandbox.instance.now()
    monkeypatch.setattr(type(sandbox.instance), "now", lambda _: frozen)
    edit(sandbox, records, state="2")
    assert {record["sys_updated_on"] for record in sandbox.records("incident") if record["state"] == "2"} >= {
        f"{frozen:%Y-%m-%d %H:%M:%S}"
    }

    assert sorted(news(desk)) == sorted(record["sys_id"] for record in records)


def test_rows_that_shift_during_the_read_are_told_once_each(desk, sandbox, follow, monkeypatch):
    records = follow(200)
    edit(sandbox, records[:100], state="2")
    left = [records[place] for place in range(100, 200)]

    class Shifting(small_pages(10)):
        def _next(self, *page):
            # Between two pages people go on, before and behind what has been read.
            edit(sandbox, [left.pop() for _ in range(5) if left], state="2")
            return super()._next(*page)

    monkeypatch.setattr(pulls, "Recent", Shifting)
    monkeypatch.setattr(pulls, "IDS_AT_ONCE", 1)  # else it costs less to ask for each of them

    told_of = news(desk)
    assert len(left) < 60
    told_of += news(desk)
    edit(sandbox, left, state="2")
    left.clear()
    told_of += news(desk)

    assert sorted(told_of) == sorted(record["sys_id"] for record in records)


def test_two_pulls_at_once_tell_every_change_once(desk, make_desk, sandbox, follow):
    records = follow(300)
    edit(sandbox, records, state="2", work_notes="seen")
    other = make_desk()
    threads = [threading.Thread(target=pull, args=(each, Project())) for each in (desk, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(news(desk)) == sorted(record["sys_id"] for record in records * 2)


def test_a_row_that_is_committed_late_is_told(desk, sandbox, follow):
    late, early = follow(2)
    stamp = f"{sandbox.instance.now() - timedelta(seconds=100):%Y-%m-%d %H:%M:%S}"
    edit(sandbox, [early], state="2")
    assert len(news(desk)) == 1

    edit(sandbox, [late], state="2")
    sandbox.instance.update(
        sandbox.instance.account("admin"), "incident", late["sys_id"], {"sys_updated_on": stamp}
    )

    assert news(desk) == [late["sys_id"]]


def test_a_pull_that_read_before_somebody_wrote_tells_nothing_wrong(
    desk, make_desk, sandbox, follow, monkeypatch
):
    (record,) = follow(1)
    edit(sandbox, [record], state="2")
    other = make_desk()
    keep = pulls.pulled_rows.keep

    def keep_later(*args, **options):
        monkeypatch.setattr(pulls.pulled_rows, "keep", keep)
        edit(sandbox, [record], state="3")
        pull(other, Project())
        keep(*args, **options)

    monkeypatch.setattr(pulls.pulled_rows, "keep", keep_later)

    assert in_short(told(desk)) == [("state", "1", "3")]
    assert told(desk) == []


def test_a_clock_that_was_set_back_hides_nothing(desk, sandbox, follow):
    records = follow(3)
    edit(sandbox, records[:1], state="2")
    assert len(news(desk)) == 1
    sandbox.configure(clock_offset_s=-7200.0)
    try:
        edit(sandbox, records[1:2], state="2")
        assert news(desk) == [records[1]["sys_id"]]
        sandbox.configure(clock_offset_s=7200.0)
        edit(sandbox, records[2:], state="2")
        assert news(desk) == [records[2]["sys_id"]]
    finally:
        sandbox.configure(clock_offset_s=0.0)


def test_a_long_gap_costs_no_more_than_reading_the_tickets(desk, sandbox, follow):
    (record,) = follow(1)
    account = sandbox.instance.account("admin")
    for number in range(50):
        sandbox.instance.insert(account, "incident", {"short_description": f"other {number}"})
    edit(sandbox, [record], state="2")
    sandbox.clear_requests()

    pulls_before = pulls.Recent
    pulls.Recent = small_pages(10)
    try:
        assert news(desk) == [record["sys_id"]]
    finally:
        pulls.Recent = pulls_before

    lists = [each for each in sandbox.requests if each.path.endswith("/table/incident")]
    assert len(lists) <= 6


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Pacific/Kiritimati"])
@pytest.mark.parametrize("dates", ["utc", "user"])
@pytest.mark.parametrize(
    "change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
)
def test_whatever_zone_times_are_read_in_also_across_a_change_of_clocks(store_url, zone, dates, change):
    """Every quarter of an hour, from three hours before the clocks change to three after."""
    with World(store_url, zone, dates) as world:
        seen = []
        for quarter in range(-12, 12):
            world.at(change + quarter * timedelta(minutes=15))
            if quarter == -12:
                world.begin()
                continue
            record = world.records[quarter % len(world.records)]
            by_hand(
                world.sandbox, record, urgency="1" if quarter % 2 else "2", short_description=f"{quarter}"
            )
            seen += [each["new"] for each in told(world.desk) if each["field"] == "short_description"]

        assert seen == [str(quarter) for quarter in range(-11, 12)]


class World:
    """An instance whose clock is set, and a desk that has the same clock."""

    def __init__(self, store_url, zone, dates):
        self.sandbox = Sandbox(port=0, time_zone=zone, query_dates=dates)
        self._store = store_url("zones")
        self._ahead = timedelta()
        self.records = []

    def __enter__(self):
        self.sandbox.start()
        desk = desk_at(self.sandbox.url, self._store, timeout_s=5.0)
        self._opened = [desk.table_api.transport, desk.store]
        self.desk = dataclasses.replace(
            desk, namespace=desk.host, now=lambda: datetime.now(UTC) + self._ahead
        )
        return self

    def __exit__(self, *_):
        self.sandbox.__exit__()
        for each in self._opened:
            each.close()

    def at(self, moment):
        self._ahead = moment - datetime.now(UTC)
        self.sandbox.configure(clock_offset_s=self._ahead.total_seconds())

    def begin(self):
        report(self.desk, *(anomaly(f"check {number}", hour=None) for number in range(5)))
        self.records = incidents(self.sandbox)
        assert told(self.desk) == []


def small_pages(size):
    class SmallPages(Recent):
        def __init__(self, *args, **options):
            super().__init__(*args, **options, page_size=size)

    return SmallPages
