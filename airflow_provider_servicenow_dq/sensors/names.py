"""The tickets that a sensor's parameter names: as people do, or as an operator's results do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.tickets.named import read_name

if TYPE_CHECKING:
    from collections.abc import Iterable


def names_in(incident: Any) -> list[Any]:
    """Return the names of tickets in a parameter.

    :param incident: A number, a sys_id, an address, a result or a ticket of one; or a list of them, also one
        of lists, as mapped tasks return.
    """
    if incident is None:
        return []
    if isinstance(incident, (list, tuple)):
        return [name for each in incident for name in names_in(each)]
    if isinstance(incident, Mapping) and "ticket" in incident:
        # A result without a ticket says that its anomaly needs none.
        return names_in(incident["ticket"])
    if isinstance(incident, Mapping) and incident.get("url"):
        return [incident["url"]]
    return [incident]


def bare_names(names: Iterable[Any], *, host: str) -> list[str]:
    """Return those names that do not tell the table."""
    return [name for name in names if isinstance(name, str) and not read_name(name, host=host).table]
