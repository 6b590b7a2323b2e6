"""Operators for ServiceNow.

Each is loaded when it is asked for: a DAG file is parsed again and again, and most use one or two of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.operators.create import ServiceNowCreateIncidentOperator
    from airflow_provider_servicenow_dq.operators.deliver import ServiceNowDeliverOperator
    from airflow_provider_servicenow_dq.operators.findings import (
        ServiceNowAttachFindingsOperator,
        ServiceNowCreateFindingTicketsOperator,
        ServiceNowDetachFindingsOperator,
    )
    from airflow_provider_servicenow_dq.operators.link import (
        ServiceNowLinkIncidentOperator,
        ServiceNowUnlinkIncidentOperator,
    )
    from airflow_provider_servicenow_dq.operators.pull import ServiceNowPullIncidentsOperator
    from airflow_provider_servicenow_dq.operators.push import (
        ServiceNowPushCommentsOperator,
        ServiceNowPushStatusOperator,
    )
    from airflow_provider_servicenow_dq.operators.records import ServiceNowGetRecordsOperator
    from airflow_provider_servicenow_dq.operators.retries import servicenow_retry_policy

__all__ = [
    "ServiceNowAttachFindingsOperator",
    "ServiceNowCreateFindingTicketsOperator",
    "ServiceNowCreateIncidentOperator",
    "ServiceNowDeliverOperator",
    "ServiceNowDetachFindingsOperator",
    "ServiceNowGetRecordsOperator",
    "ServiceNowLinkIncidentOperator",
    "ServiceNowPullIncidentsOperator",
    "ServiceNowPushCommentsOperator",
    "ServiceNowPushStatusOperator",
    "ServiceNowUnlinkIncidentOperator",
    "servicenow_retry_policy",
]

_MODULES: Final = {
    "ServiceNowAttachFindingsOperator": "findings",
    "ServiceNowCreateFindingTicketsOperator": "findings",
    "ServiceNowDetachFindingsOperator": "findings",
    "ServiceNowCreateIncidentOperator": "create",
    "ServiceNowDeliverOperator": "deliver",
    "ServiceNowGetRecordsOperator": "records",
    "ServiceNowLinkIncidentOperator": "link",
    "ServiceNowPullIncidentsOperator": "pull",
    "ServiceNowPushCommentsOperator": "push",
    "ServiceNowPushStatusOperator": "push",
    "ServiceNowUnlinkIncidentOperator": "link",
    "servicenow_retry_policy": "retries",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__package__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
