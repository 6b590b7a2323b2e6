"""When tickets cannot be opened: the results are there all the same, and the error says whether to retry."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from airflow.sdk.exceptions import AirflowFailException
from beside_an_instance import PASSWORD
from operating import incidents

from airflow_provider_servicenow_dq.exceptions import (
    AnomalyFormatError,
    DeliveryPendingError,
    ServiceNowConfigError,
    StoreError,
)
from airflow_provider_servicenow_dq.store import outbox

GROUP = "d625dccec0a8016700a222a0f7900d06"


def anomaly(check="dep_time not null", **fields):
    return {"dataset": "nyc.flights", "check_name": check, "severity": "high", **fields}


def posts(sandbox):
    return [logged for logged in sandbox.requests if logged.method == "POST"]


def entries(store):
    with store.begin() as connection:
        return list(outbox.by_ids(connection, range(1, 1001)).values())


def test_an_instance_that_is_down_fails_the_task_so_that_it_is_retried(sandbox, open_tickets, ti):
    sandbox.fail_next("error_before", count=50)

    with pytest.raises(DeliveryPendingError, match="503") as failure:
        open_tickets([anomaly(), anomaly("other")], ti=ti)

    assert "a retry goes on from here" in str(failure.value)
    assert [result["delivered"] for result in ti.xcom["return_value"]] == [False, False]
    assert "not delivered (pending)" in ti.xcom["return_value"][0]["warnings"][0]


def test_the_retry_opens_what_the_first_try_could_not(sandbox, open_tickets, ti):
    sandbox.fail_next("error_before", count=50)
    with pytest.raises(DeliveryPendingError):
        open_tickets([anomaly(), anomaly("other")], ti=ti)
    sandbox.reset()

    results = open_tickets([anomaly(), anomaly("other")], ti=ti)

    assert [result["action"] for result in results] == ["created", "created"]
    assert len(incidents(sandbox)) == 2


def test_the_wait_that_the_instance_asks_for_is_on_the_error(sandbox, open_tickets, ti):
    open_tickets(anomaly("first contact"), ti=ti)
    sandbox.fail_next("rate_limited", count=50, retry_after=120)

    with pytest.raises(DeliveryPendingError, match="429") as failure:
        open_tickets(anomaly(), ti=ti)

    assert failure.value.retry_after == 120
    assert ti.xcom["return_value"][0]["delivered"] is False


def test_nobody_listening_at_the_address_is_worth_a_retry(sandbox, connect, open_tickets, ti):
    connect("http://127.0.0.1:9")

    with pytest.raises(DeliveryPendingError, match="connection"):
        open_tickets(anomaly(), ti=ti)

    assert ti.xcom["return_value"][0]["delivered"] is False


def test_a_wrong_password_fails_for_good_in_words(sandbox, connect, open_tickets, ti):
    connect(sandbox.url, password="wrong-4711")

    with pytest.raises(AirflowFailException, match=r"401.*User Not Authenticated") as failure:
        open_tickets(anomaly(), ti=ti)

    assert "wrong-4711" not in str(failure.value)
    assert ti.xcom["return_value"][0]["delivered"] is False
    assert len(sandbox.requests) <= 2, "a locked account is worse than a late ticket"


def test_a_definite_refusal_fails_for_good_in_the_instances_own_words(sandbox, open_tickets, ti):
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))

    with pytest.raises(AirflowFailException, match="was aborted by Business Rule") as failure:
        open_tickets([anomaly("poison"), anomaly("fine")], ti=ti)

    assert "poison on nyc.flights" in str(failure.value)
    refused, fine = ti.xcom["return_value"]
    assert (refused["delivered"], refused["ticket"]) == (False, None)
    assert "not delivered (dead)" in refused["warnings"][0]
    assert (fine["delivered"], fine["action"]) == (True, "created")


def test_with_something_refused_and_something_pending_the_task_is_retried(sandbox, open_tickets, ti):
    open_tickets(anomaly("first contact"), ti=ti)
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))
    # Not a rate limit: that would hold back the other one as well, if it came first.
    sandbox.fail_next("error_before", method="POST", count=50, body="later")

    with pytest.raises(DeliveryPendingError, match="aborted by Business Rule"):
        open_tickets([anomaly("poison", severity="critical"), anomaly("later")], ti=ti)


def test_outside_a_dag_a_failure_is_an_error_too(sandbox, open_tickets):
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))

    with pytest.raises(AirflowFailException, match="poison"):
        open_tickets(anomaly("poison"))


def test_of_many_failures_ten_are_named_and_the_rest_is_counted(sandbox, open_tickets):
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))

    with pytest.raises(AirflowFailException) as failure:
        open_tickets([anomaly(f"poison {number}") for number in range(13)])

    assert str(failure.value).count("is dead") == 10
    assert "and 3 more" in str(failure.value)


def test_one_of_five_hundred_that_a_data_policy_refuses_holds_up_no_other(sandbox, store, open_tickets, ti):
    sandbox.configure(mandatory=("incident.assignment_group when short_descriptionLIKEpoison",))
    # Dated, so that a second report of them is no second occurrence.
    seen = {"detected_at": "2026-01-05T00:00:00Z"}
    anomalies = [anomaly("poison" if number == 250 else f"check {number}", **seen) for number in range(500)]

    with pytest.raises(AirflowFailException, match="poison on nyc") as failure:
        open_tickets(anomalies, ti=ti, max_new_tickets=500)

    # 499 tickets, one dead entry with the instance's words.
    assert len(incidents(sandbox)) == 499
    (dead,) = [entry for entry in entries(store) if entry.state != outbox.DONE]
    assert (dead.state, dead.payload["anomaly"]["check_name"]) == (outbox.DEAD, "poison")
    assert "The following fields are mandatory: Assignment group" in dead.message
    assert f"outbox entry {dead.id} is dead" in str(failure.value)
    assert "The following fields are mandatory: Assignment group" in str(failure.value)

    # The results are there.
    results = ti.xcom["return_value"]
    assert [result["delivered"] for result in results] == [number != 250 for number in range(500)]
    assert {result["action"] for number, result in enumerate(results) if number != 250} == {"created"}

    # A second try sends nothing for the 499.
    sandbox.clear_requests()
    with pytest.raises(AirflowFailException, match="poison"):
        open_tickets(anomalies, ti=ti, max_new_tickets=500)
    assert len(sandbox.requests) <= 5
    assert all("poison" in str(logged.body) for logged in posts(sandbox))
    assert ti.xcom["return_value"][0] == results[0]

    # A corrected field revives the dead one.
    sandbox.clear_requests()
    corrected = open_tickets(anomalies, ti=ti, max_new_tickets=500, assignment_group=GROUP)
    assert len(posts(sandbox)) == 1
    assert [result["delivered"] for result in corrected] == [True] * 500
    assert len(incidents(sandbox)) == 500
    (revived,) = [each for each in incidents(sandbox) if each["assignment_group"] == GROUP]
    assert "poison" in revived["short_description"]


@pytest.mark.parametrize(
    ("host", "extra", "words"),
    [
        ("", {}, "servicenow_default"),
        ("http://acme.service-now.com", {}, "plain http"),
        (None, {"auth_type": "odd"}, "auth_type"),
        (None, {"projects": {"default": {"on_refires": "new"}}}, "'on_refire'"),
    ],
)
def test_a_connection_that_cannot_work_is_an_error_in_words(
    sandbox, connect, open_tickets, host, extra, words
):
    connect(sandbox.url if host is None else host, **extra)

    with pytest.raises(ServiceNowConfigError, match=words):
        open_tickets(anomaly())

    assert sandbox.requests == []


def test_a_store_that_cannot_be_opened_is_an_error_before_anything_is_sent(
    sandbox, open_tickets, monkeypatch
):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "sqlite:////no/such/folder/store.db")

    with pytest.raises(StoreError, match="cannot be opened"):
        open_tickets(anomaly())

    assert posts(sandbox) == []


def test_a_store_setting_that_is_no_address_is_refused_in_words(sandbox, open_tickets, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", "/var/lib/store.db")

    with pytest.raises(
        ServiceNowConfigError, match=r"\[servicenow_dq\] store is neither .* nor a SQLAlchemy URL"
    ):
        open_tickets(anomaly())


def test_what_cannot_be_read_is_an_error_that_names_the_place(sandbox, open_tickets):
    with pytest.raises(AnomalyFormatError, match=r"\[1\]"):
        open_tickets([anomaly(), {"nonsense": 1}])

    assert sandbox.requests == []


@pytest.mark.parametrize("outcome", ["opened", "refused", "wrong password", "down"])
def test_no_secret_is_in_any_line_or_error_at_debug(
    sandbox, connect, open_tickets, ti, caplog, capfd, outcome
):
    caplog.set_level(logging.DEBUG)
    password = "wrong-4711" if outcome == "wrong password" else PASSWORD
    connect(sandbox.url, password=password)
    if outcome == "refused":
        sandbox.configure(abort=("incident",))
    if outcome == "down":
        sandbox.fail_next("drop_before", count=50)

    said = ""
    try:
        open_tickets([anomaly(), anomaly("other")], ti=ti, assignment_group="Service Desk")
    except (AirflowFailException, DeliveryPendingError) as error:
        said = f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert bool(said) == (outcome != "opened")

    lines = "\n".join(item.getMessage() for item in caplog.records if not item.name.startswith("airflow.sdk"))
    everything = lines + said + "".join(capfd.readouterr()) + json.dumps(ti.xcom)
    assert lines
    basic = base64.b64encode(f"svc_airflow:{password}".encode()).decode()
    for secret in (password, basic, "Authorization"):
        assert secret not in everything
