"""What everything that runs in a task shares: whose task instance it is, and what its parameters hold."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.desk.desk import Run


def run_of(context: Context) -> Run:
    """Return who runs; outside a DAG nobody, and nobody else."""
    from airflow_provider_servicenow_dq.desk.desk import Run  # noqa: PLC0415 (loads SQLAlchemy)

    if "ti" not in context:
        return Run(unique=uuid.uuid4().hex)
    ti = context["ti"]
    return Run(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def user_of(context: Mapping[str, Any]) -> str | None:
    """Return who triggered the DAG run, as the auth manager calls them; nobody did in a scheduled one.

    That is a user name: with the simple auth manager the one of its list, with FAB's the user's name there,
    which many ways to log in make an e-mail address.
    """
    user = getattr(context.get("dag_run"), "triggering_user_name", None)
    return user if isinstance(user, str) and user.strip() else None


def rendered_payload(payload: Any, *, parameter: str = "anomalies") -> Any:
    """Return the value of a parameter; a template renders to text, so JSON text is read.

    :param parameter: What to call it.
    :raises ServiceNowConfigError: If it is a text that only looks like JSON.
    """
    if isinstance(payload, str) and payload.lstrip()[:1] in {"[", "{"}:
        try:
            return json.loads(payload)
        except ValueError:
            raise ServiceNowConfigError(
                f"{parameter} is a text that is not JSON. Pass the task's output (XComArg), or set "
                "render_template_as_native_obj=True on the DAG"
            ) from None
    return payload
