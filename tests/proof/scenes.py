"""A scene: problems, a DAG run and a store of its own, on an instance that many scenes share at once.

Whatever belongs to a scene carries its name, on the instance too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import requests
import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Desk, Run
from airflow_provider_servicenow_dq.desk.open import Opening, open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.passes import resolve_passed
from airflow_provider_servicenow_dq.desk.push import Pushed, push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_servicenow_dq.desk.result import Result
    from airflow_provider_servicenow_dq.exceptions import ServiceNowError
    from airflow_provider_servicenow_dq.store.store import Store

#: So short that a dead process is soon forgotten.
TIMEOUT_S: Final = 0.35

#: For what is not the story itself: no slow machine may make it fail.
_PATIENCE_S: Final = 20.0

_MOST_TRIES: Final = 10
_PAUSE_S: Final = 0.05
_FIELDS: Final = "sys_id,number,state,short_description,description,reopen_count,sys_created_on"


class Came(Protocol):
    """What came of something that a task did.

    :param pending: Errors after which a later try can succeed.
    """

    results: list[Result]
    failures: list[str]
    pending: list[ServiceNowError]


@dataclass(frozen=True)
class Scene:
    """Where one story plays.

    :param name: Of one length for all, so that none begins with another's.
    :param url: The instance.
    :param stores: Returns a store by its name.
    :param timeout_s: Leases end after twice, doubts after three times as long.
    """

    name: str
    url: str
    stores: Callable[[str], Store]
    timeout_s: float = TIMEOUT_S

    @property
    def control(self) -> SandboxControl:
        return SandboxControl(self.url)

    def patient(self) -> Scene:
        """Return the scene for processes that wait longer for an answer."""
        return dataclasses.replace(self, timeout_s=_PATIENCE_S)

    @contextlib.contextmanager
    def desk(self, store: str = "store") -> Iterator[Desk]:
        """Open a desk that works at one thing at a time, so that its steps have one order."""
        config = InstanceConfig(
            self.url,
            login="svc_airflow",
            password="airflow-secret",
            timeout_s=self.timeout_s,
            max_concurrency=1,
        )
        with Transport(config) as transport:
            table_api = TableApi(transport)
            yield Desk(config, table_api, Names(table_api), self.stores(store), namespace=self.name)

    def anomaly(self, check: str = "dep_time not null", hour: int | None = 0, **fields: Any) -> Anomaly:
        """Return an anomaly; ``hour`` is when it was detected, and so which occurrence it is."""
        detected_at = None if hour is None else datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)
        return Anomaly(
            **{
                "source": "custom",
                "dataset": f"{self.name}.flights",
                "check_name": check,
                "severity": "high",
                "detected_at": detected_at,
                **fields,
            }
        )

    def run(self, run: str = "run", task: str = "task") -> Run:
        return Run("dag", f"{self.name}-{run}", task)

    def report(
        self,
        *anomalies: Anomaly,
        store: str = "store",
        run: str = "run",
        task: str = "task",
        columns: dict[str, str] | None = None,
        user: str | None = None,
        **rules: Any,
    ) -> Opening:
        """Report anomalies as a task of a DAG would."""
        with self.desk(store) as desk:
            order = Order(Project(**rules), columns=columns or {}, user=user)
            return open_tickets(desk, anomalies, order=order, run=self.run(run, task))

    def push_status(self, *anomalies: Anomaly, run: str = "run", task: str = "push") -> Pushed:
        with self.desk() as desk:
            return push_status(desk, anomalies, run=self.run(run, task))

    def push_comments(self, *anomalies: Anomaly, run: str = "run", task: str = "push") -> Pushed:
        with self.desk() as desk:
            return push_comments(desk, anomalies, run=self.run(run, task))

    def passed(self, *anomalies: Anomaly, run: str = "run", task: str = "task", **rules: Any) -> Pushed:
        """Report that the checks of these anomalies passed."""
        found = [Pass.of(anomaly) for anomaly in anomalies]
        with self.desk() as desk:
            return resolve_passed(desk, found, failed=(), rules=Project(**rules), run=self.run(run, task))

    def deliver_waiting(self) -> Opening:
        """Deliver all that waits, as the process does that looks after everybody's."""
        with self.desk() as desk:
            clearing = deliver_waiting(desk, Run("sync", self.name, "deliver"))
        if not clearing.causes or clearing.refused:
            return Opening([], clearing.causes)
        return Opening([], clearing.causes, [DeliveryPendingError("", clearing.retry_after)])

    def incidents(self) -> list[dict[str, str]]:
        """Return the scene's incidents as they are, whoever may see them, oldest first."""
        answer = requests.get(
            f"{self.url}/api/now/table/incident",
            params={
                "sysparm_query": f"short_descriptionLIKE{self.name}^ORDERBYnumber",
                "sysparm_fields": _FIELDS,
            },
            auth=("admin", "admin"),
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()["result"]

    def notes(self, incident: dict[str, str]) -> list[str]:
        return self.control.notes(incident["sys_id"])

    def resolve(self) -> None:
        """Let a person resolve the scene's newest incident."""
        done = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
        self.control.act_as("beth.anglin", "incident", self.incidents()[-1]["sys_id"], done)


def until_done(attempt: Callable[[], Came]) -> Came:
    """Try as Airflow would: again after a wait, which an error may name."""
    came = attempt()
    for _ in range(_MOST_TRIES):
        if not came.pending:
            break
        waits = [getattr(error, "retry_after", None) or 0.0 for error in came.pending]
        time.sleep(max(waits) + _PAUSE_S)
        came = attempt()
    return came


def outcome(scene: Scene) -> dict[str, Any]:
    """Return what the instance and the store hold at the end, without what differs between equal stories."""
    # Which ticket comes first is nobody's promise, but which of two for one problem does is.
    there = sorted(scene.incidents(), key=lambda incident: incident["short_description"])
    numbers = [incident["number"] for incident in there]

    def plain(text: str) -> str:
        for place, number in enumerate(numbers, start=1):
            text = text.replace(number, f"#{place}")
        text = re.sub(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\]", "[then]", text)
        # Which of several anomalies comes first on a list depends on their keys, and so on the scene's name.
        text = re.sub(r"check \d+", "check n", text.replace(scene.name, "SCENE"))
        return re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)

    truth = [
        {
            "state": incident["state"],
            "reopened": incident["reopen_count"],
            "title": plain(incident["short_description"]),
            "description": plain(incident["description"]),
            "notes": [plain(note) for note in scene.notes(incident)],
        }
        for incident in there
    ]
    texts = [text for incident in there for text in (incident["description"], *scene.notes(incident))]
    listed = sorted(re.findall(r"^- .*check (\d+)", "\n".join(texts), re.MULTILINE))
    return {"instance": truth, "listed": listed, "store": _remembered(scene, there)}


