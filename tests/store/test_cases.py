"""Cases: their numbers, and which findings are in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, case_findings, cases, exclusive, requests, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.cases import Draft
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.store.prune import prune


def draft(name, project_key="PROJ", address=None):
    return Draft(
        correlation_id=f"dq:case:{name}",
        project_id="project",
        project_key=project_key,
        title="t",
        description="d",
        address=address,
    )


def test_cases_are_numbered_by_project_in_their_order(store, now):
    with store.begin() as connection:
        first = cases.add(connection, [draft("a"), draft("b", "OTHER"), draft("c")], by="ann", now=now)
        second = cases.add(connection, [draft("d")], by="ann", now=now)

    assert [case.key for case in (*first, *second)] == ["PROJ-1", "OTHER-1", "PROJ-2", "PROJ-3"]


def test_whoever_opens_cases_at_once_no_two_have_the_same_key(store, now):
    def opening(number):
        with store.begin() as connection:
            return [
                case.key
                for case in cases.add(connection, [draft(f"{number}.{n}") for n in range(3)], by="x", now=now)
            ]

    with ThreadPoolExecutor(8) as pool:
        keys = [key for found in pool.map(opening, range(20)) for key in found]

    assert sorted(keys) == sorted(f"PROJ-{number}" for number in range(1, 61))


def test_a_finding_is_in_the_last_case_that_it_was_put_into(store, now):
    with store.begin() as connection:
        one, two = cases.add(connection, [draft("a"), draft("b")], by="ann", now=now)
        exclusive.alone(connection)
        case_findings.put(connection, one.id, ["k1", "k2", "k3"], by="ann", now=now)
        before = case_findings.put(connection, two.id, ["k2", "k4"], by="ann", now=now)

        assert before == {"k2": one.id}
        assert case_findings.of_cases(connection, [one.id, two.id]) == {
            one.id: ["k1", "k3"],
            two.id: ["k2", "k4"],
        }
        assert case_findings.take_out(connection, ["k2", "k9"], by="", now=now) == {"k2": two.id}
        assert case_findings.owners(connection, ["k1", "k2", "k4"]) == {"k1": one.id, "k4": two.id}


def test_who_has_taken_a_finding_out_of_a_case_last_is_known_for_a_day(store, now):
    with store.begin() as connection:
        one, two = cases.add(connection, [draft("a"), draft("b")], by="ann", now=now)
        exclusive.alone(connection)
        case_findings.put(connection, one.id, ["k1", "k2"], by="ann", now=now)
        case_findings.put(connection, two.id, ["k1"], by="ann", now=now)
        case_findings.take_out(connection, ["k2"], by="ann", now=now)
        assert case_findings.taken_out_by(connection, "ann", [one.id, two.id]) == {
            (one.id, "k1"),
            (one.id, "k2"),
        }

        case_findings.put(connection, one.id, ["k2"], by="bob", now=now)
        case_findings.take_out(connection, ["k2"], by="bob", now=now)
        assert case_findings.taken_out_by(connection, "ann", [one.id]) == {(one.id, "k1")}

        case_findings.take_out(connection, ["k1"], by="bob", now=now + timedelta(days=2))
        assert case_findings.taken_out_by(connection, "ann", [one.id]) == set()


def test_a_request_is_known_for_as_long_as_it_may_be_repeated(store, now):
    with store.begin() as connection:
        requests.remember(connection, "key", "content", ["id"], now=now)

        assert requests.answered(connection, "key", since=now).case_ids == ["id"]
        assert requests.answered(connection, "key", since=now + timedelta(seconds=1)) is None
        assert requests.forget(connection, before=now + timedelta(seconds=1)) == 1
        assert requests.answered(connection, "key", since=now) is None


def test_a_case_goes_with_its_ticket_and_a_finding_in_a_case_without_one_stays(store, now):
    past = now - timedelta(days=800)
    address = Address("acme.service-now.com", "incident", "dq:case:a")
    with store.begin() as connection:
        over, without = cases.add(connection, [draft("a", address=address), draft("b")], by="ann", now=past)
        finding = Anomaly(source="datadog", external_id="x", dataset="d", check_name="c")
        sightings = [Sighting(key, "at:1", finding) for key in ("gone", "kept")]
        anomalies.remember(connection, sightings, now=past)
        case_findings.put(connection, over.id, ["gone"], by="ann", now=now)
        case_findings.put(connection, without.id, ["kept"], by="ann", now=now)
        record = {"sys_id": "a" * 32, "number": "INC1", "state": "7"}
        facts = {"seen": 1, "seen_at_note": 1, "noted_at": past, "severity": "high", "changed_at": past}
        ticket = tickets.add(connection, address, record, made=True, created_by_us=True, **facts)
        tickets.link(connection, ticket.id, ["gone"], now=past)

    pruned = list(prune(store, before=now - timedelta(days=365)))

    with store.begin() as connection:
        assert set(cases.by_ids(connection, [over.id, without.id])) == {without.id}
        assert set(anomalies.contents(connection, ["gone", "kept"])) == {"kept"}
    assert sum(each.cases for each in pruned) == 1
