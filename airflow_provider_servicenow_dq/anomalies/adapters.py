"""The adapters there are: ours, and those that installed packages bring (:mod:`.entry_points`)."""

from __future__ import annotations

import logging
from typing import Final

from airflow_provider_servicenow_dq.anomalies import (
    airflow_sql,
    custom,
    datadog,
    dbt,
    entry_points,
    great_expectations,
    pandera,
    qualytics,
    soda,
)
from airflow_provider_servicenow_dq.anomalies.adapter import Adapter
from airflow_provider_servicenow_dq.anomalies.places import shown
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

AUTO: Final = "auto"

_log = logging.getLogger(__name__)

_OURS: Final = {
    module.SOURCE: Adapter.of(module.SOURCE, module)
    for module in (custom, airflow_sql, datadog, dbt, great_expectations, pandera, qualytics, soda)
}
_TAKEN: Final = frozenset({AUTO, *_OURS})
#: Sources that this package reads by itself.
SOURCES: Final = tuple(_OURS)


def named(source: str) -> Adapter:
    """Return the adapter of a source.

    :raises AnomalyFormatError: If there is none, or if the one that a package brings cannot be used.
    """
    # Also who names a source of ours hears of a package that tries to take that name.
    entry_points.offered(_TAKEN)
    if source in _OURS:
        return _OURS[source]
    theirs = entry_points.loaded(_TAKEN)
    if source in theirs.usable:
        return theirs.usable[source]
    reason = f"is not known; known are {AUTO}, {', '.join(sources())}"
    raise AnomalyFormatError(source, "source", theirs.unusable.get(source, reason))


def sources() -> list[str]:
    """Return every source that can be read, ours first."""
    return [*_OURS, *entry_points.loaded(_TAKEN).usable]


def is_option(name: str) -> bool:
    """Whether an adapter takes this option."""
    return any(name in adapter.options for adapter in _OURS.values()) or name in options()


def options() -> list[str]:
    """Return the names of all adapters' options."""
    return sorted({name for source in sources() for name in named(source).options})


def is_one_payload(payload: object, source: str) -> bool:
    """Whether a list is the payload itself, as Pandera's failure cases are, and no list of payloads."""
    return any(_claims_list(named(name), payload) for name in (sources() if source == AUTO else [source]))


def _claims_list(adapter: Adapter, payload: object) -> bool:
    try:
        return adapter.recognises(payload)
    except AnomalyFormatError:
        # An adapter that knows no lists reads what they hold.
        return False


def recognised(payload: object) -> Adapter:
    """Return the one adapter that knows the payload by its shape.

    :raises AnomalyFormatError: If none does, or several do: to guess would be to give a problem another's
        identity.
    """
    claims = []
    faults = list(entry_points.loaded(_TAKEN).unusable.values())
    for source in sources():
        try:
            if named(source).recognises(payload):
                claims.append(source)
        except AnomalyFormatError as fault:
            # One broken adapter must not keep the others from reading what is theirs.
            _log.warning("%s", fault)
            faults.append(fault.reason)
    if len(claims) == 1:
        return named(claims[0])
    raise AnomalyFormatError(AUTO, "", _undecided(payload, claims, faults))


def _undecided(payload: object, claims: list[str], faults: list[str]) -> str:
    if claims:
        way_out = f'name the source, as in source="{claims[0]}"'
        return f"{shown(payload)} may be the payload of {' or '.join(claims)}: {way_out}"
    known = ", ".join(sources())
    reason = f"{shown(payload)} is the payload of no known source; known are {known}. "
    if isinstance(payload, str):
        reason += "A text can be many things: name the source, or pass the object instead of its text"
    else:
        reason += f'If it is one of these all the same, name the source, as in source="{SOURCES[0]}"'
    return "; ".join([reason, *faults])
