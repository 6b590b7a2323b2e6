"""A record as we show it: the shape of the seed's ticket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.tickets.ticket import (
    COLUMNS,
    integration_id,
    iso,
    record_url,
    sys_id_for,
    ticket_view,
)

SEED = Path(__file__).parent.parent / "payloads" / "qualytics-seed-anomaly824-ticket.json"
BASE = "https://your-instance.service-now.com"
CORRELATION = "dq:custom:" + "a" * 32


@pytest.fixture
def seed():
    return json.loads(SEED.read_text(encoding="utf-8"))["create_ticket_response"]["ticket"]


@pytest.fixture
def record(seed):
    """What the Table API answers for the seed's ticket: raw values, and nothing is empty text."""
    raw = dict.fromkeys(COLUMNS, "")
    return raw | {
        "sys_id": "7a62213283aef210f9e89780deaad366",
        "number": "INC0010006",
        "short_description": "My ticket description",
        "description": seed["description"],
        "state": "1",
        "priority": "5",
        "urgency": "3",
        "impact": "3",
        "category": "inquiry",
        "sys_created_on": "2026-01-23 19:51:24",
        "sys_updated_on": "2026-01-23 19:51:24",
    }


def test_a_raw_record_is_shown_as_the_seed_shows_it(record, seed):
    assert ticket_view(record, base_url=BASE, table="incident") == seed


def test_a_resolved_and_assigned_record_shows_names_and_times(record):
    record |= {
        "state": "6",
        "assigned_to": "1" * 32,
        "assigned_to.name": "Beth Anglin",
        "assignment_group": "2" * 32,
        "assignment_group.name": "Service Desk",
        "caller_id": "3" * 32,
        "resolved_at": "2026-01-24 08:00:00",
        "closed_at": "2026-01-25 08:00:00",
        "close_notes": "fixed",
    }

    shown = ticket_view(record, base_url=BASE, table="incident")

    assert (shown["status"], shown["assigned_to"], shown["assigned_group"]) == (
        "Resolved",
        "Beth Anglin",
        "Service Desk",
    )
    assert shown["requester"] == "3" * 32, "a name that the account may not read is shown as its id"
    assert (shown["resolved_at"], shown["closed_at"]) == ("2026-01-24T08:00:00", "2026-01-25T08:00:00")
    assert shown["metadata"]["close_notes"] == "fixed"


@pytest.mark.parametrize("known", [{}, {"sys_id": "a" * 32}, dict.fromkeys(COLUMNS)])
def test_all_keys_are_there_however_little_of_a_record_is_known(known, seed):
    shown = ticket_view(known, base_url=BASE, table="incident")

    assert shown.keys() == seed.keys()
    assert shown["metadata"].keys() == seed["metadata"].keys()
    json.dumps(shown)


def test_the_address_of_a_record_names_its_table():
    assert (
        record_url(BASE, "u_data_issue", "a" * 32)
        == f"{BASE}/nav_to.do?uri=u_data_issue.do?sys_id={'a' * 32}"
    )


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-23 19:51:24", "2026-01-23T19:51:24"),
        ("", None),
        (None, None),
        ("23/01/2026 19:51", "23/01/2026 19:51"),
    ],
)
def test_a_time_is_shown_in_iso_form_and_what_is_none_of_ours_as_it_is(stamp, expected):
    assert iso(stamp) == expected


def test_the_integration_id_of_an_instance_never_changes():
    assert integration_id("acme.service-now.com") == 108548542
    assert integration_id("acme.service-now.com") != integration_id("acme2.service-now.com")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_an_integration_id_fits_any_integer_column(host):
    assert 0 <= integration_id(host) < 2**31


def test_the_sys_id_of_a_problems_ticket_never_changes():
    assert sys_id_for("incident", CORRELATION) == "f5a0c55254eefbe33a367e941ff4e8bb"


@settings(deadline=None)
@given(*[st.text(max_size=20)] * 3)
def test_a_sys_id_is_one_and_differs_by_everything_that_makes_the_ticket(table, correlation, predecessor):
    made = sys_id_for(table, correlation, predecessor)

    assert re.fullmatch(r"[0-9a-f]{32}", made)
    others = (
        sys_id_for(f"{table}x", correlation, predecessor),
        sys_id_for(table, f"{correlation}x", predecessor),
        sys_id_for(table, correlation, f"{predecessor}x"),
    )
    assert made not in others
