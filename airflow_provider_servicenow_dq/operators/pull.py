"""The operator that tells what people did to tickets."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.pulling.taking import Taking
    from airflow_provider_servicenow_dq.projects.project import Project

#: Changes that an asset event lists, and characters of a text in it.
_LISTED: Final = 50
_LONGEST: Final = 100
_IN_EVENTS: Final = ("anomaly_id", "source", "ticket", "sys_id", "field", "new", "status", "sequence")


class ServiceNowPullIncidentsOperator(BaseOperator):
    """Tell what people did to the tickets of anomalies, each change once, and let the anomalies follow.

    Every ticket that the store knows in the project's table is followed, whoever opened it. What is new is
    written down in the store: the status of an anomaly follows the state of its ticket, as far as the
    project's ``sync`` says so (a false positive is ``invalid``, a duplicate ``duplicate``). What our own
    tasks wrote is no change, and what was pulled is not pushed back to the ticket that it came from.

    Returned are the changes since the last successful run of this task, at most 1,000 or 1 MB of them; a
    retry returns the same. Each asset among the task's ``outlets`` gets an event that lists them in short,
    when there are any.

    It needs a store that all workers share.

    :param include_notes: Tell work notes and comments, too.
    :param reset: Read every ticket again instead of what was updated since the last pull; what was told once
        is not told again.
    :param output_path: Where to write all changes as JSON lines instead of returning them, however many they
        are, e.g. ``s3://aws_default@bucket/changes/{{ run_id }}.jsonl``. (templated)
    :param project: Whose table, and whose rules for what is kept in step. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Write nothing down, emit no event, and return what would be new.
    """

    template_fields: Sequence[str] = ("output_path", "project", "servicenow_conn_id")
    ui_color = "#d3eadf"
    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    def __init__(
        self,
        *,
        include_notes: bool = True,
        reset: bool = False,
        output_path: str | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.include_notes = include_notes
        self.reset = reset
        self.output_path = output_path
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull, and return the changes that this task was not told yet."""
        from airflow_provider_servicenow_dq.desk.pull import pull  # noqa: PLC0415 (as above)
        from airflow_provider_servicenow_dq.desk.pulling import taking  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (as above)
        from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (loads pydantic)

        hook, rules = choose(self.servicenow_conn_id, self.project)
        with open_desk(hook, needs_shared_store=True) as desk:
            outcome = pull(
                desk, rules, include_notes=self.include_notes, reset=self.reset, dry_run=self.dry_run
            )
            self.log.info("%s tickets compared, %s changes are new", outcome.tickets, outcome.changes)
            if self.dry_run:
                self._tell_nobody()
                return _answer(outcome.rehearsed[: taking.MOST], len(outcome.rehearsed)) | {"dry_run": True}
            taken = self._take(desk, rules, context)
            told = self._hand_over(desk, taken)
            self._tell_outlets(told, context, rules, desk.host)
            taking.returned(desk, taken)
        told.pop("listed")
        return told

    def _take(self, desk: Desk, rules: Project, context: Context) -> Taking:
        from airflow_provider_servicenow_dq.desk.pulling import taking  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.operators.succeeded import asking  # noqa: PLC0415 (only here)
        from airflow_provider_servicenow_dq.store.taken import Consumer  # noqa: PLC0415 (loads SQLAlchemy)

        ti: Any = context.get("ti")
        name = self.task_id if ti is None else f"{ti.dag_id}/{ti.task_id}"
        if ti is not None and (ti.map_index or 0) > -1 and ti.map_index is not None:
            name = f"{name}/{ti.map_index}"
        return taking.take(
            desk,
            Consumer(desk.host, rules.table, name),
            "" if ti is None else ti.run_id,
            succeeded=asking(ti),
            include_notes=self.include_notes,
            all_of_them=self.output_path is not None,
        )

    def _hand_over(self, desk: Desk, taken: Taking) -> dict[str, Any]:
        from airflow_provider_servicenow_dq.desk.pulling import taking  # noqa: PLC0415 (loads SQLAlchemy)

        if self.output_path is None:
            changes = list(taking.read(desk, taken))
            return _answer(changes, len(changes), truncated=taken.truncated) | {"listed": changes[:_LISTED]}
        from airflow.sdk import ObjectStoragePath  # noqa: PLC0415 (loads fsspec)

        from airflow_provider_servicenow_dq.operators.lines import write_lines  # noqa: PLC0415 (only here)

        listed = list(islice(taking.read(desk, taken), _LISTED))
        written = write_lines(taking.read(desk, taken), ObjectStoragePath(self.output_path))
        return _answer([], written["count"]) | {"path": written["path"], "listed": listed}

    def _tell_outlets(self, told: Mapping[str, Any], context: Context, rules: Project, host: str) -> None:
        """Let the events of this task's outlets list the changes; without any there are none."""
        from airflow.sdk import Asset, AssetAlias  # noqa: PLC0415 (DAG files pay for it)
        from airflow.sdk.definitions.asset import AssetRef  # noqa: PLC0415 (as above)

        if "outlet_events" not in context:
            return
        if not told["count"]:
            self._tell_nobody()
            return
        extra: Any = {
            "count": told["count"],
            "truncated": told["truncated"],
            "changes": [_short(change) for change in told["listed"]],
        }
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                asset = Asset(f"servicenow://{host}/{rules.table}")
                context["outlet_events"][outlet].add(asset, extra=extra)
            elif isinstance(outlet, (Asset, AssetRef)):
                context["outlet_events"][outlet].extra.update(extra)

    def _tell_nobody(self) -> None:
        # Airflow emits an event for each outlet of a task that succeeds; this is the copy for this run.
        self.outlets = []


def _answer(changes: list[dict[str, Any]], count: int, *, truncated: bool = False) -> dict[str, Any]:
    return {"schema_version": 1, "changes": changes, "count": count, "truncated": truncated}


def _short(change: Mapping[str, Any]) -> dict[str, Any]:
    short = {name: change[name] for name in _IN_EVENTS}
    text = short["new"] or ""
    return {**short, "new": text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"}
