"""What the instance asks of requests and how it answers them, whatever they are about."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from plain_client import error_of

MEGABYTE = 1_048_576


def raw(client, head, body=b""):
    """Send bytes and return all that comes back."""
    address = urlsplit(client.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(("position", "statuses"), [("exact", (406, 415)), ("400", (400, 400))])
def test_the_status_for_content_types_is_that_of_either_page(sandbox, client, position, statuses):
    sandbox.configure(negotiation_status=position)
    accept = client.table("GET", "incident", headers={"Accept": "text/html"})
    content = client.table("POST", "incident", data="x=1", headers={"Content-Type": "text/plain"})
    assert (accept.status_code, content.status_code) == statuses


def test_without_accept_the_answer_is_json(client):
    answer = client.table("GET", "incident", headers={"Accept": None})
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


def test_who_takes_xml_only_gets_it(client):
    sys_id = client.create(short_description="a < b & c\x00\x0b", category="database")["sys_id"]
    headers = {"Accept": "application/xml"}
    params = {"sysparm_fields": "short_description,category,caller_id"}
    answer = client.table("GET", "incident", params=params, headers=headers)
    assert answer.headers["Content-Type"] == "application/xml;charset=UTF-8"
    row = (
        "<result><short_description>a &lt; b &amp; c</short_description>"
        "<category>database</category><caller_id/></result>"
    )
    start = '<?xml version="1.0" encoding="UTF-8"?><response>'
    assert answer.text == f"{start}{row}</response>"
    client.create()
    params["sysparm_limit"] = "2"
    assert client.table("GET", "incident", params=params, headers=headers).text.count("<result>") == 2
    missing = client.table("GET", f"incident/{'0' * 32}", headers=headers)
    assert missing.status_code == 404
    assert missing.text.removeprefix(start) == (
        "<error><message>No Record found</message><detail>Record doesn't exist or ACL restricts the record "
        "retrieval</detail></error><status>failure</status></response>"
    )
    both = {"Accept": "application/xml, application/json"}
    assert client.table("GET", f"incident/{sys_id}", headers=both).json()["result"]["sys_id"] == sys_id


def test_links_repeat_parameters_as_they_were_sent(client):
    for _ in range(3):
        client.create()
    query = (
        "sysparm_offset=1&sysparm_query=state%3D1%5EORDERBYnumber&sysparm_limit=1&sysparm_fields=number,state"
    )
    answer = client.table("GET", f"incident?{query}")
    base = (
        f"{client.url}/api/now/table/incident?sysparm_query=state%3D1%5EORDERBYnumber"
        "&sysparm_fields=number,state"
    )
    assert answer.headers["Link"] == (
        f'<{base}&sysparm_offset=0&sysparm_limit=1>;rel="first",'
        f'<{base}&sysparm_offset=0&sysparm_limit=1>;rel="prev",'
        f'<{base}&sysparm_offset=2&sysparm_limit=1>;rel="next",'
        f'<{base}&sysparm_offset=2&sysparm_limit=1>;rel="last"'
    )


def test_the_first_page_of_several_has_no_link_back(client):
    for _ in range(5):
        client.create()
    link = client.table("GET", "incident?sysparm_limit=2").headers["Link"]
    assert [part.partition(";")[2] for part in link.split(",")] == ['rel="first"', 'rel="next"', 'rel="last"']
    last = client.table("GET", "incident?sysparm_limit=2&sysparm_offset=4").headers["Link"]
    assert [part.partition(";")[2] for part in last.split(",")] == ['rel="first"', 'rel="prev"', 'rel="last"']


def test_links_point_to_the_instances_own_address(sandbox, client):
    sandbox.configure(base_url="https://acme.service-now.com")
    created = client.table("POST", "incident", json={})
    record = created.json()["result"]
    assert created.headers["Location"].startswith("https://acme.service-now.com/api/now/table/incident/")
    assert record["opened_by"]["link"].startswith("https://acme.service-now.com/api/now/table/sys_user/")
    client.create()
    link = client.table("GET", "incident?sysparm_limit=1").headers["Link"]
    assert link.count("<https://acme.service-now.com/") == 3


@pytest.mark.parametrize(
    ("position", "words"),
    [("hibernating", "<title>\n Instance Hibernating page\n</title>"), ("offline", "currently offline")],
)
@pytest.mark.parametrize("status", [200, 503])
def test_an_instance_that_is_not_up_shows_its_page_for_everything(sandbox, client, position, words, status):
    sandbox.configure(availability=position, unavailable_status=status)
    form = {"grant_type": "client_credentials"}
    for answer in (
        client.table("GET", "incident"),
        client.table("POST", "incident", json={}),
        client.send("POST", "/oauth_token.do", data=form),
        client.send("GET", "/"),
    ):
        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith("text/html")
        assert words in answer.text
    assert sandbox.records("incident") == []
    sandbox.configure(availability="up")
    assert client.table("GET", "incident").status_code == 200


@pytest.mark.parametrize("length", [9_000, 70_000])
def test_a_request_line_of_any_excess_gets_the_same_page(client, length):
    answer = raw(client, f"GET /api/now/table/incident?sysparm_query={'x' * length} HTTP/1.1\r\nHost: x")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Request header is too large" in answer


@pytest.mark.parametrize("headers", [1, 200])
def test_headers_that_are_too_large_get_it_as_well(client, headers):
    lines = "\r\n".join(f"X-Padding-{n}: {'x' * (10_000 // headers)}" for n in range(headers))
    answer = raw(client, f"GET /api/now/table/incident HTTP/1.1\r\nHost: x\r\n{lines}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Request header is too large" in answer


def test_an_unknown_method_and_nonsense_get_a_page(client):
    assert raw(client, "BREW /api/now/table/incident HTTP/1.1\r\nHost: x").startswith(b"HTTP/1.1 501 ")
    assert raw(client, "no request at all").startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_not_even_kept_is_refused_in_the_same_words(client):
    answer = client.table("POST", "incident", data=bytes(65 * MEGABYTE), timeout=60)
    assert answer.status_code == 400
    assert error_of(answer)["detail"] == (
        "Rejected large REST payload with content-length = 68157440 bytes. Max allowed: 10485760 bytes."
    )


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: many", b""),
        ("Content-Length: 10", b"{}"),
        ("Transfer-Encoding: chunked", b"x\r\n"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(client, head, body):
    answer = raw(client, f"POST /api/now/table/incident HTTP/1.1\r\nHost: x\r\n{head}", body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Exception while reading request" in answer


def test_a_body_may_come_in_chunks(client):
    chunks = iter([b'{"short_desc', b'ription": "in parts"}'])
    headers = {"Content-Type": "application/json"}
    answer = client.table("POST", "incident", data=chunks, headers=headers)
    assert answer.json()["result"]["short_description"] == "in parts"


@pytest.mark.parametrize(("sent", "meant"), [("POST", "GET"), ("POST", "DELETE"), ("GET", "HEAD")])
def test_a_header_overrides_any_method(client, admin, sent, meant):
    sys_id = client.create()["sys_id"]
    answer = admin.table(sent, f"incident/{sys_id}", headers={"X-HTTP-Method-Override": meant})
    assert answer.status_code == (204 if meant == "DELETE" else 200)


def test_a_proxy_may_send_clients_elsewhere(sandbox, client):
    sandbox.fail_next("redirect", location="https://login.example/")
    answer = client.table("GET", "incident", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://login.example/")
