"""The pages that people follow links to."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests


def get(sandbox, path):
    return requests.get(sandbox.url + path, timeout=5)


@pytest.mark.parametrize(
    "path",
    [
        "/incident.do?sys_id={id}",
        "/nav_to.do?uri=incident.do?sys_id={id}",
        "/nav_to.do?uri={quoted}",
        "/nav_to.do?uri=%2F{quoted}",
        "/now/nav/ui/classic/params/target/{quoted}",
        # As Datadog's reference prints it (seed 004: ``servicenow_ticket.result.url``).
        "/now/nav/ui/classic/params/target/incident.do?sys_id={id}",
        "/task.do?sys_id={id}",
    ],
)
def test_a_ticket_has_a_page_at_every_form_of_its_address(sandbox, client, path):
    sys_id = client.create(short_description="arr_delay is null")["sys_id"]
    quoted = quote(f"incident.do?sys_id={sys_id}", safe="")
    answer = get(sandbox, path.format(id=sys_id, quoted=quoted))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "arr_delay is null" in answer.text
    assert "INC0010001" in answer.text


def test_the_activity_stream_is_newest_first_with_author_and_time(sandbox, client):
    record = client.create(work_notes="first note")
    sandbox.act_as("beth.anglin", "incident", record["sys_id"], {"comments": "second, by a person"})
    page = get(sandbox, f"/incident.do?sys_id={record['sys_id']}").text
    assert page.index("second, by a person") < page.index("first note")
    assert "<strong>Beth Anglin</strong> · Additional comments" in page
    assert "<strong>Airflow Service</strong> · Work notes" in page
    assert record["sys_created_on"] in page


def test_nothing_that_was_written_becomes_markup(sandbox, client):
    evil = "<script>alert(1)</script>\"'&"
    record = client.create(short_description=evil, description=evil, work_notes=evil, correlation_id=evil)
    for path in ("/", f"/incident.do?sys_id={record['sys_id']}"):
        answer = get(sandbox, path)
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_first_page_lists_the_newest_incidents_with_links(sandbox, client):
    assert "There is none yet" in get(sandbox, "/").text
    first, second = client.create(short_description="older"), client.create(short_description="newer")
    page = get(sandbox, "/").text
    assert page.index("newer") < page.index("older")
    assert f'href="/incident.do?sys_id={first["sys_id"]}"' in page
    assert second["number"] in page


@pytest.mark.parametrize(
    "path",
    [
        "/incident.do",
        "/incident.do?sys_id=",
        "/incident.do?sys_id=%3Cscript%3E",
        "/nav_to.do",
        "/nav_to.do?uri=https://example.com/",
        "/bogus.do?sys_id=1",
        "/favicon.ico",
    ],
)
def test_an_address_without_a_record_says_so(sandbox, path):
    answer = get(sandbox, path)
    assert answer.status_code == 404
    assert "Record not found" in answer.text
    assert "<script" not in answer.text
