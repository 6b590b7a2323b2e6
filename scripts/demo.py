"""Turn real failed checks into ServiceNow incidents, through a real Airflow."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from processes import Stack, StepFailedError, free_port
from rich.console import Console
from rich.table import Column, Table
from surroundings import (
    ROOT,
    airflow_settings,
    as_json,
    connection_to,
    migrate,
    start_sandbox,
)

from airflow_provider_servicenow_dq.sandbox.control import SandboxControl

HOME = ROOT / ".demo"
DAG_ID = "flights_quality"
FIVE_CHECKS_AND_ONE_MORE = {
    "checks": [
        "dep_time not null",
        "arr_delay not null",
        "dep_delay under 120 min",
        "tailnum not null",
        "lost under 45 min en route",
        "dep_delay over -20 min",
    ]
}
PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
LEAST_TICKETS = 10
STATES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
WIDTH_WITH_LINKS = 182
# Into a file or a pipe nothing has to be folded.
console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITH_LINKS)


class UnexpectedError(Exception):
    """The demo ran, and did not show what it is to show."""


@dataclass
class Instance:
    """What the ServiceNow instance itself says; nothing here comes from the provider."""

    control: SandboxControl

    def state(self) -> dict[str, list[dict[str, str]]]:
        """Return every incident and every journal entry, in a fixed order."""
        tables = ("incident", "sys_journal_field")
        return {table: sorted(self.control.records(table), key=lambda row: row["sys_id"]) for table in tables}

    def writes_since(self, count: int) -> Counter[str]:
        """Return the number of requests of each method after the first ``count``."""
        return Counter(request.method for request in self.control.requests[count:])

    def request_count(self) -> int:
        """Return how many requests the instance has served."""
        return len(self.control.requests)


class Airflow:
    """One Airflow process that runs the DAG as often as it is asked."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._process = stack.start(
            "airflow", sys.executable, str(ROOT / "scripts" / "run_dag.py"), DAG_ID, talk=True
        )

    def run(self, conf: dict[str, Any]) -> dict[str, Any]:
        """Run the DAG and return what its last task says.

        :raises StepFailedError: The run failed.
        """
        answer = self._ask(conf)
        if answer is None or answer["state"] != "success":
            message = f"the run of {DAG_ID} ended as {answer['state'] if answer else 'nothing'}"
            raise StepFailedError(message, self._stack.log("airflow"))
        console.print(f"[dim]The run took {answer['seconds']:.0f} s.[/]")
        return answer

    def _ask(self, conf: dict[str, Any]) -> dict[str, Any] | None:
        question, reply = self._process.stdin, self._process.stdout
        if question is None or reply is None:
            return None
        with contextlib.suppress(BrokenPipeError):
            question.write(as_json(conf) + "\n")
            question.flush()
        line = reply.readline()
        return json.loads(line) if line else None


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the ServiceNow running until Ctrl-C")
    keep = parser.parse_args().keep or (sys.stdin.isatty() and sys.stdout.isatty())
    try:
        demonstrate(keep=keep)
    except StepFailedError as error:
        console.print(f"\n[bold red]{error.message}[/]; the end of {error.log.relative_to(ROOT)}:")
        console.print(error.tail(), markup=False)
        return 1
    except UnexpectedError as error:
        console.print(f"\n[bold red]Not as promised:[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("\nended")
        return 130
    return 0


def demonstrate(*, keep: bool) -> None:
    """Start what is needed, run the DAG three times, show each."""
    began = time.monotonic()
    HOME.mkdir(exist_ok=True)
    port = free_port(8099)
    settings = airflow_settings(HOME) | {"AIRFLOW_CONN_SERVICENOW_DEFAULT": as_json(connection_to(port))}
    with Stack(settings, HOME / "logs") as stack:
        step("A ServiceNow to try")
        url = start_sandbox(stack, HOME, port)
        console.print(f"listening at {url}, empty of our incidents")
        step("Airflow's database")
        console.print("created" if migrate(stack, HOME) else "still there from the last time")

        airflow, instance = Airflow(stack), Instance(SandboxControl(url))
        show_first_run(airflow, instance)
        show_second_run(airflow, instance)
        show_third_run(airflow, instance)
        console.print(f"\nAll of it took {time.monotonic() - began:.0f} s.")
        say_where_to_look(stack, url, keep=keep)


def show_first_run(airflow: Airflow, instance: Instance) -> None:
    """Show that new problems become tickets, each once."""
    step("First run: a week of flights, five checks an hour at each of three airports")
    before = instance.request_count()
    summary = airflow.run({})["summary"]
    state = instance.state()
    ours = our_incidents(state)
    console.print(
        f"{summary['passed'] + summary['failed']:,} checks ran: {summary['passed']:,} passed, "
        f"[bold]{summary['failed']:,} failed[/]. The instance now holds [bold]{len(ours)} incidents[/], "
        f"one for each airport and check; {requests(instance.writes_since(before))}."
    )
    console.print(ticket_table(summary["tickets"], ours))
    console.print(outcome_table(summary["outcomes"]))
    if len(ours) < LEAST_TICKETS or len(ours) != len({row["correlation_id"] for row in ours.values()}):
        message = f"{len(ours)} incidents"
        raise UnexpectedError(message)


def show_second_run(airflow: Airflow, instance: Instance) -> None:
    """Show that what is known already changes nothing."""
    step("Second run: the same week again")
    requests_before, before = instance.request_count(), instance.state()
    summary = airflow.run({})["summary"]
    after = instance.state()
    if before != after:
        message = "the second run changed something on the instance"
        raise UnexpectedError(message)
    console.print(
        f"{summary['failed']:,} failed checks reported again. [bold]Nothing changed[/]: "
        f"{len(our_incidents(after))} incidents and {len(after['sys_journal_field'])} notes, field by field "
        f"as before; {requests(instance.writes_since(requests_before))}."
    )
    console.print(outcome_table(summary["outcomes"]))


def show_third_run(airflow: Airflow, instance: Instance) -> None:
    """Show that one new failure among the known ones is written, and nothing else."""
    step('Third run: somebody adds the check "dep_delay over -20 min"')
    requests_before, before = instance.request_count(), instance.state()
    summary = airflow.run(FIVE_CHECKS_AND_ONE_MORE)["summary"]
    after = instance.state()
    known, now = our_incidents(before), our_incidents(after)
    new = {number: row for number, row in now.items() if number not in known}
    console.print(
        f"{summary['failed']:,} failed checks, one of them never seen before. {len(new)} new incident, "
        f"{sum(now[number] != row for number, row in known.items())} of the others changed; "
        f"{requests(instance.writes_since(requests_before))}."
    )
    console.print(ticket_table({number: summary["tickets"][number] for number in new}, now))
    console.print(outcome_table(summary["outcomes"]))
    if len(new) != 1 or any(now[number] != row for number, row in known.items()):
        message = f"{len(new)} new incidents, or a change of a known one"
        raise UnexpectedError(message)


def our_incidents(state: dict[str, list[dict[str, str]]]) -> dict[str, dict[str, str]]:
    """Return the incidents that carry our mark, by number."""
    ours = (row for row in state["incident"] if row["correlation_id"].startswith("dq:"))
    return {row["number"]: row for row in sorted(ours, key=lambda row: row["number"])}


def ticket_table(tickets: dict[str, dict[str, Any]], incidents: dict[str, dict[str, str]]) -> Table:
    """Return the tickets: what the instance says, how often the DAG saw each, and where to look."""
    wide = console.width >= WIDTH_WITH_LINKS
    table = Table(
        "Number", Column("Title", overflow="fold"), "Priority", "State", Column("Seen", justify="right")
    )
    table.box, table.pad_edge = None, False
    if wide:
        table.add_column("Link", no_wrap=True)
    for number in sorted(tickets):
        row, link = incidents[number], tickets[number]["url"]
        cells = [
            number,
            row["short_description"] if wide else f"{row['short_description']}\n{link}",
            PRIORITIES.get(row["priority"], row["priority"]),
            STATES.get(row["state"], row["state"]),
            f"{tickets[number]['times_seen']} x",
        ]
        table.add_row(*cells, *([link] if wide else []))
    return table


def outcome_table(outcomes: list[tuple[str, str, int]]) -> Table:
    """Return what became of the failed checks, and why."""
    table = Table(Column("Failed checks", justify="right"), "Outcome", "Why", box=None, pad_edge=False)
    for outcome, why, count in outcomes:
        table.add_row(f"{count:,}", outcome, why)
    return table


def requests(methods: Counter[str]) -> str:
    """Say how many requests of each kind there were."""
    names = {"GET": "read", "POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}
    counts = Counter[str]()
    for method, count in methods.items():
        counts[names.get(method, method)] += count
    return ", ".join(f"{count:,} {name} requests" for name, count in counts.items()) or "no request at all"


def say_where_to_look(stack: Stack, url: str, *, keep: bool) -> None:
    """Keep the instance up while somebody may be looking, or say how to get it."""
    if not keep:
        console.print(
            "The ServiceNow has ended, and its links with it: [bold]make demo KEEP=1[/] keeps it, "
            "[bold]make up[/] starts it together with Airflow's own pages."
        )
        return
    console.print(f"Open the links above, or [bold]{url}[/]. Ctrl-C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            stack.check()
            time.sleep(1)


def step(title: str) -> None:
    """Head a part of the output."""
    console.rule(f"[bold]{title}", align="left")


if __name__ == "__main__":
    sys.exit(main())
