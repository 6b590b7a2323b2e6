"""Whatever ``make demo`` and ``make up`` start, nothing of it is left when they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"

# Like a part of Airflow: its child has a process group of its own and does not want to end; then it ends.
ORPHANING = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open("orphan", "w").write(str(os.getpid()))
    time.sleep(600)
else:
    while not os.path.exists("orphan") or not open("orphan").read(): time.sleep(0.02)
"""

STEADY = "import time; open('steady', 'w').write(str(__import__('os').getpid())); time.sleep(600)"

SCRIPT = f"""
import sys, time
from pathlib import Path
from processes import Stack
try:
    with Stack({{"WHO": "me"}}, Path("logs"), grace_s=0.5) as stack:
        stack.start("orphaning", sys.executable, "-c", {ORPHANING!r})
        stack.start("steady", sys.executable, "-c", {STEADY!r})
        while not all(Path(name).exists() and Path(name).read_text() for name in ("orphan", "steady")):
            time.sleep(0.02)
        print("up", flush=True)
        while True:
            stack.check()
            time.sleep(0.05)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


@pytest.fixture
def script(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ending_the_script_leaves_no_process_behind(script, tmp_path, how):
    started = [psutil.Process(int((tmp_path / name).read_text())) for name in ("orphan", "steady")]
    assert all(process.is_running() for process in started)
    script.send_signal(how)
    assert script.stdout.readline() == "ended\n"
    assert script.wait(timeout=10) == 0
    _, alive = psutil.wait_procs(started, timeout=2)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def run_script(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys, time\nfrom pathlib import Path\nfrom processes import *\n{code}"
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_program_that_fails_is_named_with_the_end_of_its_log(tmp_path):
    done = run_script(
        """
try:
    with Stack({}, Path("logs")) as stack:
        stack.run("the step", sys.executable, "-c", "print('why'); raise SystemExit(3)")
except StepFailedError as error:
    print(error.message, error.tail(), sep="|")
""",
        tmp_path,
    )
    assert done.stdout == "the step ended with code 3|why\n"


def test_waiting_for_a_program_that_has_died_does_not_last(tmp_path):
    began = time.monotonic()
    done = run_script(
        """
with Stack({}, Path("logs")) as stack:
    stack.start("dead", sys.executable, "-c", "raise SystemExit(1)")
    stack.wait_for("dead", "http://127.0.0.1:1/", timeout_s=300)
""",
        tmp_path,
    )
    assert "dead ended with code 1" in done.stderr
    assert time.monotonic() - began < 30


def test_a_taken_port_is_replaced_by_a_free_one(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_script(f"print(free_port({port}))", tmp_path)
    assert 0 < int(done.stdout) != port
