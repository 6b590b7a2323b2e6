"""The link from a task to its ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: XCom key under which a task leaves the address of its first ticket. The link's own ``xcom_key`` is
#: Airflow's to write.
URL_KEY: Final = "servicenow_url"


class ServiceNowRecordLink(BaseOperatorLink):
    """Opens the first ticket of the task in ServiceNow; empty while there is none."""

    name = "Open in ServiceNow"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """Return the address that the task left behind."""
        from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415 (only a running task can ask)

        return XCom.get_value(ti_key=ti_key, key=URL_KEY) or ""
