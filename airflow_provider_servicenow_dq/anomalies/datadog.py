"""Security findings of Datadog, as its list and search endpoints (``/api/v2/security/findings``) return them.

The fields are those of Datadog's findings schema; the forms were seen in recorded answers. What matters is at
``attributes.attributes.custom``, and times are milliseconds.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from airflow_provider_servicenow_dq.anomalies.documents import document
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Report, Severity, Status
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

SOURCE = "datadog"

_FINDING: Final = "finding"
_SEVERITIES: Final = {**{severity.value: severity for severity in Severity}, "none": Severity.INFO}
_CLOSED: Final = frozenset({"auto_closed", "resolved"})
_MUTED: Final = {"duplicate": Status.DUPLICATE, "false_positive": Status.INVALID}
_COMPLIANCE: Final = frozenset({"identity_risk", "misconfiguration"})
_LIBRARY: Final = "library_vulnerability"
# How Datadog marks text as Markdown.
_MARKDOWN: Final = re.compile(r"^\s*%%%\s*|\s*%%%\s*$")

_log = logging.getLogger(__name__)


def recognises(payload: object) -> bool:
    """Whether this is a finding, or an answer that holds one or several."""
    if not isinstance(payload, Mapping):
        return False
    data = payload.get("data", payload)
    if isinstance(data, (list, tuple)):
        meta = payload.get("meta")
        # A search that found nothing.
        return (
            _is_finding(data[0])
            if data
            else isinstance(meta, Mapping) and {"elapsed", "status"} <= meta.keys()
        )
    return _is_finding(data)


def read(payload: object, *, dataset: str | None = None, base_url: str | None = None) -> Report:
    """Read findings; what Datadog has closed or muted comes with that status.

    ``open`` is active and ``in-progress`` acknowledged. Closed findings are resolved, and so is one whose
    resource passes its rule (``compliance.evaluation``): Datadog lists those as open, too. Muted ones are
    invalid (a false positive), duplicate, or else discarded. The severity is the adjusted one.

    :param payload: An answer of the list or search endpoint (one page; the next is the caller's to fetch), or
        one finding; also as JSON text or the path of a file.
    :param dataset: Stands in where a finding names no resource.
    :param base_url: Address of your Datadog, e.g. ``https://app.datadoghq.com``, for links to findings.
    """
    top = Foreign(SOURCE, "", document(SOURCE, payload))
    places = top.each() if isinstance(top.value, (list, tuple)) else _answered(top)
    fallback = option(SOURCE, "dataset", dataset)
    fallback.text_or_none()
    address = option(SOURCE, "base_url", base_url).text_or_none()
    return Report(anomalies=[_anomaly(place, fallback, address) for place in places])


def _answered(top: Foreign) -> list[Foreign]:
    """Return the findings of an answer, or the one that this is itself."""
    if (errors := top.at("errors")).value is not None:
        raise errors.refuse(f"Datadog answered with an error: {_errors(errors)}")
    if top.at("meta").maybe("status").value == "timeout":
        _log.warning("Datadog's search ran out of time: there may be more findings than these")
    data = top.at("data") if "data" in top.value else top
    return data.each() if isinstance(data.value, (list, tuple)) else [data]


def _anomaly(place: Foreign, fallback: Foreign, base_url: str | None) -> Anomaly:
    if place.at("type").value != _FINDING:
        raise place.at("type").refuse(_no_finding(place.at("type")))
    finding = _facts(place)
    external_id = place.at("id") if place.at("id").value is not None else finding.at("finding_id")
    finding_type = finding.at("finding_type").text_or_none()
    rule = _rule(finding)
    resource = finding.at("resource_id")
    if not resource.text_or_none() and not fallback.value:
        raise resource.refuse("the resource is due here: give the option dataset")
    status = _status(finding)
    return place.anomaly(
        source=SOURCE,
        external_id=external_id.but(external_id.text()),
        dataset=resource if resource.value else fallback,
        check_id=finding.but(short_id(rule)) if rule else None,
        check_name=finding.at("title").but(cut(_title(finding, finding_type), MAX_NAME)),
        kind=Kind.SECURITY_FINDING,
        type=finding.at("finding_type"),
        severity=_severity(finding),
        status=status,
        status_changed_at=_status_changed_at(finding, status),
        detected_at=_first(finding, "last_seen_at", "detection_changed_at")
        or _first(place.at("attributes"), "timestamp"),
        observed=_resource(finding),
        message=_description(finding),
        tags=unique([tag.text_or_none() for tag in place.at("attributes").at("tags").each()]),
        owner=finding.at("workflow").maybe("triage").maybe("assignee").maybe("name").text_or_none() or None,
        url=_link(base_url, external_id.text(), finding_type),
    )


def _facts(place: Foreign) -> Foreign:
    inner = place.at("attributes").at("attributes")
    if inner.value is None and place.at("attributes").maybe("evaluation").value is not None:
        raise place.refuse(
            "is a finding of the older posture management API: read it from /api/v2/security/findings"
        )
    # Datadog's documentation shows the facts without the envelope that its answers have around them.
    return inner.at("custom") if inner.at("custom").value is not None else inner


def _rule(finding: Foreign) -> str | None:
    """Return what found it: a rule, or an advisory."""
    for place in (
        finding.at("rule").maybe("id"),
        finding.at("advisory").maybe("cve"),
        finding.at("advisory").maybe("id"),
        finding.at("title"),
    ):
        if text := place.text_or_none():
            return text
    return None


def _title(finding: Foreign, finding_type: str | None) -> str:
    for place in (
        finding.at("title"),
        finding.at("rule").maybe("name"),
        finding.at("advisory").maybe("summary"),
    ):
        if text := place.text_or_none():
            return " ".join(text.split())
    return finding_type or "security finding"


def _severity(finding: Foreign) -> Severity:
    details = finding.at("severity_details")
    for place in (
        finding.at("severity"),
        details.maybe("user_adjusted").maybe("value"),
        details.maybe("adjusted").maybe("value"),
        details.maybe("base").maybe("value"),
    ):
        if (word := (place.text_or_none() or "").lower()) in _SEVERITIES:
            return _SEVERITIES[word]
    return Severity.MEDIUM


def _status(finding: Foreign) -> Status:
    word = (finding.at("status").text_or_none() or "").lower().replace("-", "_")
    mute = finding.at("workflow").maybe("mute")
    passes = finding.at("compliance").maybe("evaluation").text_or_none() or ""
    if word in _CLOSED or passes.lower() == "pass":
        return Status.RESOLVED
    if word == "muted" or mute.maybe("is_muted").value is True:
        return _MUTED.get((mute.maybe("reason").text_or_none() or "").lower(), Status.DISCARDED)
    # An unknown status must neither stop the sync nor resolve a ticket.
    return Status.ACKNOWLEDGED if word == "in_progress" else Status.ACTIVE


def _status_changed_at(finding: Foreign, status: Status) -> Foreign | None:
    workflow = finding.at("workflow")
    if status is Status.RESOLVED:
        return _first(workflow, "auto_closed_at") or _first(finding, "detection_changed_at")
    muted = status not in {Status.ACTIVE, Status.ACKNOWLEDGED}
    return _first(workflow.maybe("mute"), "muted_at") if muted else None


def _first(place: Foreign, *keys: str) -> Foreign | None:
    return next((place.at(key) for key in keys if place.maybe(key).value is not None), None)


def _resource(finding: Foreign) -> str | None:
    name, kind = (finding.at(key).text_or_none() for key in ("resource_name", "resource_type"))
    return f"{name} ({kind})" if name and kind else name or kind


def _description(finding: Foreign) -> str | None:
    text = finding.at("description").text_or_none() or finding.at("advisory").maybe("summary").text_or_none()
    return _MARKDOWN.sub("", text or "") or None


def _link(base_url: str | None, finding_id: str, finding_type: str | None) -> str | None:
    """Return the page of a finding, where recorded cases show how Datadog links to it."""
    if not base_url:
        return None
    base = base_url.rstrip("/")
    if finding_type in _COMPLIANCE:
        return f"{base}/security/compliance?query={quote(f'@finding_id:{finding_id}', safe='')}"
    if finding_type == _LIBRARY and (vulnerability := _decoded(finding_id).partition("~")[0]):
        page = f"vulnerability/{quote(vulnerability, safe='')}?detection=static"
        return f"{base}/security/appsec/vm/library/{page}"
    return None


def _decoded(finding_id: str) -> str:
    try:
        return base64.urlsafe_b64decode(finding_id).decode()
    except ValueError:
        return ""


def _no_finding(place: Foreign) -> str:
    known = {
        "findings": "a reference to a finding, which says nothing but its id",
        "cases": "a case, not a finding",
        "detailed_finding": "a finding of the older posture management API",
    }
    said = known.get(place.value) if isinstance(place.value, str) else None
    return f"{said}: what /api/v2/security/findings returns is due here" if said else "'finding' is due here"


def _errors(errors: Foreign) -> str:
    said = []
    for error in errors.each():
        if isinstance(error.value, Mapping):
            parts = [error.at(key).text_or_none() for key in ("status", "title", "detail")]
            said.append(" ".join(unique(parts)))
        else:
            said.append(error.scalar_text() or "")
    return cut("; ".join(unique(said)) or "no reason given", MAX_NAME)


def _is_finding(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("type") == _FINDING and "attributes" in value
