"""The texts that go onto tickets, in the words of the seed, with the source's display name.

All foreign text in them is defused (:mod:`~airflow_provider_servicenow_dq.tickets.text`) and every text fits
its column. A text is made once, with its timestamp, and then only ever repeated letter for letter.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.anomalies.model import (
    Anomaly,
    Comment,
    anomaly_key,
    correlation_id,
    source_name,
)
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.text import cut, harmless, one_line, paged, text_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LISTED: Final = 10

#: A ticket's journals: for those who work on it, and for those who wait for it.
WORK_NOTES: Final = "work_notes"
COMMENTS: Final = "comments"
JOURNALS: Final = (WORK_NOTES, COMMENTS)


def note_hash(journal: str, text: str) -> str:
    """Return what tells one text of a journal from others, however the instance stores it."""
    return text_hash(text) if journal == WORK_NOTES else text_hash(f"{journal}: {text}")


def written(values: Mapping[str, str]) -> tuple[str, str]:
    """Return the journal and the text of an update; each of ours writes exactly one."""
    ((journal, text),) = ((name, values[name]) for name in JOURNALS if name in values)
    return journal, text


def stamp(moment: datetime) -> str:
    """Return ``[2026-01-23 19:51:23 UTC]``."""
    return f"[{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC]"


def details(anomaly: Anomaly, *, now: datetime) -> str:
    """Return the anomaly as the seed writes it into a description."""
    name = source_name(anomaly.source)
    facts = [
        f"**Anomaly ID:** {anomaly.external_id or anomaly.fingerprint}",
        f"**Status:** {anomaly.status.capitalize()}",
        f"**Type:** {anomaly.type or anomaly.kind}",
    ]
    if anomaly.detected_at is not None:
        facts.append(f"**Detected:** {anomaly.detected_at.astimezone(UTC)}")
    blocks = [f"## {name} Anomaly Linked {stamp(now)}", "\n".join(facts)]
    if anomaly.source != "qualytics":
        blocks.append("\n".join(_circumstances(anomaly)))
    blocks.append("\n".join(["**Failed Checks:**", *_failed_checks(anomaly)]))
    if anomaly.samples:
        # Somebody asked for them: adapters drop rows otherwise.
        blocks.append(
            "\n".join(["**Samples:**", *(f"- {one_line(row)}" for row in anomaly.samples[:_LISTED])])
        )
    link = f"\n\n**View in {name}:** {anomaly.url}" if anomaly.url else ""
    # The way back is worth more than the end of a long message.
    end = cut(harmless(link), COLUMN_LENGTHS["description"] // 2) + "\n"
    return cut(harmless("\n\n".join(blocks)), COLUMN_LENGTHS["description"] - len(end)) + end


def _circumstances(anomaly: Anomaly) -> list[str]:
    """Return what a source without a page of its own has to say in the ticket."""
    counted = ""
    if anomaly.failed_count is not None:
        total = f" of {anomaly.total_count}" if anomaly.total_count is not None else ""
        counted = f"{anomaly.failed_count}{total} {anomaly.failed_unit or ''}".rstrip()
    facts = {
        "Dataset": anomaly.dataset,
        "Columns": ", ".join(anomaly.columns),
        "Severity": anomaly.severity.capitalize(),
        "Expected": anomaly.expected,
        "Observed": anomaly.observed,
        "Failed": counted,
        "Owner": anomaly.owner,
    }
    return [f"**{label}:** {value}" for label, value in facts.items() if value]


def _failed_checks(anomaly: Anomaly) -> list[str]:
    checks = list(anomaly.failed_checks)
    if not checks:
        said = f": {anomaly.message}" if anomaly.message and anomaly.message != anomaly.check_name else ""
        could_not_run = "(the check could not run) " if anomaly.kind == "check_error" else ""
        checks = [f"{could_not_run}{anomaly.check_name}{said}"]
    listed = [f"- {one_line(check)}" for check in checks[:_LISTED]]
    return listed + ([f"- and {len(checks) - _LISTED} more"] if len(checks) > _LISTED else [])


def repeat_note(anomaly: Anomaly, *, now: datetime, seen: int, reason: str) -> str:
    """Return the note for a problem that was seen again while its ticket is open.

    :param seen: How often it was seen by now, this time included.
    :param reason: Why this repeat is worth a note, e.g. ``seen again``.
    """
    head = f"{stamp(now)} {source_name(anomaly.source)} Anomaly {reason}, {seen} times by now"
    return _note(head, _summary(anomaly))


def reopen_note(anomaly: Anomaly, *, now: datetime, number: str) -> str:
    """Return the note that goes with the reopening of a resolved ticket."""
    name = source_name(anomaly.source)
    head = f"{stamp(now)} {name} Anomaly seen again after {number} was resolved: reopened"
    return _note(head, _summary(anomaly))


def status_note(anomaly: Anomaly, *, now: datetime) -> str:
    """Return ``[2024-01-15 10:30:00 UTC] Qualytics Anomaly Status: Acknowledged``.

    :param now: Stands for the time of the change where the source does not tell it.
    """
    head = f"{stamp(anomaly.status_changed_at or now)} {source_name(anomaly.source)} Anomaly Status: "
    return f"{head}{anomaly.status.capitalize()}"


def passed_note(anomaly: Anomaly, *, now: datetime, times: int, since: datetime) -> str:
    """Return the note for an anomaly that counts as resolved since its check has passed again and again.

    :param times: How often in a row.
    :param since: When the anomaly was seen last.
    """
    head = f"{stamp(now)} {source_name(anomaly.source)} Anomaly Status: Resolved"
    check = f"{one_line(anomaly.check_name)} on {one_line(anomaly.dataset)}"
    how_often = "passed" if times == 1 else f"passed {times} times in a row"
    return _note(head, f"{check} {how_often}, and did not fail since {stamp(since)}")


def comment_note(anomaly: Anomaly, comment: Comment) -> str:
    """Return ``Comment from Qualytics: <text>``."""
    text = f"Comment from {source_name(anomaly.source)}: {comment.body}"
    return cut(harmless(text), COLUMN_LENGTHS["comments"])


def successor_line(number: str, state: str) -> str:
    """Return the line by which a new ticket names the one before it."""
    return f"Follows {number} ({state})."


def left_pages(anomalies: Sequence[Anomaly], *, number: str) -> list[str]:
    """Return the notes on a ticket that anomalies have left for another one; without a time, as it is once.

    :param number: Of the ticket that they are on now, or the key of their case; empty if there is none.
    """
    lines = [harmless(f"- {_named(anomaly)}") for anomaly in anomalies]
    where = f", now on {number}" if number else ""
    return paged(f"No longer followed here{where}:", lines, COLUMN_LENGTHS["work_notes"])


def joined_pages(anomalies: Sequence[tuple[Anomaly, str]]) -> list[str]:
    """Return the notes on the ticket that they have joined.

    :param anomalies: Each with the numbers of the tickets that it was on.
    """
    lines = [harmless(f"- {_named(anomaly)}, until now on {before}") for anomaly, before in anomalies]
    return paged("Followed here from now on:", lines, COLUMN_LENGTHS["work_notes"])


def _named(anomaly: Anomaly) -> str:
    return f"{one_line(anomaly.check_name)} on {one_line(anomaly.dataset)}"


def twin_note(number: str) -> str:
    """Return the note on a ticket that was opened at the same moment as its twin."""
    return (
        f"Opened at the same moment as {number} for the same problem; {number} stays, this one is canceled."
    )


def _summary(anomaly: Anomaly) -> str:
    when = (
        f"detected {anomaly.detected_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if anomaly.detected_at else ""
    )
    observed = f"observed {anomaly.observed}" if anomaly.observed else ""
    expected = f"expected {anomaly.expected}" if anomaly.expected else ""
    facts = [
        anomaly.check_name,
        f"on {anomaly.dataset}",
        when,
        f"severity {anomaly.severity}",
        observed,
        expected,
    ]
    line = ", ".join(one_line(fact) for fact in facts if fact)
    return f"{line}\n{anomaly.message}" if anomaly.message else line


def _note(head: str, body: str) -> str:
    return cut(harmless(f"{head}\n{body}"), COLUMN_LENGTHS["work_notes"])


def member_mark(anomaly: Anomaly, namespace: str) -> str:
    """Return what stands for one anomaly on a ticket that holds several, so that it is found there again."""
    return correlation_id(anomaly.source, anomaly_key(anomaly, namespace))


def member_pages(
    anomalies: Sequence[Anomaly], *, namespace: str, heading: str, now: datetime, first: bool
) -> list[str]:
    """Return the list of a ticket's anomalies as pages: the description (when ``first``), then work notes.

    :param heading: What the list is, e.g. ``12 anomalies on nyc.flights``.
    """
    lines = [
        harmless(
            f"- {anomaly.severity}: {one_line(anomaly.check_name)} on {one_line(anomaly.dataset)}"
            f"{': ' + cut(one_line(anomaly.message), 120) if anomaly.message else ''}"
            f" ({member_mark(anomaly, namespace)})"
        )
        for anomaly in anomalies
    ]
    title = f"## {heading} {stamp(now)}" if first else f"{stamp(now)} {heading}"
    return paged(harmless(title), lines, COLUMN_LENGTHS["description"])
