"""Views: which columns ``sysparm_view`` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.schema import Schema

_TASK_VIEWS = {
    "mobile": (
        "sys_id", "number", "short_description", "state", "priority", "assigned_to", "assignment_group",
        "opened_at", "sys_updated_on",
    ),
}  # fmt: skip


def fields_of(schema: Schema, table: str, view: str) -> tuple[str, ...] | None:
    """Return the columns of a view, None for all, as of the desktop's and of one that nobody made."""
    if "task" not in schema[table].lineage:
        return None
    return _TASK_VIEWS.get(view.lower())
