"""The routes in a real API server of Airflow, which has other things to do as well."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest
import requests
from api_servers import log_in
from rest_server import TICKETING

from airflow_provider_servicenow_dq.plugins.routing import LARGEST_BODY

# One of them counts on time, and a server for the others beside it would cost as much again.
pytestmark = pytest.mark.heavy

#: Longer than anything else here may take.
SLOW_S = 3.0


def test_airflow_serves_the_routes_to_whoever_is_logged_in(airflow):
    path = f"{airflow.url}/servicenow-dq{TICKETING}/tickets/search"
    assert requests.get(path, timeout=30).status_code == 401
    answer = log_in(airflow.url, "viewer").get(path, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["page"] == 1


def test_its_description_says_where_it_is(airflow):
    answer = log_in(airflow.url, "viewer").get(f"{airflow.url}/servicenow-dq/openapi.json", timeout=30)
    assert answer.json()["servers"] == [{"url": "/servicenow-dq"}]


def test_an_id_with_a_slash_arrives_whole(airflow):
    session = log_in(airflow.url, "viewer")
    anomaly_id = "a/b%25 c"
    path = f"{airflow.url}/servicenow-dq/api/anomalies/{quote(anomaly_id, safe='')}/ticket-links"
    answer = session.get(path, timeout=30)
    assert answer.status_code == 404
    assert repr(anomaly_id) in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_that_is_too_large_is_refused(airflow, is_announced):
    token = log_in(airflow.url, "admin").headers["Authorization"]
    connection = http.client.HTTPConnection(urlsplit(airflow.url).netloc, timeout=30)
    connection.putrequest("POST", f"/servicenow-dq{TICKETING}/anomalies/A-1/tickets")
    connection.putheader("Authorization", token)
    connection.putheader("Content-Type", "application/json")
    if is_announced:
        # It is refused before any of it is sent.
        connection.putheader("Content-Length", str(LARGEST_BODY + 1))
        connection.endheaders()
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        chunks = [b" " * 65536] * (LARGEST_BODY // 65536) + [b" "]
        connection.endheaders(chunks, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert answer.getheader("Content-Type") == "application/vnd.api+json"
    answer.read()


def test_forty_slow_calls_hold_up_nothing_of_airflow(airflow):
    """Airflow serves its health, like tasks' heartbeats, from a pool of forty threads."""
    session = log_in(airflow.url, "viewer")
    search, health = (
        f"{airflow.url}/servicenow-dq{TICKETING}/tickets/search",
        f"{airflow.url}/api/v2/monitor/health",
    )
    assert session.get(search, timeout=30).status_code == 200
    airflow.instance.configure(service_ms=SLOW_S * 1000)

    def call(number):
        began = time.monotonic()
        answer = session.get(search, params={"query": f"word{number}"}, timeout=60)
        return answer, time.monotonic() - began

    took = []
    try:
        with ThreadPoolExecutor(40) as pool:
            calls = [pool.submit(call, number) for number in range(40)]
            time.sleep(0.5)
            while not all(each.done() for each in calls):
                began = time.monotonic()
                assert requests.get(health, timeout=30).json()["metadatabase"]["status"] == "healthy"
                took.append(time.monotonic() - began)
            answers = [each.result() for each in calls]
    finally:
        airflow.instance.configure(service_ms=0)

    statuses = [answer.status_code for answer, _ in answers]
    assert {*statuses} == {200, 503}
    assert statuses.count(200) >= 4
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer, _ in answers if answer.status_code == 503)
    # Nobody waits for longer than the limit and what the machine adds to it.
    assert max(waited for _, waited in answers) < 10 + SLOW_S
    assert len(took) > 20
    assert max(took) < SLOW_S / 2, f"the slowest of {len(took)} took {max(took):.1f} s"
