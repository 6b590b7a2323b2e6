"""Creates a second that the sandbox takes over one keep-alive connection, and the CPU that each costs it.

Run it by hand: ``python tests/benchmarks/bench_sandbox.py [count]``. The sandbox runs in a process of its
own, with every rule on, as ``servicenow-dq sandbox`` starts it.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

MANDATORY = "incident.short_description"


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


def main(count: int) -> None:
    command = [Path(sys.executable).with_name("servicenow-dq"), "sandbox", "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen([*command, "--mandatory", MANDATORY], stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://(\S+)", process.stdout.readline())[1]
        print(f"start-up: {time.perf_counter() - started:.2f} s")
        try:
            measure(address, process.pid, 200)
            wall, cpu = measure(address, process.pid, count)
        finally:
            process.send_signal(signal.SIGINT)
    print(f"{count} creates: {count / wall:.0f} a second, {cpu / count * 1000:.2f} ms of CPU each")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
