"""Creates a second that the sandbox takes over one keep-alive connection, and the CPU that each costs it.

Run it by hand: ``python tests/benchmarks/bench_sandbox.py [count]``. The sandbox runs in a process of its
own, with every rule on, as ``servicenow-dq sandbox`` starts it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MANDATORY = "incident.short_description"
STARTS = 5
START_UP_S = 1.0


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, from Linux's own account."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(address: str, pid: int, count: int) -> tuple[float, float]:
    """Return wall and CPU seconds of ``count`` creates."""
    connection = http.client.HTTPConnection(address)
    headers = {
        "Authorization": "Basic " + base64.b64encode(b"svc_airflow:airflow-secret").decode(),
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    started, cpu = time.perf_counter(), cpu_seconds(pid)
    for number in range(count):
        body = json.dumps(
            {
                "short_description": f"arr_delay is null at EWR, hour {number}",
                "description": "Expected no nulls, found 17 of 96. " * 10,
                "correlation_id": f"dq:bench:{number:032x}",
                "impact": "2",
                "urgency": "2",
                "category": "database",
                "work_notes": "Seen for the first time.",
            }
        )
        connection.request(
            "POST", "/api/now/table/incident?sysparm_exclude_reference_link=true", body, headers
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise SystemExit(f"refused with {answer.status}")
    return time.perf_counter() - started, cpu_seconds(pid) - cpu


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[str, int, float]]:
    """Run the command; give its address, its process id and the seconds until it served."""
    command = [Path(sys.executable).with_name("servicenow-dq"), "sandbox", "--port", "0", *options]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://(\S+)", process.stdout.readline())[1]
        try:
            yield address, process.pid, time.perf_counter() - started
        finally:
            process.send_signal(signal.SIGINT)


def start_ups(*options: str) -> float:
    """Return the median of some starts, in seconds."""
    seconds = []
    for _ in range(STARTS):
        with running(*options) as (_, _, taken):
            seconds.append(taken)
    return statistics.median(seconds)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = ("--file", str(Path(folder) / "instance.db"))
        print(f"start-up: {start_ups():.2f} s (budget: {START_UP_S:.2f} s)")
        for name, options in (("in memory", ()), ("in a file", file)):
            with running("--mandatory", MANDATORY, *options) as (address, pid, _):
                measure(address, pid, 200)
                wall, cpu = measure(address, pid, count)
            a_second, ms = count / wall, cpu / count * 1000
            print(f"{count} creates {name}: {a_second:.0f} a second, {ms:.2f} ms of CPU each")
        print(f"start-up with the file of those: {start_ups(*file):.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
