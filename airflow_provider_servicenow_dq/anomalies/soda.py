"""Results of Soda: scans of Soda Core 3, contract verifications of Soda Core 4.

Version 3 gives a document (``Scan.get_scan_results()``, or the file of ``Scan.set_scan_results_file``),
version 4 objects (``verify_contract_locally()``), which are read as they are or as dicts of their attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.anomalies import soda_contract, soda_scan
from airflow_provider_servicenow_dq.anomalies.documents import document
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option
from airflow_provider_servicenow_dq.anomalies.soda_attributes import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.anomalies.model import Report

SOURCE = "soda"


def recognises(payload: object) -> bool:
    """Whether this is a scan's results, a contract's or those of a session with several contracts."""
    return (
        soda_scan.is_scan(payload) or soda_contract.is_session(payload) or soda_contract.is_contract(payload)
    )


def read(
    payload: object, *, dataset: str | None = None, severities: Mapping[str, str] | None = None
) -> Report:
    """Read the results of a scan or of contracts.

    A check that failed is high, one that warned is medium, unless its attribute ``severity`` says something
    else. The attribute ``owner`` becomes the owner, all others become tags. What was not evaluated is neither
    a pass nor a failure. Where a scan or a verification broke off, that is a ``check_error``.

    :param payload: The scan's document, as it is, as JSON text or as the path of its file; the result of a
        contract or of a session, as Soda's object or as a dict of its attributes.
    :param dataset: What was checked, where the payload does not say it.
    :param severities: What your words in the attribute ``severity`` mean, e.g. ``{"sev1": "critical"}``;
        ``critical``, ``high``, ``medium``, ``low`` and ``info`` mean themselves.
    """
    top = Foreign(SOURCE, "", document(SOURCE, payload))
    asked = Asked.of(option(SOURCE, "dataset", dataset), option(SOURCE, "severities", severities))
    if soda_scan.is_scan(top.value):
        return soda_scan.read(top, asked)
    if soda_contract.has_checks(top.value):
        return soda_contract.read_contract(top, asked)
    if soda_contract.has_contracts(top.value):
        return soda_contract.read_session(top, asked)
    raise top.refuse("a scan's results, or those of a contract or of several, are due here")
