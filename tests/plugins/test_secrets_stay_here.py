"""Nothing that is answered, and no line of a log, holds a secret of a connection, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from echo_instance import echo_instance
from rest_server import TICKETING, WEBHOOK_SECRET, Asking, connection_to
from test_findings_routes import FINDINGS, item, refs
from test_webhook import PATH as WEBHOOK
from test_webhook import message

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.plugins import links, reach

#: Stands in each secret, and nothing changes it, however it is written.
MARK = "S3cret"
LOGIN = "svc_airflow"
SECRETS = {
    "password": f'pass {MARK}/1&%"\\=',
    "client_secret": f"client+{MARK}/2&",
    "api_key": f"key+{MARK}/3",
    "proxy": f"proxy-{MARK}-4",
    "jwt_private_key": f"jwt-{MARK}-5",
    "store": f"store-{MARK}-6",
    "token": f"token-{MARK}-7",
    "webhook_secret": WEBHOOK_SECRET,
}
LINK = "/api/anomalies/A-1/ticket-links"

CONNECTIONS = {
    "works": {},
    "wrong password": {"password": SECRETS["password"]},
    "no such auth_type": {"extra": {"auth_type": SECRETS["client_secret"]}},
    "password in the host": {"host": f"https://user:{SECRETS['proxy']}@acme.example"},
    "password as the host": {"host": f"https://{SECRETS['proxy']}"},
    "password in the login": {"login": f"svc:{SECRETS['password']}"},
    "proxy that is down": {"extra": {"proxy": f"http://user:{SECRETS['proxy']}@127.0.0.1:9"}},
    "proxy that is no URL": {"extra": {"proxy": SECRETS["proxy"]}},
    "key that is none": {
        "extra": {"auth_type": "oauth_jwt", "client_id": "c", "jwt_private_key": SECRETS["jwt_private_key"]}
    },
    "token": {"extra": {"auth_type": "bearer"}},
    "client": {"extra": {"auth_type": "oauth_client_credentials", "client_id": "client"}},
    "CA file that is not there": {"extra": {"verify": SECRETS["password"]}},
    "timeout that is no number": {"extra": {"timeout_s": SECRETS["password"]}},
    "projects that are none": {"extra": {"projects": SECRETS["password"]}},
}

#: Each way to say who asks, all of which an instance may say back.
LOGINS = {
    "basic": {},
    "bearer": {"auth_type": "bearer"},
    "api_key": {"auth_type": "api_key"},
    "oauth_client_credentials": {"auth_type": "oauth_client_credentials", "client_id": "client"},
    "oauth_password": {"auth_type": "oauth_password", "client_id": "client"},
    "oauth_jwt": {"auth_type": "oauth_jwt", "client_id": "client"},
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Nothing is tried twice."""
    monkeypatch.setattr(reach, "_PATIENCE_S", 0.0)


@pytest.fixture
def connect(monkeypatch):
    """Let the connection have every secret, and more fields."""

    def connected(host, **fields):
        names = ("client_secret", "api_key", "jwt_private_key", "webhook_secret")
        extra = {name: SECRETS[name] for name in names} | fields.pop("extra", {})
        fields = {"host": host, "login": LOGIN, "password": SECRETS["password"], **fields}
        connection = connection_to(fields.pop("host"), extra=extra, **fields)
        monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection)

    return connected


