"""An anomaly by whichever of its ids somebody names, and its links a page at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.store import anomalies, asked_for, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.outbox import Address

HERE = "acme.service-now.com"


def anomaly(source="qualytics", external_id="a-1", check_name="not null"):
    return Anomaly(source=source, external_id=external_id, dataset="d", check_name=check_name)


@pytest.fixture
def know(store, now):
    """Remember anomalies of a namespace; return their keys."""

    def know_them(*them, namespace=""):
        seen = [Sighting(anomaly_key(each, namespace), occurrence_id(each), each) for each in them]
        with store.begin() as connection:
            anomalies.remember(connection, seen, now=now)
        return [each.key for each in seen]

    return know_them


@pytest.fixture
def link(store, now):
    """Link an anomaly to a ticket, by the letter that its sys_id is made of."""

    def link_one(key, letter, instance=HERE, minutes=0, **how):
        record = {"sys_id": letter * 32, "number": f"INC{letter}", "state": "1"}
        facts = {"seen": 1, "seen_at_note": 1, "noted_at": now, "severity": "high", "changed_at": now}
        at = Address(instance, "incident", f"dq:custom:{letter * 32}")
        with store.begin() as connection:
            ticket = tickets.add(connection, at, record, made=True, created_by_us=True, **facts)
            tickets.link(connection, ticket.id, [key], now=now + timedelta(minutes=minutes), **how)

    return link_one


@pytest.fixture
def asked(store):
    """Return the keys that an id names."""

    def ask(anomaly_id, **which):
        with store.begin() as connection:
            found = asked_for.with_id(connection, anomaly_id, **{"namespace": "", **which})
        return [each.key for each in found]

    return ask


def links(store, key, **page):
    with store.begin() as connection:
        return asked_for.links_of(connection, key, instance=HERE, **page)


def test_an_anomaly_is_found_by_its_key_its_fingerprint_and_its_external_id(know, asked):
    one = anomaly()
    key, _ = know(one, anomaly(external_id="a-2", check_name="unique"))

    assert asked(key) == asked(one.fingerprint) == asked("a-1") == [key]
    assert asked("a-3") == asked("0" * 32) == []


def test_of_two_sources_that_use_one_id_the_named_one_is_meant(know, asked):
    of_qualytics, of_dbt = know(anomaly(), anomaly(source="dbt"))

    assert asked("a-1") == [of_dbt, of_qualytics]
    assert asked("a-1", source="dbt") == [of_dbt]


def test_what_another_namespace_calls_the_same_is_none_of_ours(know, asked):
    (theirs,) = know(anomaly(), namespace="theirs")
    assert asked("a-1") == asked(theirs) == []

    (ours,) = know(anomaly())
    assert asked("a-1") == [ours]
    assert asked("a-1", namespace="theirs") == [theirs]


def test_links_come_newest_first_a_page_at_a_time_with_their_number_in_all(store, know, link):
    key, other = know(anomaly(), anomaly(external_id="a-2", check_name="unique"))
    link(key, "a", minutes=1)
    link(key, "b", minutes=3, by_person=True)
    link(key, "c", minutes=2)
    link(key, "d", instance="other.service-now.com")
    link(other, "e")

    everything = links(store, key)

    assert [(each.ticket.number, each.by_person) for each in everything.links] == [
        ("INCb", True),
        ("INCc", False),
        ("INCa", False),
    ]
    assert everything.total == 3
    page = links(store, key, offset=1, limit=1)
    assert (page.links, page.total) == (everything.links[1:2], 3)
    assert (links(store, key, offset=3).links, links(store, key, offset=3).total) == ([], 3)


def test_a_link_is_named_by_its_anomaly_and_its_ticket(store, know, link):
    key, other = know(anomaly(), anomaly(external_id="a-2", check_name="unique"))
    link(key, "a")
    link(other, "a")
    link(key, "b", minutes=1)

    named = links(store, key).links

    assert len({each.id for each in (*named, *links(store, other).links)}) == 3
    assert asked_for.link_with_id(named, named[1].id) == named[1]
    assert asked_for.link_with_id(named, links(store, other).links[0].id) is None
