"""Short names for long queries, what forms know of a table, views, and other domains."""

from __future__ import annotations

import pytest
from plain_client import Client, error_of

from airflow_provider_servicenow_dq.sandbox.data import SeedUser
from airflow_provider_servicenow_dq.sandbox.server import Sandbox


def shorten(client, url):
    answer = client.send("POST", "/api/now/tinyurl", json={"url": url})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_a_long_query_goes_under_a_short_name(client):
    numbers = [client.create()["number"] for _ in range(3)]
    long = ",".join([numbers[1], *("INC" + "9" * 30 for _ in range(400))])
    short = shorten(client, f"incident_list.do?sysparm_query=numberIN{long}&sysparm_fields=number")
    page, _, name = short.partition("?sysparm_tiny=")
    assert (page, len(name)) == ("incident_list.do", 32)
    found = client.table("GET", f"incident?sysparm_tiny={name}").json()["result"]
    assert found == [{"number": numbers[1]}]
    narrowed = client.table("GET", f"incident?sysparm_tiny={name}&sysparm_fields=number,state").json()[
        "result"
    ]
    assert narrowed == [{"number": numbers[1], "state": "1"}]


def test_a_short_name_that_nobody_gave_adds_nothing(client):
    client.create()
    assert len(client.table("GET", "incident?sysparm_tiny=nothing").json()["result"]) == 1


def test_only_an_address_can_be_shortened(client):
    assert client.send("POST", "/api/now/tinyurl", json={}).status_code == 400
    assert client.send("GET", "/api/now/tinyurl").status_code == 405


def test_the_columns_of_a_table_are_told_with_those_of_its_parents(client):
    columns = client.send("GET", "/api/now/ui/meta/incident").json()["result"]["columns"]
    assert columns["caller_id"]["reference"] == "sys_user"
    assert columns["caller_id"]["type"] == "reference"
    assert columns["short_description"]["max_length"] == 160
    impact = columns["impact"]
    assert (impact["label"], impact["type"]) == ("Impact", "integer")
    assert impact["choices"][0] == {"label": "1 - High", "value": "1", "sequence": 1}
    assert "choices" not in columns["number"]


def test_only_columns_that_may_be_read_are_told_and_what_is_mandatory(sandbox, client):
    sandbox.configure(unreadable=["incident.cause"], mandatory=["incident.caller_id"])
    columns = client.send("GET", "/api/now/ui/meta/incident").json()["result"]["columns"]
    assert "cause" not in columns
    assert columns["caller_id"]["mandatory"] is True
    assert columns["category"]["mandatory"] is False


def test_unknown_tables_and_addresses_are_refused(client):
    assert error_of(client.send("GET", "/api/now/ui/meta/x_foo"))["message"] == "Invalid table x_foo"
    assert client.send("GET", "/api/now/ui/form/incident").status_code == 400
    assert client.send("POST", "/api/now/ui/meta/incident", json={}).status_code == 405


def test_a_view_chooses_columns_and_named_fields_go_before_it(client):
    sys_id = client.create()["sys_id"]
    everything = client.read(sys_id)
    mobile = client.read(sys_id, sysparm_view="mobile")
    assert {"number", "state"} < set(mobile) < set(everything)
    assert client.read(sys_id, sysparm_view="desktop") == everything
    assert client.read(sys_id, sysparm_view="mobile", sysparm_fields="cause") == {"cause": ""}


@pytest.mark.parametrize(("position", "status"), [("ignored", 200), ("refused", 403)])
def test_other_domains_are_for_a_role(position, status):
    crosses = SeedUser("crosses", "Crosses Domains", "x", ("itil", "query_no_domain_table_api"))
    with Sandbox(users=[crosses], query_no_domain=position) as sandbox:
        client = Client(sandbox.url)
        params = {"sysparm_query_no_domain": "true"}
        assert client.table("GET", "incident", params=params).status_code == status
        for auth in (("crosses", "x"), ("admin", "admin")):
            assert client.as_user(auth).table("GET", "incident", params=params).status_code == 200
