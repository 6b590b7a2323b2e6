"""Requests and own time of pulls: of 10,000 followed tickets among 100,000 rows, and of 100,000 tickets.

Run it by hand: ``python tests/benchmarks/bench_pull.py [tickets]``. The rows are in the sandbox's memory;
what it takes to look through them is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import pulling, tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.store.pulling import Watermark
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROWS = 100_000


class TimedTransport(Transport):
    """Knows how long requests took, and how many there were."""

    def __init__(self, config: InstanceConfig) -> None:
        super().__init__(config)
        self.waited, self.requests = 0.0, 0

    def request(self, *args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return super().request(*args, **options)
        finally:
            self.waited += time.perf_counter() - started
            self.requests += 1


def fill(sandbox: Sandbox, count: int) -> list[dict[str, str]]:
    """Let the instance have rows that were updated long ago."""
    account = sandbox.instance.account("admin")
    assert account is not None
    long_ago = f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%d %H:%M:%S}"
    rows = []
    for number in range(count):
        values = {
            "short_description": f"row {number}",
            "correlation_id": f"dq:custom:{number:032x}",
            "sys_created_on": long_ago,
            "sys_updated_on": long_ago,
        }
        rows.append(dict(sandbox.instance.insert(account, "incident", values)))
    return rows


def follow(desk: Desk, records: list[dict[str, str]]) -> None:
    """Let the store follow them, as after a first pull."""
    now = desk.now()
    for number, batch in enumerate(batches(records)):
        with desk.store.begin() as connection:
            for record in batch:
                correlation = record["correlation_id"]
                made = tickets.add(
                    connection,
                    Address(desk.host, "incident", correlation),
                    record,
                    made=True,
                    created_by_us=True,
                    seen=1,
                    seen_at_note=1,
                    noted_at=now,
                    severity="high",
                    changed_at=now,
                )
                tickets.link(connection, made.id, [correlation[-32:]], now=now)
                pulling.seen(connection, [made.id], now=now - timedelta(seconds=number))
    with desk.store.begin() as connection:
        pulling.move_watermark(connection, desk.host, "incident", Watermark(now - timedelta(hours=1), 0.0))


def measure(desk: Desk, transport: TimedTransport, what: str) -> None:
    """Pull once, and say what it took."""
    transport.waited, transport.requests = 0.0, 0
    started = time.perf_counter()
    outcome = pull(desk, Project())
    own = time.perf_counter() - started - transport.waited
    print(f"{what}: {outcome.changes} changes, {transport.requests} requests, {own:.2f} s of our own time")


def desks(sandbox: Sandbox, directory: str) -> Iterator[tuple[Desk, TimedTransport]]:
    """Yield desks with new stores."""
    for name in ("few", "many"):
        config = InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret", timeout_s=60)
        transport = TimedTransport(config)
        api = TableApi(transport)
        yield Desk(config, api, Names(api), Store(f"sqlite:///{Path(directory) / name}.db")), transport


def edit(sandbox: Sandbox, records: list[dict[str, str]], values: Mapping[str, str]) -> None:
    """Let a person edit records."""
    account = sandbox.instance.account("beth.anglin")
    assert account is not None
    for record in records:
        sandbox.instance.update(account, "incident", record["sys_id"], values)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with Sandbox(port=0) as sandbox, tempfile.TemporaryDirectory() as directory:
        records = fill(sandbox, rows)
        (few, few_transport), (many, many_transport) = desks(sandbox, directory)
        followed = records[: rows // 10]
        follow(few, followed)
        edit(sandbox, followed[: rows // 1000], {"state": "2", "work_notes": "seen"})
        measure(few, few_transport, f"{rows // 10} tickets among {rows} rows, 1 % of them changed")
        follow(many, records)
        measure(many, many_transport, f"{rows} tickets, {rows // 1000} changed")
        with many.store.begin() as connection:
            to = Watermark(datetime.now(UTC) + timedelta(minutes=2), 0.0)
            pulling.move_watermark(connection, many.host, "incident", to)
        measure(many, many_transport, f"{rows} tickets, next to nothing changed")


if __name__ == "__main__":
    main()
