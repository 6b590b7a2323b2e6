"""Anomalies of Qualytics.

Read are the API's ``GetAnomalyListing`` (OpenAPI 20251024; the older ``GetAnomaly`` has comments as well),
its list pages, the document that a flow posts to a webhook, and the ticket as Qualytics itself writes it into
ServiceNow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Report, Severity, Status
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

SOURCE = "qualytics"

_FLOW_EVENT = "qualytics.flow.triggered"
_KINDS = {"record": Kind.RECORD, "shape": Kind.SHAPE}
_STATUSES = {status.value: status for status in Status}
_TICKET_FACT = re.compile(r"^\*\*(?P<name>[\w ]{1,40}):\*\*[ \t]*(?P<value>.*)$", re.MULTILINE)
_TICKET_CHECK = re.compile(r"^- (.+)$", re.MULTILINE)
_DATASTORE_PATH = re.compile(r"/(datastores/\d+)(?:/|$)")


def recognises(payload: object) -> bool:
    """Whether this is an anomaly, a page of them, a flow's document or Qualytics' own ticket."""
    if not isinstance(payload, Mapping):
        return False
    return (
        payload.get("event") == _FLOW_EVENT
        or _is_listing(payload)
        or {"ticket", "anomaly_id"} <= payload.keys()
        or _is_page(payload)
    )


def read(
    payload: object,
    *,
    dataset: str | None = None,
    base_url: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> Report:
    """Read anomalies; what Qualytics has archived comes with its archived status.

    :param payload: An anomaly, a list or an API page (``{"items": […]}``) of them, a flow's webhook document,
        or a ``{"ticket": …, "anomaly_id": …}`` response.
    :param dataset: What the anomalies are about, where the payload names neither datastore nor container.
    :param base_url: Address of Qualytics, for links that the API does not give.
    :param weights: Least weight of each severity, e.g. ``{"critical": 50, "high": 20}``; Qualytics publishes
        no scale, so that without it, and below all of them, the severity is medium.
    """
    top = Foreign(SOURCE, "", payload)
    fallback = option(SOURCE, "dataset", dataset)
    fallback.text_or_none()
    address = option(SOURCE, "base_url", base_url).text_or_none()
    if isinstance(payload, (list, tuple)):
        places = top.each()
    elif isinstance(payload, Mapping) and "items" in payload:
        places = top.at("items").each()
    elif isinstance(payload, Mapping) and payload.get("event") == _FLOW_EVENT:
        return Report(
            anomalies=[_from_flow(top, place, fallback) for place in top.at("context").at("anomalies").each()]
        )
    elif isinstance(payload, Mapping) and "ticket" in payload:
        return Report(anomalies=[_from_ticket(top, fallback)])
    else:
        places = [top]
    least = {name: _number(weight) for name, weight in option(SOURCE, "weights", weights).entries()}
    return Report(anomalies=[_from_listing(place, fallback, address, least) for place in places])


def _is_listing(value: object) -> bool:
    return isinstance(value, Mapping) and {"failed_checks", "datastore"} <= value.keys()


def _is_page(payload: Mapping[Any, Any]) -> bool:
    items = payload.get("items")
    if not isinstance(items, (list, tuple)):
        return False
    # An empty page is known by its numbers alone.
    return _is_listing(items[0]) if items else {"total", "page", "size"} <= payload.keys()


def _from_listing(
    place: Foreign, fallback: Foreign, base_url: str | None, weights: Mapping[str, float]
) -> Anomaly:
    place.at("id").text()
    checks = [failed.at("quality_check") for failed in place.at("failed_checks").each()]
    messages = unique([failed.at("message").text_or_none() for failed in place.at("failed_checks").each()])
    type_name = place.at("type").text_or_none()
    ids = sorted(unique([check.maybe("id").text_or_none() for check in checks]))
    rules = unique([check.maybe("rule_type").text_or_none() for check in checks])
    fields = [field.at("name").text_or_none() for check in checks for field in check.maybe("fields").each()]
    failed_count = place.at("anomalous_records_count").count()
    return place.anomaly(
        source=SOURCE,
        external_id=place.at("id"),
        dataset=_dataset(place, place.at("container").maybe("name"), fallback),
        check_id=place.at("failed_checks").but(short_id(",".join(ids))) if ids else None,
        check_name=place.at("failed_checks").but(cut(", ".join(rules), MAX_NAME))
        if rules
        else place.at("type").but(type_name or "anomaly"),
        kind=_KINDS.get(type_name or "", Kind.CHECK_FAILED),
        type=place.at("type"),
        columns=unique(fields),
        severity=_severity(place.at("weight"), weights),
        status=_status(place.at("status"), archived=place.at("archived").value is True),
        detected_at=place.at("created"),
        failed_count=failed_count,
        failed_unit="rows" if failed_count is not None else None,
        message=place.at("message").text_or_none()
        or place.at("description").text_or_none()
        or "\n".join(messages)
        or None,
        failed_checks=messages,
        tags=unique([tag.at("name").text_or_none() for tag in place.at("global_tags").each()]),
        url=_link(place, base_url),
        comments=[_comment(comment) for comment in place.at("comments").each()],
    )


def _from_flow(document: Foreign, place: Foreign, fallback: Foreign) -> Anomaly:
    place.at("id").text()
    type_name = place.at("type").text_or_none()
    description = place.at("description").text_or_none()
    names = unique(
        [check.at("name").text_or_none() for check in document.at("context").at("quality_checks").each()]
    )
    return place.anomaly(
        source=SOURCE,
        external_id=place.at("id"),
        dataset=_dataset(document, place.at("container"), fallback),
        # The document does not say which check found which anomaly.
        check_name=document.at("context").at("quality_checks").but(names[0])
        if len(names) == 1
        else place.at("type").but(type_name or "anomaly"),
        kind=_KINDS.get(type_name or "", Kind.CHECK_FAILED),
        type=place.at("type"),
        columns=unique([place.at("field").text_or_none()]),
        detected_at=place.at("created_at"),
        message=description,
        failed_checks=unique([description]),
        url=document.at("target_link").text_or_none(),
    )


def _from_ticket(response: Foreign, fallback: Foreign) -> Anomaly:
    description = response.at("ticket").at("description")
    text = description.text()
    facts = {fact["name"]: fact["value"].strip() for fact in _TICKET_FACT.finditer(text)}
    if not facts.get("Anomaly ID"):
        raise description.refuse("is not the text of a Qualytics ticket: it names no Anomaly ID")
    type_name = facts.get("Type") or None
    link = facts.get("View in Qualytics") or ""
    datastore = _DATASTORE_PATH.search(_path_of(link))
    if not fallback.value and not datastore:
        raise description.refuse("does not say what the anomaly is about: give the option dataset")
    messages = _TICKET_CHECK.findall(text)
    return description.anomaly(
        source=SOURCE,
        external_id=description.but(facts["Anomaly ID"])
        if response.at("anomaly_id").value is None
        else response.at("anomaly_id"),
        dataset=description.but(datastore[1]) if datastore else fallback,
        check_name=description.but(type_name or "anomaly"),
        kind=_KINDS.get(type_name or "", Kind.CHECK_FAILED),
        type=description.but(type_name),
        status=_status(Foreign(SOURCE, description.path, facts.get("Status")), archived=False),
        detected_at=description.but(facts.get("Detected") or None),
        message="\n".join(messages) or None,
        failed_checks=messages,
        url=link or None,
    )


def _dataset(place: Foreign, container: Foreign, fallback: Foreign) -> Foreign:
    datastore = place.at("datastore").maybe("name")
    names = unique([datastore.text_or_none(), container.text_or_none()])
    if not names and not fallback.value:
        raise place.refuse("names neither datastore nor container: give the option dataset")
    named = container if container.value else datastore
    return named.but(".".join(names)) if names else fallback


def _status(place: Foreign, *, archived: bool) -> Status:
    # Qualytics has added statuses before. An unknown one must neither stop the sync nor resolve a ticket.
    unknown = Status.DISCARDED if archived else Status.ACTIVE
    return _STATUSES.get((place.text_or_none() or "").lower(), unknown)


def _severity(weight: Foreign, weights: Mapping[str, float]) -> Severity:
    if weight.value is None or not weights:
        return Severity.MEDIUM
    value = _number(weight)
    reached = [severity for severity in Severity if severity in weights and value >= weights[severity]]
    return max(reached, key=lambda severity: severity.rank, default=Severity.MEDIUM)


def _number(place: Foreign) -> float:
    number: object = place.value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise place.refuse("a number is due here")
    return number


def _comment(place: Foreign) -> dict[str, Any]:
    user = place.at("user")
    comment = {
        "id": place.at("id").text_or_none(),
        "author": user.maybe("name").text_or_none() or user.maybe("email").text_or_none(),
        "body": place.at("message").text(),
        "created_at": place.at("created").value,
    }
    return {key: value for key, value in comment.items() if value is not None}


def _link(place: Foreign, base_url: str | None) -> str | None:
    datastore = place.at("datastore").maybe("id").text_or_none()
    if not base_url or not datastore:
        return None
    return f"{base_url.rstrip('/')}/datastores/{datastore}/anomalies?id={place.at('id').text()}"


def _path_of(link: str) -> str:
    try:
        return urlsplit(link).path
    except ValueError:
        return ""