def _remembered(scene: Scene, there: list[dict[str, str]]) -> dict[str, Any]:
    places = {incident["sys_id"]: f"#{place}" for place, incident in enumerate(there, start=1)}
    states = {incident["sys_id"]: incident["state"] for incident in there}
    with scene.stores("store").begin() as connection:
        entries = connection.execute(sa.select(schema.outbox).order_by(schema.outbox.c.id)).all()
        tickets = connection.execute(sa.select(schema.ticket)).all()
        links = connection.execute(sa.select(schema.link)).all()
        known = connection.execute(sa.select(schema.known_note)).all()
        changes = connection.execute(sa.select(schema.change)).all()
        anomalies = connection.execute(sa.select(schema.anomaly)).all()
    by_id = {ticket.id: places.get(ticket.sys_id, "gone") for ticket in tickets}
    return {
        "entries": sorted(
            [
                entry.kind,
                entry.state,
                entry.action or "",
                by_id.get(entry.ticket_id, ""),
                entry.warnings or [],
            ]
            for entry in entries
        ),
        "tickets": [
            {
                "ticket": by_id[ticket.id],
                "in step": states.get(ticket.sys_id) == ticket.state,
                "seen": [ticket.seen, ticket.seen_at_note, ticket.severity],
                "opened by us in a run": ticket.opened_in is not None,
                "links": sum(link.ticket_id == ticket.id for link in links),
                "notes": sum(note.times for note in known if note.ticket_id == ticket.id),
            }
            for ticket in sorted(tickets, key=lambda ticket: by_id[ticket.id])
        ],
        "changes": sorted(
            [change.field, change.content["old"] or "", change.content["new"], change.content["by"] or ""]
            for change in changes
        ),
        "statuses": sorted(anomaly.status for anomaly in anomalies),
    }
