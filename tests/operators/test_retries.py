"""A task that the instance turned away is retried when the instance allows it."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowOptionalProviderFeatureException

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.operators.servicenow import servicenow_retry_policy

try:
    from airflow.sdk import RetryAction
except ImportError:
    RetryAction = None

DAG_FILE = """
from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_servicenow_dq.exceptions import RateLimitedError, ServiceNowConfigError
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowGetRecordsOperator,
    servicenow_retry_policy,
)


@dag(
    schedule=None,
    catchup=False,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(hours=5),
        "retry_policy": servicenow_retry_policy(),
    },
)
def retried():
    ServiceNowGetRecordsOperator(task_id="limited", table="incident", query={"active": True})

    @task
    def wrong():
        raise RuntimeError("in the user's own words") from ServiceNowConfigError("cannot work")

    wrong()


retried()
"""


def decide(error):
    return servicenow_retry_policy().evaluate(error, 1, 3)


def from_it(cause):
    error = RuntimeError("the user's own words")
    error.__cause__ = cause
    return error


def refused_on_older_airflow():
    """Before 3.3 there is no policy to test: asking for it says so."""
    if RetryAction is not None:
        return False
    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.3"):
        servicenow_retry_policy()
    return True


@pytest.mark.parametrize(
    "error",
    [
        exceptions.RateLimitedError("429", 1234.0),
        exceptions.ServerError("503", 1234.0),
        exceptions.DeliveryPendingError("not yet", 1234.0),
        from_it(exceptions.RateLimitedError("429", 1234.0)),
    ],
)
def test_a_wait_that_the_instance_named_is_when_the_task_is_retried(error):
    if refused_on_older_airflow():
        return
    decision = decide(error)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=1235)
    assert "1234 s" in decision.reason


@pytest.mark.parametrize(
    "error",
    [
        exceptions.RateLimitedError("busy"),
        exceptions.DeliveryPendingError("not yet"),
        exceptions.AnswerLostError("gone"),
        exceptions.ForbiddenError(403, "User Not Authorized", "Failed API level ACL Validation"),
        exceptions.RecordNotFoundError(404, "No Record found"),
        exceptions.NotServiceNowError("hibernating"),
        ValueError("not ours"),
        from_it(ValueError("not ours")),
    ],
)
def test_everything_else_is_retried_as_the_task_says(error):
    if refused_on_older_airflow():
        return
    assert decide(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ServiceNowConfigError("no host"),
        exceptions.AuthenticationError(401, "User Not Authenticated"),
        exceptions.RefusedError(400, "Invalid table x"),
        exceptions.UnsafeQueryError("x"),
        exceptions.AnomalyFormatError("dbt", "results[3]", "x"),
        exceptions.AmbiguousNameError("sys_user_group", "Ops", 2),
        exceptions.DeliveryRefusedError("no"),
        from_it(exceptions.AuthenticationError(401, "User Not Authenticated")),
    ],
)
def test_what_a_retry_would_only_meet_again_fails_at_once(error):
    if refused_on_older_airflow():
        return
    decision = decide(error)
    assert decision.action is RetryAction.FAIL
    assert "the same" in decision.reason


def test_the_policy_can_be_copied_stored_and_made_again():
    if refused_on_older_airflow():
        return
    policy = servicenow_retry_policy()
    stored = json.loads(json.dumps(policy.serialize()))
    copies = [copy.deepcopy(policy), pickle.loads(pickle.dumps(policy)), type(policy).deserialize(stored)]  # noqa: S301  # our own
    assert {type(each) for each in copies} == {type(policy)}


def test_without_retry_policies_airflow_is_said_to_be_too_old(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow_provider_servicenow_dq.operators.retry_policy", None)
    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.3"):
        servicenow_retry_policy()


@pytest.fixture
def retried(airflow_database, tmp_path, monkeypatch):
    """A DAG whose tasks use the policy."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "retried.py").write_text(DAG_FILE, encoding="utf-8")
    bundle = {
        "name": "retried",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    bag = DagBag(folder)
    if RetryAction is None:
        assert "needs Airflow 3.3" in str(bag.import_errors)
        return None
    assert bag.import_errors == {}
    return bag.dags["retried"]


def test_in_a_run_the_retry_comes_when_the_instance_allows_it_and_no_retry_where_none_helps(
    sandbox, retried, connect, monkeypatch
):
    if retried is None:
        return
    # As if nobody could wait for a second: so it is Airflow that waits.
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.transport._MAX_WAIT_S", 0.5)
    sandbox.fail_next("rate_limited", method="GET", path="incident", retry_after=1)

    run = retried.test()

    limited, wrong = (run.get_task_instance(name) for name in ("limited", "wrong"))
    assert (str(limited.state), limited.try_number) == ("success", 2)
    assert (str(wrong.state), wrong.try_number) == ("failed", 1)
