"""Datadog's security findings become tickets, one for each rule and team, and stay in step with them.

A finding that is on a ticket stays there, also where people have put it. One whose team has changed moves to
that team's ticket, one that was muted leaves its ticket, and a ticket is resolved when all its findings are
closed. Another run over the same findings changes nothing. What people do to the tickets reaches the cases by
servicenow_sync.

A task of your own goes before it, which writes to `answer` what Datadog's search returns. The findings beside
this file are made up, in the form of a recorded answer; so it is paused until you want it.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow.sdk import Param, dag, task

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowAttachFindingsOperator,
    ServiceNowCreateFindingTicketsOperator,
    ServiceNowDetachFindingsOperator,
    ServiceNowPushStatusOperator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER: Final = "{{ params.answer }}"
PROJECT: Final = "{{ params.project }}"
#: Findings on a ticket, and tickets in a request.
MOST: Final = 50
MUTED: Final = {"discarded", "invalid", "duplicate"}


class Now(NamedTuple):
    """Findings by id: as Datadog has them, as we read them, and their open tickets, None for one to come."""

    raw: dict[str, Any]
    findings: dict[str, Any]
    tickets: dict[str, Any]


def look(asked: dict[str, Any]) -> Now:
    """Return what Datadog says, and what ServiceNow says."""
    # A DAG file is parsed every few seconds, and these load pydantic.
    from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415
    from airflow_provider_servicenow_dq.findings.finding import finding_of  # noqa: PLC0415

    answer = json.loads(Path(asked["answer"]).read_text())
    findings = {str(each.external_id): each for each in read_report(answer, source="datadog").anomalies}
    # Of a finding that somebody has attached by its id, only what the id tells is known.
    resources = {finding.dataset for finding in findings.values()} | {
        finding_of(each).dataset for each in findings
    }
    found = ServiceNowHook().find_open_tickets(sorted(resources), priority=5, project=asked["project"])
    tickets = {item["anomaly_id"]: item["ticket"] for item in found}
    return Now({finding["id"]: finding for finding in answer["data"]}, findings, tickets)


@task(multiple_outputs=False)
def changed(params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the findings that are closed, and those that are open while their tickets are not."""
    now = look(params or {})
    news = [
        now.raw[each]
        for each, finding in now.findings.items()
        if finding.status == "resolved" or (finding.is_open and each not in now.tickets)
    ]
    return {"data": news}


@task(multiple_outputs=False)
def plan(params: dict[str, Any] | None = None) -> dict[str, list[Any]]:
    """Compare what Datadog says with the tickets that are open: what to open, to move and to take off."""
    now = look(params or {})
    placed = [
        (title, url, ids)
        for title, missing in wanted(now).items()
        for url, ids in places(title, missing, now)
    ]
    muted = [each for each, finding in now.findings.items() if finding.status in MUTED]
    return {
        "open": chunks([new_ticket(title, ids) for title, url, ids in placed if url is None]),
        "move": [
            {"servicenow_ticket_url": url, "findings": {"data": [now.raw[each] for each in ids]}}
            for _, url, ids in placed
            if url is not None
        ],
        "leave": chunks([each for each in muted if now.tickets.get(each)]),
    }


def wanted(now: Now) -> dict[str, list[str]]:
    """Return the findings that are not where they belong, by the title of the ticket on which they do."""
    missing: dict[str, list[str]] = {}
    for each, finding in now.findings.items():
        teams = [tag.removeprefix("team:") for tag in finding.tags if tag.startswith("team:")]
        of_rule = f"{finding.check_name[:100]} ("
        title = f"{of_rule}{(teams or ['no team'])[0][:50]})"
        ticket = now.tickets.get(each)
        # A ticket with another kind of title is one that people have chosen; None is still on its way.
        of_another_team = ticket and ticket["title"] != title and ticket["title"].startswith(of_rule)
        if finding.is_open and (each not in now.tickets or of_another_team):
            missing.setdefault(title, []).append(each)
    return missing


def places(title: str, ids: list[str], now: Now) -> Iterator[tuple[str | None, list[str]]]:
    """Yield which findings go to which ticket: to one that is there while it has room, else to a new one."""
    held = Counter(ticket["url"] for ticket in now.tickets.values() if ticket and ticket["title"] == title)
    for url, count in held.items():
        # People may have put more on it.
        room = max(0, MOST - count)
        joining, ids = ids[:room], ids[room:]
        if joining:
            yield url, joining
    for chunk in chunks(ids):
        yield None, chunk


def new_ticket(title: str, ids: list[str]) -> dict[str, Any]:
    """Return what Datadog's API calls a ticket to create."""
    findings = [{"id": each, "type": "findings"} for each in ids]
    return {
        "type": "servicenow_tickets",
        "attributes": {"title": title},
        "relationships": {"findings": {"data": findings}},
    }


def chunks(items: list[Any]) -> list[list[Any]]:
    """Return items in lists as long as a request may have them."""
    return [items[start : start + MOST] for start in range(0, len(items), MOST)]


@task(multiple_outputs=False)
def part(planned: Any, name: str) -> list[Any]:
    """Return a part of the plan; where it is empty, the task that is mapped over it is skipped."""
    return list(planned[name])


@dag(
    schedule=timedelta(hours=1),
    is_paused_upon_creation=True,
    catchup=False,
    # Two runs at once would both open what neither has seen.
    max_active_runs=1,
    tags=["servicenow", "security", "example"],
    doc_md=__doc__,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    params={
        "answer": Param(str(Path(__file__).with_suffix(".json")), type="string"),
        "project": Param("default", type="string"),
    },
)
def security_findings() -> None:
    """Tell tickets what became of their findings, then open, move and take off."""
    push = ServiceNowPushStatusOperator(
        task_id="push_status", anomalies=changed(), source="datadog", project=PROJECT
    )
    planned = plan()
    ServiceNowCreateFindingTicketsOperator.partial(
        task_id="open_tickets", findings=ANSWER, project=PROJECT
    ).expand(data=part.override(task_id="to_open")(planned, "open"))
    ServiceNowAttachFindingsOperator.partial(task_id="move", project=PROJECT).expand_kwargs(
        part.override(task_id="to_move")(planned, "move")
    )
    ServiceNowDetachFindingsOperator.partial(task_id="take_off").expand(
        findings=part.override(task_id="to_take_off")(planned, "leave")
    )
    push >> planned


security_findings()
