"""Findings of which only the id is known, and where Datadog shows one."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind
from airflow_provider_servicenow_dq.tickets.text import cut, one_line

SOURCE: Final = "datadog"

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_MOST_NAME: Final = 200
#: Findings that a description names; all of them are in the case's insights.
_MOST_LISTED: Final = 10


def finding_of(finding_id: str) -> Anomaly:
    """Return a finding of which nothing but the id is known.

    An id is the URL-safe base64 of ``<rule>~<resource>`` (all recorded ones are); both say what it is about.
    """
    rule, resource = _parts(finding_id)
    return Anomaly(
        source=SOURCE,
        external_id=finding_id,
        dataset=cut(one_line(resource) or finding_id, _MOST_NAME),
        check_name=cut(one_line(rule) or "security finding", _MOST_NAME),
        check_id=finding_id,
        kind=Kind.SECURITY_FINDING,
    )


def where_shown(finding_id: str) -> str:
    """Return the page of a finding without the host, as recorded cases have it in ``insights``."""
    rule, resource = _parts(finding_id)
    if _MD5.fullmatch(rule) and _MD5.fullmatch(resource):
        return f"/security/appsec/vm/library/vulnerability/{rule}?detection=static"
    return f"/security/compliance?query={quote(f'@finding_id:{finding_id}', safe='')}"


def title_of(findings: list[Anomaly]) -> str:
    """Return the title of a case for which none was given."""
    severest = max(findings, key=lambda finding: finding.severity.rank)
    first = f"{one_line(severest.check_name)} on {one_line(severest.dataset)}"
    if len(findings) == 1:
        return f"Security finding: {first}"
    return f"{len(findings)} security findings: {first}, and {len(findings) - 1} more"


def description_of(findings: list[Anomaly]) -> str:
    """Return the description of a case for which none was given: what is in it now."""
    if not findings:
        return "No findings."
    lines = [
        f"- {each.severity}: {one_line(each.check_name)} on {one_line(each.dataset)}"
        for each in findings[:_MOST_LISTED]
    ]
    more = [f"- and {len(findings) - _MOST_LISTED} more"] if len(findings) > _MOST_LISTED else []
    return "\n".join([f"Security findings: {len(findings)}", *lines, *more])


def _parts(finding_id: str) -> tuple[str, str]:
    """Return rule and resource; empty where the id does not tell them."""
    try:
        plain = base64.b64decode(finding_id, altchars=b"-_", validate=True).decode()
    except ValueError:
        return "", ""
    rule, tilde, resource = plain.partition("~")
    return (rule, resource) if tilde and plain.isprintable() else ("", "")
