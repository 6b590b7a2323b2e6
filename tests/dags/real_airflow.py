"""A real Airflow beside the tests: scheduler with LocalExecutor, DAG processor, triggerer, API server."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import requests
from lost_tasks import lost_by_airflow

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))

from processes import Stack, free_port  # noqa: E402 (what starts programs is no package)
from surroundings import airflow_settings, program  # noqa: E402 (the same)
from up import wait_until_healthy  # noqa: E402 (the same)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Beyond this something hangs, on however busy a machine.
PATIENCE_S = 120
FINISHED = {"success", "failed"}


class RealAirflow:
    """The public API of a running Airflow, as somebody who may do everything.

    :param stack: Its programs; when one of them dies, waiting for anything ends.
    """

    def __init__(self, stack: Stack, url: str, user: str) -> None:
        self._stack = stack
        self._url = url
        self._session = requests.Session()
        token = self._answer("POST", "auth/token", {"username": user, "password": user})["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """Ask the public API."""
        return self._answer(method or ("GET" if body is None else "POST"), f"api/v2/{path}", body)

    def _answer(self, verb: str, path: str, body: Any) -> Any:
        """Ask until there is an answer: two who write to SQLite at once may end in a 500 for one of them.

        That something is there already (409) is then an answer as well.
        """

        def told() -> Any:
            try:
                answer = self._session.request(verb, f"{self._url}/{path}", json=body, timeout=30)
            except requests.RequestException:
                return None
            if answer.status_code >= 500:
                return None
            assert answer.ok or answer.status_code == 409, f"{path}: {answer.status_code} {answer.text}"
            return [answer.json()]

        return self.wait(path, told)[0]

    def dags(self) -> set[str]:
        return {dag["dag_id"] for dag in self.ask("dags")["dags"]}

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Trigger a run; its id, by which there is one however often it is asked for."""
        run_id = f"by_hand_{uuid.uuid4().hex}"
        self.ask(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf, "dag_run_id": run_id})
        return run_id

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the state of each run, oldest first."""
        found = self.ask(f"dags/{dag_id}/dagRuns?order_by=id&limit=100")["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in found}

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self._tasks(dag_id, run_id)}

    def _tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found = self.ask(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return cast("list[dict[str, Any]]", found["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task returned."""
        entry = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.ask(f"{entry}?map_index={map_index}")["value"]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer what a task asks people."""
        where = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self.ask(where, {"chosen_options": [option], "params_input": {}}, method="PATCH")

    def wait(self, what: str, is_so: Callable[[], Any]) -> Any:
        """Return what is told as soon as it is something."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            self._stack.check()
            if told := is_so():
                return told
            time.sleep(0.3)
        raise AssertionError(f"in vain: {what}")

    def finish(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Wait for the end of a run, which has to succeed; the state of each of its tasks.

        Tasks that Airflow itself has lost are run again, if no other failed.
        """
        state = self._end_of(dag_id, run_id)
        if state == "failed" and self._lost_all_that_failed(dag_id, run_id):
            again = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
            self.ask(f"dags/{dag_id}/clearTaskInstances", again)
            self.wait(f"a new try of {run_id}", lambda: self.runs(dag_id).get(run_id) != "failed")
            state = self._end_of(dag_id, run_id)
        tasks = self.tasks(dag_id, run_id)
        assert state == "success", f"{dag_id} {run_id}: {tasks}"
        return tasks

    def _end_of(self, dag_id: str, run_id: str) -> str:
        state: str = self.wait(
            f"the end of {run_id} of {dag_id}",
            lambda: (state := self.runs(dag_id).get(run_id)) in FINISHED and state,
        )
        return state

    def _lost_all_that_failed(self, dag_id: str, run_id: str) -> bool:
        """Whether no task of a run failed but those that Airflow itself has lost."""
        failed = {task["id"] for task in self._tasks(dag_id, run_id) if task["state"] == "failed"}
        log = self._stack.log("scheduler").read_text(errors="replace")
        return bool(failed) and failed <= lost_by_airflow(log)


@contextlib.contextmanager
def running(
    home: Path, dags: Path, settings: Mapping[str, str], *, database: str, user: str
) -> Iterator[RealAirflow]:
    """Run an Airflow for the length of the block; none of its processes outlives it.

    :param database: URL of a migrated database that nobody else uses.
    :param user: Who may log in, with their name as password.
    """
    port = free_port(0)
    url = f"http://127.0.0.1:{port}"
    (home / "passwords.json").write_text(json.dumps({user: user}))
    env = airflow_settings(home) | {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        # Each process that runs tasks has to load everything anew before its first.
        "AIRFLOW__CORE__PARALLELISM": "3",
        # When two write to SQLite at once one of them may fail, and then a task that is none of ours as well.
        "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "2",
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "2",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{user}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        **settings,
    }
    airflow = program("airflow")
    # The triggerer takes ten seconds to end of itself, when nothing is left to be seen.
    with _own_signals(), Stack(env, home / "logs", grace_s=3) as stack:
        stack.start("api-server", airflow, "api-server")
        stack.start("scheduler", airflow, "scheduler", "--skip-serve-logs")
        stack.start("dag-processor", airflow, "dag-processor")
        stack.start("triggerer", airflow, "triggerer", "--skip-serve-logs")
        stack.wait_for("api-server", f"{url}/api/v2/monitor/health", timeout_s=PATIENCE_S)
        wait_until_healthy(stack, port)
        yield RealAirflow(stack, url, user)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Give this process its handlers back: a stack takes them for good."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
