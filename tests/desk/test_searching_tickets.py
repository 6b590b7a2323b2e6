"""Tickets are found by number or words, page by page past any number of rows, and shown as the seed does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.search import NoSuchTicketError, get_ticket, search_tickets
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError, UnsafeQueryError
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

ROWS = 1260


@pytest.fixture(scope="module")
def full():
    """An instance with more tickets of one kind than a read has rows at most; two have the same time."""
    with Sandbox(port=0) as running:
        ourselves = running.instance.account("admin")
        for number in range(ROWS):
            stamp = f"2026-01-{1 + number // 100:02d} {number % 100 // 60:02d}:{number % 60:02d}:00"
            running.instance.insert(
                ourselves,
                "incident",
                {
                    "short_description": f"Flight {number} of the day is late",
                    "number": f"INC2{number:06d}",
                    "sys_created_on": "2026-01-01 00:00:00" if number == 1 else stamp,
                },
            )
        yield running


@pytest.fixture
def api(full):
    full.configure(hidden=(), unreadable=())
    with Transport(InstanceConfig(full.url, login="svc_airflow", password="airflow-secret")) as transport:
        yield TableApi(transport)
    full.configure(hidden=(), unreadable=())


def numbers(found):
    return [item["ticket_number"] for item in found["items"]]


def test_a_page_and_its_items_have_the_shape_of_the_seed(api, full):
    found = search_tickets(api, "flight 7 late")

    assert set(found) == {"items", "total", "page", "size", "pages"}
    item = search_tickets(api, "inc2000007")["items"][0]
    assert list(item) == [
        "ticket_id",
        "ticket_number",
        "title",
        "description",
        "status",
        "priority",
        "created_at",
        "updated_at",
        "assigned_to",
        "url",
    ]
    assert item["ticket_number"] == "INC2000007"
    assert item["title"] == "Flight 7 of the day is late"
    assert (item["status"], item["priority"], item["assigned_to"]) == ("New", "5 - Planning", None)
    assert item["created_at"] == "2026-01-01T00:07:00"
    assert item["url"] == f"{full.url}/nav_to.do?uri=incident.do?sys_id={item['ticket_id']}"


def test_all_pages_past_a_thousand_rows_hold_every_ticket_once_the_newest_first(api):
    read = [search_tickets(api, "flight", page=page) for page in range(1, 27)]

    assert {(found["total"], found["size"], found["pages"]) for found in read} == {(ROWS, 50, 26)}
    assert [len(found["items"]) for found in read] == [50] * 25 + [10]
    assert len({number for found in read for number in numbers(found)}) == ROWS
    stamps = [item["created_at"] for found in read for item in found["items"]]
    assert stamps == sorted(stamps, reverse=True)
    assert numbers(read[24]) == numbers(search_tickets(api, "flight", page=25))
    assert read[24]["page"] == 25


def test_a_page_costs_one_request(api, full):
    full.clear_requests()

    search_tickets(api, "flight", page=25)

    assert len(full.requests) == 1


def test_behind_the_last_page_there_is_nothing(api):
    found = search_tickets(api, "flight", page=27)

    assert (found["items"], found["total"], found["pages"]) == ([], ROWS, 26)


def test_what_is_not_there_makes_no_page(api):
    assert search_tickets(api, "no such words") == {
        "items": [],
        "total": 0,
        "page": 1,
        "size": 50,
        "pages": 0,
    }


def test_tickets_that_the_account_may_not_see_leave_their_page_short_and_no_other(api, full):
    before = [numbers(search_tickets(api, "flight", page=page)) for page in range(1, 27)]
    full.configure(hidden=("incident when short_descriptionLIKEFlight 12",))

    shown = [search_tickets(api, "flight", page=page) for page in range(1, 27)]

    assert {found["total"] for found in shown} == {ROWS}
    seen = [number for found in shown for number in numbers(found)]
    assert len(seen) == len(set(seen)) == ROWS - 111 + 40  # 12, 120 to 129 and 1200 to 1259
    for page, found in enumerate(shown):
        assert set(numbers(found)) <= set(before[page])


@pytest.mark.parametrize("name", ["INC2000042", "inc2000042", " Inc2000042 "])
def test_a_number_is_found_in_any_case_and_only_whole(api, name):
    assert numbers(search_tickets(api, name)) == ["INC2000042"]
    assert numbers(search_tickets(api, name.strip()[:-1])) == []


def test_words_are_found_in_any_order_and_case(api):
    assert numbers(search_tickets(api, "LATE day 1234")) == ["INC2001234"]


def test_without_words_the_newest_tickets_come(api):
    found = search_tickets(api, "  ", size=3)

    assert found["total"] == ROWS
    assert len(found["items"]) == 3


@pytest.mark.parametrize(("page", "size"), [(0, 50), (-1, 50), (1, 0), (1, 101)])
def test_pages_and_sizes_out_of_bounds_are_refused_in_words(api, page, size):
    with pytest.raises(ServiceNowConfigError, match=r"(page|size) must be 1"):
        search_tickets(api, "flight", page=page, size=size)


def test_a_query_that_is_too_long_is_refused_in_words(api):
    with pytest.raises(ServiceNowConfigError, match="at most 200 characters"):
        search_tickets(api, "x" * 201)


@pytest.mark.parametrize(
    "hostile",
    [
        "x^NQactive=true",
        "x^ORsys_idISNOTEMPTY",
        "x^EQ^active=true",
        "javascript:gs.sleep(9)",
        "JAVASCRIPT:javascript:gs.getUserID()",
        "^",
        "a,b@c",
        "nothing\x00\x1b[31m",
        "'; DROP TABLE incident; --",
    ],
)
def test_hostile_text_is_only_ever_text(api, hostile):
    assert search_tickets(api, f"{hostile} qqq")["items"] == []


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40).map(lambda text: f"{text} zzzz"))
def test_no_text_finds_what_does_not_hold_it(full, text):
    with Transport(InstanceConfig(full.url, login="svc_airflow", password="airflow-secret")) as transport:
        try:
            assert search_tickets(TableApi(transport), text)["total"] == 0
        except UnsafeQueryError as error:
            assert "short_description" in str(error)  # noqa: PT017 (half a surrogate pair cannot be said)


def test_the_word_null_is_a_word(api, full):
    ourselves = full.instance.account("admin")
    made = full.instance.insert(ourselves, "incident", {"short_description": "NULL values in orders"})

    assert numbers(search_tickets(api, "NULL orders")) == [made["number"]]
    full.instance.delete(ourselves, "incident", made["sys_id"])


def test_a_table_without_what_is_searched_is_refused(api, full):
    with pytest.raises(UnsafeQueryError, match="sys_user has no number"):
        search_tickets(api, "flight", table="sys_user")


def test_labels_of_other_tables_are_those_of_the_instance(api, full):
    ourselves = full.instance.account("admin")
    made = full.instance.insert(ourselves, "problem", {"short_description": "Ground stop"})

    (item,) = search_tickets(api, "ground stop", table="problem")["items"]

    assert item["ticket_id"] == made["sys_id"]
    assert not item["status"].isdecimal()
    assert item["url"].endswith(f"uri=problem.do?sys_id={made['sys_id']}")


def test_one_ticket_is_got_by_its_number_its_sys_id_or_its_address(api, full):
    by_number = get_ticket(api, "inc2000042")

    assert list(by_number) == [
        *("ticket_id", "ticket_number", "title", "description", "status", "priority", "urgency", "impact"),
        *("category", "subcategory", "created_at", "updated_at", "resolved_at", "closed_at"),
        *("assigned_to", "assigned_group", "requester", "url", "comments_count", "metadata"),
    ]
    assert by_number["ticket_number"] == "INC2000042"
    assert (by_number["status"], by_number["priority"]) == ("New", "5")
    assert get_ticket(api, by_number["ticket_id"]) == by_number
    assert get_ticket(api, by_number["url"]) == by_number


def test_a_ticket_that_is_not_there_is_an_error_of_its_own(api):
    for name in ("INC0000001", "f" * 32):
        with pytest.raises(NoSuchTicketError, match="or this account may not see it"):
            get_ticket(api, name)
