"""The operator that reads records of any table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.client.query import Query


class ServiceNowGetRecordsOperator(BaseOperator):
    """Read all records that match, and return them, or write them to object storage as JSON lines.

    :param table: Table to read. (templated)
    :param query: Equal conditions by column, or a ``Query``; an encoded one as ``Query.raw("…")``.
        (templated)
    :param fields: Columns to read; all by default. (templated)
    :param output_path: Where to write instead of returning, e.g.
        ``s3://aws_default@bucket/incidents.jsonl``. (templated)
    :param project: Read from the instance of this project. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Only count what matches, and write nothing.
    """

    template_fields: Sequence[str] = (
        "table",
        "query",
        "fields",
        "output_path",
        "project",
        "servicenow_conn_id",
    )
    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    def __init__(
        self,
        *,
        table: str,
        query: Query | Mapping[str, Any],
        fields: Sequence[str] | None = None,
        output_path: str | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.query = query
        self.fields = fields
        self.output_path = output_path
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:  # noqa: ARG002 (Airflow's signature)
        """Return the records, or the path and their count."""
        hook = self._hook()
        try:
            if self.dry_run:
                return self._rehearse(hook)
            records = hook.find_records(self.table, self.query, fields=self.fields)
            if self.output_path is None:
                return list(records)
            from airflow.sdk import ObjectStoragePath  # noqa: PLC0415 (loads fsspec)

            from airflow_provider_servicenow_dq.operators.lines import write_lines  # noqa: PLC0415 (as above)

            return write_lines(records, ObjectStoragePath(self.output_path))
        finally:
            hook.close()

    def _hook(self) -> ServiceNowHook:
        if self.project is None:
            return ServiceNowHook(self.servicenow_conn_id)
        from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (loads pydantic)

        return choose(self.servicenow_conn_id, self.project).hook

    def _rehearse(self, hook: ServiceNowHook) -> dict[str, Any]:
        from airflow_provider_servicenow_dq.client.query import as_query  # noqa: PLC0415 (DAG files pay for it)

        encoded = as_query(self.query).encode()
        count = hook.count_records(self.table, self.query)
        self.log.info("Dry run: %s records of %s match %r; none is read", count, self.table, encoded)
        return {"dry_run": True, "table": self.table, "query": encoded, "count": count}
