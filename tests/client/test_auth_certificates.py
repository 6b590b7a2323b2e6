"""TLS against a real server: a CA file, client certificates, and what is wrong with either."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.doctor import check_connection
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.tls import Tls

PERSON = {"login": "svc_airflow", "password": "airflow-secret"}
LOGINS = {
    "basic": PERSON,
    "api_key": {"api_key": "sandbox-api-key"},
    "oauth_client_credentials": {"client_id": "sandbox-client", "client_secret": "sandbox-secret"},
    "oauth_password": PERSON | {"client_id": "sandbox-client", "client_secret": "sandbox-secret"},
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(authority):
    """A sandbox behind https."""
    with Sandbox(tls=Tls(*authority.issue("server"))) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(authority):
    """A sandbox that lets nobody connect without a certificate of our authority."""
    with Sandbox(tls=Tls(*authority.issue("gate"), client_ca=authority.ca, wants_client=True)) as running:
        yield running


def count_incidents(url, **settings):
    with Transport(InstanceConfig(url, **settings), patience_s=0) as talk:
        return TableApi(talk).count("incident", {})


def words(url, **settings):
    works, sentence = check_connection(InstanceConfig(url, **PERSON | settings))
    assert not works
    assert "airflow-secret" not in sentence
    return sentence


@pytest.mark.parametrize("auth_type", LOGINS)
def test_an_instance_whose_authority_is_in_the_ca_file_is_trusted(secured, authority, auth_type):
    assert (
        count_incidents(secured.url, auth_type=auth_type, verify=str(authority.ca), **LOGINS[auth_type]) == 0
    )


def test_an_instance_of_an_unknown_authority_is_refused_before_anything_is_sent(secured, authority, tmp_path):
    secured.clear_requests()
    other = Authority(tmp_path, "Other CA")
    assert "is not trusted" in words(secured.url)
    assert "is not trusted" in words(secured.url, verify=str(other.ca))
    assert "is not trusted" in words(secured.url, auth_type="oauth_password", **LOGINS["oauth_password"])
    assert secured.requests == []


def test_a_server_certificate_that_is_over_is_said_to_be(authority):
    with Sandbox(tls=Tls(*authority.issue("late", life=timedelta(days=-1)))) as late:
        assert "certificate has expired" in words(late.url, verify=str(authority.ca))


def test_verify_false_takes_any_certificate(secured, recwarn):
    assert count_incidents(secured.url, verify=False, **PERSON) == 0


def test_the_ca_file_of_the_connection_wins_over_that_of_the_environment(
    secured, authority, tmp_path, monkeypatch
):
    monkeypatch.setattr(InstanceConfig, "is_loopback", False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path, "Company CA").ca))
    for login in ("basic", "oauth_password"):
        assert count_incidents(secured.url, auth_type=login, verify=str(authority.ca), **LOGINS[login]) == 0
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
    for login in ("basic", "oauth_password"):
        assert count_incidents(secured.url, auth_type=login, **LOGINS[login]) == 0


@pytest.mark.parametrize("auth_type", LOGINS)
def test_a_client_certificate_goes_with_every_login(guarded, authority, auth_type):
    certificate, key = authority.issue("svc_airflow")
    mutual = {"client_cert": certificate, "client_private_key": key, "verify": str(authority.ca)}
    assert count_incidents(guarded.url, auth_type=auth_type, **LOGINS[auth_type], **mutual) == 0


def test_another_certificate_does_not_borrow_the_token(guarded, authority):
    login = LOGINS["oauth_password"] | {"auth_type": "oauth_password", "verify": str(authority.ca)}
    for user in ("one", "other"):
        certificate, key = authority.issue(user)
        guarded.clear_requests()
        count_incidents(guarded.url, client_cert=certificate, client_private_key=key, **login)
        assert guarded.requests[0].path == "/oauth_token.do"


def test_certificate_and_key_may_be_in_one_file(guarded, authority, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(path).read_text() for path in authority.issue("svc_airflow")))
    assert count_incidents(guarded.url, client_cert=str(both), verify=str(authority.ca), **PERSON) == 0


def test_a_certificate_alone_logs_its_user_in(guarded, authority):
    certificate, key = authority.issue("svc_airflow")
    alone = {"client_cert": certificate, "client_private_key": key, "verify": str(authority.ca)}
    guarded.clear_requests()
    assert count_incidents(guarded.url, **alone) == 0
    assert {request.user for request in guarded.requests} == {"svc_airflow"}
    works, sentence = check_connection(InstanceConfig(guarded.url, **alone))
    assert works
    assert "the user of the client certificate" in sentence


def test_a_certificate_of_nobody_is_refused_in_words(guarded, authority):
    certificate, key = authority.issue("nobody")
    alone = {"client_cert": certificate, "client_private_key": key, "verify": str(authority.ca)}
    _, sentence = check_connection(InstanceConfig(guarded.url, **alone))
    assert "refuses the client certificate" in sentence


def test_an_instance_that_wants_a_certificate_is_not_spoken_to_without(guarded, authority):
    """Its alert may be lost on the way, when it closes the connection on what was sent meanwhile."""
    guarded.clear_requests()
    with pytest.raises((exceptions.UnreachableError, exceptions.ConnectionBrokenError)) as caught:
        count_incidents(guarded.url, verify=str(authority.ca), **PERSON)
    assert caught.value.__context__ is None
    assert "client certificate" in words(guarded.url, verify=str(authority.ca))
    assert guarded.requests == []


def test_a_certificate_of_another_authority_or_age_is_refused_in_words(guarded, authority, tmp_path):
    stranger = Authority(tmp_path, "Other CA").issue("svc_airflow")
    expired = authority.issue("former", life=timedelta(days=-1))
    for certificate, key in (stranger, expired):
        said = words(guarded.url, client_cert=certificate, client_private_key=key, verify=str(authority.ca))
        assert "client certificate" in said


def test_files_that_cannot_be_used_are_named_before_anything_is_sent(secured, authority, tmp_path):
    certificate, key = authority.issue("svc_airflow")
    _, others_key = authority.issue("other")
    locked, locked_key = authority.issue("locked", passphrase="open-Sesam-4715")
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    secured.clear_requests()
    for settings, expected in [
        ({"verify": "no-such-ca.pem"}, "verify: 'no-such-ca.pem' cannot be read (No such file"),
        ({"verify": str(junk)}, f"verify: '{junk}' holds no certificate"),
        ({"client_cert": "no-such.pem"}, "client_cert: 'no-such.pem' cannot be read"),
        ({"client_cert": str(tmp_path)}, "cannot be read (Is a directory)"),
        ({"client_cert": certificate, "client_private_key": "no.key"}, "client_private_key: 'no.key' cannot"),
        ({"client_cert": certificate, "client_private_key": others_key}, "does not belong to client_cert"),
        ({"client_cert": locked, "client_private_key": locked_key}, "locked with a passphrase"),
        ({"client_cert": certificate}, "client_private_key names the key's file"),
        ({"client_cert": str(junk), "client_private_key": key}, "must be PEM files"),
    ]:
        for login in ("basic", "oauth_password"):
            assert expected in words(secured.url, auth_type=login, **LOGINS[login] | settings)
    assert secured.requests == []
