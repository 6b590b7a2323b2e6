"""What came of work for one anomaly, as its route answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, DeliveryRefusedError
from airflow_provider_servicenow_dq.operators.running import longest_wait
from airflow_provider_servicenow_dq.store import asked_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.result import Result
    from airflow_provider_servicenow_dq.exceptions import ServiceNowError
    from airflow_provider_servicenow_dq.store.asked_for import Known


def checked(results: Sequence[Result], failures: Sequence[str], pending: Sequence[ServiceNowError]) -> Result:
    """Return the one result, if what it tells of is done.

    :raises ServiceNowError: If it is not: what may go better later, or what was refused for good.
    """
    if failures:
        words = "; ".join(failures)
        if not pending:
            raise DeliveryRefusedError(words)
        raise DeliveryPendingError(words, longest_wait(pending)) from pending[0]
    return results[0]


def shown(desk: Desk, known: Known, result: Result) -> dict[str, Any]:
    """Return a result with the id of the link that it tells of."""
    with desk.store.snapshot() as connection:
        links = asked_for.links_of(connection, known.key, instance=desk.host).links
    sys_id = result["ticket"]["ticket_id"]
    return {**result, "link_id": next((link.id for link in links if link.ticket.sys_id == sys_id), None)}
