"""``servicenow-dq plan``: what would be sent for a payload, as a diff against what the instance has now."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from airflow_provider_servicenow_dq.commands.memory import opened, store_option
from airflow_provider_servicenow_dq.commands.printing import output_option, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report
    from airflow_provider_servicenow_dq.desk.rehearsal import Rehearsed, Write

#: With --exit-code: something would be sent. 1 is an error and 2 a command that was typed wrong.
_WOULD_SEND: Final = 3
#: Characters of a value in a table.
_VALUE_LENGTH: Final = 200


@click.command()
@click.argument("path", metavar="PAYLOAD")
@click.option(
    "--conn-id",
    default="servicenow_default",
    show_default=True,
    help="Airflow connection, unless the project names one.",
)
@click.option("--project", metavar="ID", help="Rules to plan by; the built-in ones by default.")
@click.option("--source", default="auto", show_default=True, help="The tool that wrote the payload.")
@click.option(
    "--source-option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    callback=lambda _, __, pairs: dict(_pair(text) for text in pairs),
    help="A hint for reading it, e.g. dataset=sales.orders. Repeatable.",
)
@click.option("--exit-code", is_flag=True, help=f"Exit with {_WOULD_SEND} if something would be sent.")
@output_option
@store_option
def plan(
    path: str,
    conn_id: str,
    project: str | None,
    source: str,
    options: Mapping[str, str],
    exit_code: bool,  # noqa: FBT001 (click calls it by name)
    output: str,
    url: str | None,
) -> None:
    """Say what would be sent to ServiceNow for the output of a tool in the file PAYLOAD; - is stdin.

    The instance and the store are read, and neither is written to; the store need not exist. Exit code 0: it
    can be sent; 1: it cannot be read, or parts of it would be refused.
    """
    # Airflow logs on stdout, where other programs expect the plan alone.
    with contextlib.redirect_stdout(sys.stderr):
        from airflow.sdk.exceptions import AirflowException  # noqa: PLC0415 (--help does not need Airflow)

        try:
            report, rehearsed = _rehearsed(_read(path), conn_id, project, source, options, url)
        except AirflowException as error:
            raise click.ClickException(f"The connection {conn_id!r} cannot be read: {error}") from error
    if output in {"json", "yaml"}:
        print_rows(list(_items(report.anomalies, rehearsed)), output)
    else:
        print_rows(list(_lines(report.anomalies, rehearsed)), output)
    number = len(rehearsed.writes)
    click.echo(
        f"Anomalies: {len(report.anomalies)}, checks passed: {report.passed}, not run: {report.not_run}. "
        f"Requests that would be sent: {number}. Nothing was sent.",
        err=True,
    )
    if rehearsed.opening.failures:
        raise click.ClickException("; ".join(rehearsed.opening.failures))
    if exit_code and number:
        raise click.exceptions.Exit(_WOULD_SEND)


def _rehearsed(
    payload: object,
    conn_id: str,
    project: str | None,
    source: str,
    options: Mapping[str, str],
    url: str | None,
) -> tuple[Report, Rehearsed]:
    from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415 (--help is quick)
    from airflow_provider_servicenow_dq.desk.desk import Run  # noqa: PLC0415 (as above)
    from airflow_provider_servicenow_dq.desk.order import Order  # noqa: PLC0415 (as above)
    from airflow_provider_servicenow_dq.desk.rehearsal import exists, rehearse_opening  # noqa: PLC0415 (as above)
    from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (loads Airflow)
    from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (as above)

    with opened(url) as store:
        report = read_report(payload, source=source, options=options)
        hook, rules = choose(conn_id, project)
        with open_desk(hook, store=store, only_reads=True) as desk:
            if not exists(desk):
                click.echo(f"{store!r} does not exist, so what was sent before is not known.", err=True)
            order = Order(rules)
            return report, rehearse_opening(desk, report.anomalies, order=order, run=Run(unique="plan"))


def _read(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise click.ClickException(f"{path} is not JSON: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _items(anomalies: Sequence[Anomaly], rehearsed: Rehearsed) -> Iterator[dict[str, Any]]:
    """Yield what becomes of each anomaly, as plain JSON."""
    results = zip(anomalies, rehearsed.opening.results, rehearsed.shares, strict=True)
    for anomaly, result, writes in results:
        ticket = result["ticket"]
        yield {
            "anomaly_id": result["anomaly_id"],
            "source": anomaly.source,
            "check_name": anomaly.check_name,
            "dataset": anomaly.dataset,
            "severity": str(anomaly.severity),
            "action": result["action"],
            "ticket": ticket["ticket_number"] if ticket else None,
            "message": result["message"],
            "warnings": result["warnings"],
            "requests": [
                {
                    "method": write.method,
                    "table": write.table,
                    "sys_id": write.sys_id,
                    "changes": _changes(write),
                }
                for write in writes
            ],
        }


def _lines(anomalies: Sequence[Anomaly], rehearsed: Rehearsed) -> Iterator[dict[str, Any]]:
    """Yield a line for each column that would change, and one for each anomaly that changes nothing."""
    results = zip(anomalies, rehearsed.opening.results, rehearsed.shares, strict=True)
    for anomaly, result, writes in results:
        what = f"{anomaly.check_name} on {anomaly.dataset}"
        words = "; ".join([result["message"].partition(": ")[2], *result["warnings"]])
        for write in writes:
            head = {"anomaly": what, "action": result["action"], "ticket": f"{write.table} {write.number}"}
            for change in _changes(write):
                column, now, then = change["column"], _short(change["now"]), _short(change["then"])
                yield {**head, "column": column, "now": now, "then": then}
        if not writes or result["warnings"]:
            ticket = result["ticket"]["ticket_number"] if result["ticket"] else ""
            head = {"anomaly": what, "action": result["action"], "ticket": ticket}
            yield {**head, "column": "", "now": "", "then": words}


def _changes(write: Write) -> list[dict[str, str]]:
    """Return the columns that would change, with what they hold now."""
    return [
        {"column": name, "now": write.before.get(name, ""), "then": value}
        for name, value in write.values.items()
        if write.before.get(name) != value
    ]


def _short(text: str) -> str:
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 1]}…"
