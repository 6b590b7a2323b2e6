"""Operators for ServiceNow."""

from __future__ import annotations

from airflow_provider_servicenow_dq.operators.create import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.operators.deliver import ServiceNowDeliverOperator
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
    "ServiceNowCreateIncidentOperator",
    "ServiceNowDeliverOperator",
    "ServiceNowGetRecordsOperator",
    "ServiceNowLinkIncidentOperator",
    "ServiceNowPullIncidentsOperator",
    "ServiceNowPushCommentsOperator",
    "ServiceNowPushStatusOperator",
    "ServiceNowUnlinkIncidentOperator",
    "servicenow_retry_policy",
]