@pytest.fixture
def everything_asked(root, ask, caplog):
    """Ask every route, and look at every answer and every line of a log."""
    caplog.set_level(logging.DEBUG)
    body, headers = message("f" * 32)
    case = {"data": {"id": "0" * 8, "relationships": {"findings": refs("a")}, "type": "cases"}}
    url = f"https://acme.example/incident.do?sys_id={'f' * 32}"

    def asked():
        forget_limits()
        answers = [
            ask("GET", f"{TICKETING}/form-specification"),
            ask("GET", f"{TICKETING}/tickets/search"),
            ask("GET", f"{TICKETING}/tickets/INC0000001"),
            ask("POST", f"{TICKETING}/anomalies/A-1/tickets", json={"title": "x"}),
            ask("GET", LINK),
            ask("POST", LINK, json={"ticket_id": "INC0000001"}),
            ask("DELETE", f"{LINK}/{'0' * 32}"),
            ask("GET", f"{TICKETING}/tickets/search", params={"project": "no_such"}),
            ask("POST", f"{FINDINGS}/servicenow_tickets", json={"data": [item("a", project="default")]}),
            ask("POST", f"{FINDINGS}/cases", json={"data": [item("a", kind="cases", project="default")]}),
            ask(
                "PATCH",
                f"{FINDINGS}/servicenow_tickets",
                json={"data": item("a", project="default", servicenow_ticket_url=url)},
            ),
            ask("PATCH", f"{FINDINGS}/cases/00000000-0000-0000-0000-000000000000", json=case),
            ask(
                "DELETE",
                f"{FINDINGS}/cases",
                json={"data": {"relationships": {"findings": refs("a")}, "type": "cases"}},
            ),
            Asking(root, None)("POST", WEBHOOK, content=body, headers=headers),
        ]
        told = [answer.text + str(answer.headers) for answer in answers] + [caplog.text]
        for text in told:
            assert not [secret for secret in (MARK, pair(), WEBHOOK_SECRET) if secret in text], text
        assert MARK not in json.dumps([str(record.args) for record in caplog.records])
        return answers

    return asked


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_connection_that_cannot_work_is_described_without_its_secrets(
    everything_asked, sandbox, report, connect, name
):
    report(ticket=False)
    connect(**{"host": sandbox.url, **CONNECTIONS[name]})

    assert 500 not in [answer.status_code for answer in everything_asked()]


@pytest.mark.parametrize(
    ("login", "status"),
    [(login, 403) for login in LOGINS] + [("basic", status) for status in (400, 401, 404, 500, 503)],
)
def test_what_an_instance_says_back_is_told_without_secrets(
    everything_asked, sandbox, report, connect, login, status
):
    report(ticket=False)
    for token in (None, SECRETS["token"]) if "oauth" in login else (None,):
        extra = dict(LOGINS[login])
        if login == "oauth_jwt":
            extra["jwt_private_key"] = private_key()
        with echo_instance(status, token=token) as (url, said):
            connect(url, extra=extra)
            assert 500 not in [answer.status_code for answer in everything_asked()]
        assert [words for words in said if MARK in words or pair() in words or login == "oauth_jwt"]


def pair():
    return base64.b64encode(f"{LOGIN}:{SECRETS['password']}".encode()).decode()


def private_key():
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("is_read", [True, False])
def test_what_nobody_expected_is_told_without_its_words(ask, sandbox, connect, monkeypatch, caplog, is_read):
    """Whether the connection was read by then, and its secrets are known, or not."""
    connect(sandbox.url)
    words = SECRETS["password"] if is_read else "postgresql://airflow:top-S3cret@db/airflow"

    def broken(*_, **__):
        raise RuntimeError(words)

    monkeypatch.setattr(*((links, "find_anomaly") if is_read else (reach.Reach, "open")), broken)
    answer = ask("GET", LINK)

    assert answer.status_code == 500
    assert "RuntimeError" not in answer.text
    assert "log" in answer.json()["errors"][0]["detail"]
    assert "RuntimeError" in caplog.text
    assert MARK not in answer.text + caplog.text


def test_the_password_of_the_store_is_not_told(ask, sandbox, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    for url in (
        f"postgresql://user:{SECRETS['store']}@127.0.0.1:9/db",
        f"postgresql://user:{SECRETS['store']}@127.0.0.1:port/db",
        f"postgresql://user@127.0.0.1:9/db?password={SECRETS['store']}",
        f"mysql://user:{SECRETS['store']}@127.0.0.1:9/db",
        f"nothing {SECRETS['store']}",
    ):
        monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", url)
        answer = ask("GET", LINK)
        assert answer.status_code == 503
        form = ask("GET", f"{TICKETING}/form-specification")
        assert MARK not in answer.text + caplog.text + form.text
        assert "127.0.0.1:9" not in answer.text + form.text
