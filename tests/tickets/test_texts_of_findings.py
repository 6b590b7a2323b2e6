"""The texts of a ticket for security findings, within the lengths that a ticket has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_servicenow_dq.findings.finding import finding_of
from airflow_provider_servicenow_dq.tickets.findings import first_pages

NOW = datetime(2026, 11, 23, 2, 8, 19, tzinfo=UTC)


def pages(count, words=""):
    found = [finding_of(f"ZGVmLTAwcC1pZXJ-aS0wMDAwMDAwMDAwMDAwM{number:06}") for number in range(count)]
    return first_pages(found, namespace="", heading=f"{count} security findings", words=words, now=NOW)


@pytest.mark.parametrize("words", ["", "w" * 3000])
def test_a_description_that_does_not_hold_all_findings_says_where_the_others_are(words):
    description, *notes = pages(50, words)

    listed = description.count("\n- ")
    assert description.endswith(f"\n… and {50 - listed} more in the work notes")
    assert listed + "".join(notes).count("\n- ") == 50
    # What names the ticket's predecessor has still to fit in.
    assert len(description) <= 4000 - 150


def test_a_description_that_holds_them_all_sends_nobody_elsewhere():
    (description,) = pages(3)

    assert description.count("\n- ") == 3
    assert "more in the work notes" not in description
