"""Every kind of answer becomes a value or the error that says what may have happened."""

from __future__ import annotations

import json
import pickle
import time
from email.utils import formatdate

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.answers import read_answer

JSON = "application/json;charset=UTF-8"
HIBERNATING = "<html><head><title>\n Instance Hibernating page\n</title></head></html>"
ACL = {
    "error": {"message": "User Not Authorized", "detail": "Failed API level ACL Validation"},
    "status": "failure",
}
POLICY = "Data Policy Exception: \n\tThe following fields are mandatory: Resolution code"
QUOTA = {"message": "Transaction cancelled: maximum execution time exceeded", "detail": None}


def read(status, body, kind=JSON, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return read_answer(status, CaseInsensitiveDict({"Content-Type": kind, **headers}), text.encode())


def error(message, detail=None):
    return {"error": {"message": message, "detail": detail}, "status": "failure"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "expected", "words"),
    [
        (202, "", "text/html", exceptions.NotExecutedError, "dropped"),
        (
            200,
            {"result": [{}], "error": QUOTA, "status": "failure"},
            JSON,
            exceptions.CancelledError,
            "maximum execution",
        ),
        (
            200,
            '{"result":[{"a":"b"},{"a' + json.dumps({"error": QUOTA}),
            JSON,
            exceptions.CancelledError,
            "cancelled",
        ),
        (201, "", JSON, exceptions.AnswerLostError, "empty"),
        (200, {"token": 1}, JSON, exceptions.NotServiceNowError, "not ServiceNow's"),
        (200, [1], JSON, exceptions.NotServiceNowError, "not ServiceNow's"),
        (200, HIBERNATING, "text/html", exceptions.NotServiceNowError, "hibernating"),
        (503, HIBERNATING, "text/html", exceptions.NotServiceNowError, "hibernating"),
        (
            200,
            "<p>Your instance is currently offline</p>",
            "text/html",
            exceptions.NotServiceNowError,
            "offline",
        ),
        (
            200,
            '<title>Log in | ServiceNow</title><input type="password">',
            "text/html",
            exceptions.NotServiceNowError,
            "login page",
        ),
        (
            200,
            "<title>Welcome to nginx!</title>",
            "text/html",
            exceptions.NotServiceNowError,
            "Welcome to nginx!",
        ),
        (404, "<title>404 Not Found</title>", "text/html", exceptions.NotServiceNowError, "404 Not Found"),
        (403, "<title>Blocked</title>", "text/html", exceptions.NotServiceNowError, "Blocked"),
        (302, "", "text/html", exceptions.NotServiceNowError, "redirect"),
        (200, "hello", "text/plain", exceptions.NotServiceNowError, "text/plain"),
        (429, "", "text/html", exceptions.RateLimitedError, "too many requests"),
        (
            429,
            error("Rate limit exceeded", "Rate limit of 100"),
            JSON,
            exceptions.RateLimitedError,
            "Rate limit of 100",
        ),
        (500, error("Transaction cancelled"), JSON, exceptions.ServerError, "Transaction cancelled"),
        (502, "<h1>Bad gateway</h1>", "text/html", exceptions.ServerError, "502"),
        (
            401,
            error("User Not Authenticated", "Required"),
            JSON,
            exceptions.AuthenticationError,
            "User Not Authenticated",
        ),
        (401, "", "text/html", exceptions.AuthenticationError, "User Not Authenticated"),
        (403, ACL, JSON, exceptions.ForbiddenError, "Failed API level ACL Validation"),
        (403, error("Operation Failed", POLICY), JSON, exceptions.ForbiddenError, POLICY),
        (
            404,
            error("No Record found", "Record doesn't exist"),
            JSON,
            exceptions.RecordNotFoundError,
            "No Record found",
        ),
        (400, error("Invalid table foo"), JSON, exceptions.RefusedError, "Invalid table foo"),
        (
            400,
            "<p>Request header is too large</p>",
            "text/html",
            exceptions.RefusedError,
            "query is too long",
        ),
        (400, "<title>HTTP Status 400</title>", "text/html", exceptions.RefusedError, "HTTP Status 400"),
        (405, {"error": "odd"}, JSON, exceptions.RefusedError, "odd"),
    ],
)
def test_an_answer_that_is_no_success_has_its_class(status, body, kind, expected, words):
    with pytest.raises(expected) as caught:
        read(status, body, kind)
    assert type(caught.value) is expected
    assert words in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own
    assert (type(copy), str(copy), copy.__dict__) == (expected, str(caught.value), caught.value.__dict__)


def test_a_success_gives_its_result_and_headers():
    answer = read(200, {"result": [{"number": "INC1"}]}, **{"X-Total-Count": "7"})
    assert (answer.status, answer.result) == (200, [{"number": "INC1"}])
    assert answer.headers["x-total-count"] == "7"
    assert read(204, "").result is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1234", 1234.0), ("", None), ("soon", None), ("-5", None), ("9" * 400, None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_is_read_from_seconds(status, text, seconds):
    with pytest.raises(exceptions.ServiceNowError) as caught:
        read(status, "", "text/html", **{"Retry-After": text})
    assert caught.value.retry_after == seconds


def test_the_wait_is_read_from_a_date():
    with pytest.raises(exceptions.RateLimitedError) as caught:
        read(429, "", **{"Retry-After": formatdate(time.time() + 90, usegmt=True)})
    assert 85 <= caught.value.retry_after <= 90
    with pytest.raises(exceptions.RateLimitedError) as caught:
        read(429, "", **{"Retry-After": formatdate(0, usegmt=True)})
    assert caught.value.retry_after == 0


def test_a_body_that_would_overflow_the_parser_is_an_error_like_any_other():
    with pytest.raises(exceptions.CancelledError):
        read(200, "[" * 200_000)
