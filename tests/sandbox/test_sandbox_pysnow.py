"""A client that others wrote, unchanged, works on the sandbox as it does on an instance."""

from __future__ import annotations

import pysnow
import pytest
import requests
from pysnow.exceptions import NoResults

SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "reloaded"}


@pytest.fixture
def incidents(sandbox):
    host = sandbox.url.removeprefix("http://")
    client = pysnow.Client(host=host, user="svc_airflow", password="airflow-secret", use_ssl=False)
    yield client.resource(api_path="/table/incident")
    client.close()


def test_it_creates_finds_updates_and_resolves_an_incident(incidents, sandbox):
    created = incidents.create({"short_description": "made by pysnow", "impact": "2", "urgency": "2"})
    number = created["number"]
    assert (number, created["priority"]) == ("INC0010001", "3")

    query = (
        pysnow.QueryBuilder().field("short_description").contains("pysnow").AND().field("state").equals("1")
    )
    assert incidents.get(query=query).one()["number"] == number
    assert incidents.get(query={"number": number}, fields=["number"]).one() == {"number": number}

    updated = incidents.update(query={"number": number}, payload={"state": "2", "work_notes": "on it"})
    assert updated["state"] == "2"
    assert incidents.get(query={"number": number}).one()["state"] == "2"

    assert incidents.update(query={"number": number}, payload=SOLVED)["state"] == "6"
    (record,) = sandbox.records("incident")
    assert (record["state"], record["close_code"]) == ("6", "Solution provided")
    assert sandbox.notes(record["sys_id"]) == ["on it"]


def test_it_streams_lists_in_order(incidents):
    for name in ("b", "c", "a"):
        incidents.create({"short_description": name})
    query = (
        pysnow.QueryBuilder()
        .field("short_description")
        .order_ascending()
        .AND()
        .field("active")
        .equals("true")
    )
    rows = incidents.get(query=query, stream=True, limit=2).all()
    assert [row["short_description"] for row in rows] == ["a", "b"]


def test_it_hears_no_for_an_answer(incidents):
    number = incidents.create({})["number"]
    with pytest.raises(requests.HTTPError, match="403"):
        incidents.update(query={"number": number}, payload={"state": "6"}).one()
    with pytest.raises(NoResults):
        incidents.get(query={"number": "INC404"}).one()
