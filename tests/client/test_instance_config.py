"""What people write into a connection becomes what we use, or an error that says what to do."""

from __future__ import annotations

import pytest
from stub_server import SECRETS

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError


def read(
    host="https://acme.service-now.com", *, login="svc", password=SECRETS["password"], port=None, **extra
):
    return InstanceConfig.from_connection_fields(
        conn_id="my_conn", host=host, login=login, password=password, port=port, extra=extra
    )


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("acme", None, "https://acme.service-now.com"),
        ("acme", 443, "https://acme.service-now.com"),
        ("Acme.Service-Now.com/", 0, "https://acme.service-now.com"),
        (" https://acme.service-now.com/ ", None, "https://acme.service-now.com"),
        ("https://acme.service-now.com:443", None, "https://acme.service-now.com"),
        ("https://snow.example.com:8443/", 443, "https://snow.example.com:8443"),
        ("snow.example.com", 8443, "https://snow.example.com:8443"),
        ("http://127.0.0.1:8099", None, "http://127.0.0.1:8099"),
        ("http://localhost", 8099, "http://localhost:8099"),
        ("http://[::1]:8099", None, "http://[::1]:8099"),
        ("localhost:8099", None, "https://localhost:8099"),
    ],
)
def test_a_host_is_read_as_people_write_it(host, port, url):
    config = read(host, port=port)
    assert config.base_url == url
    assert config.host == url.partition("://")[2]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (None, "has no host"),
        ("", "has no host"),
        ("http://acme.service-now.com", "write https://acme.service-now.com"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("https://svc:hunter-secret@acme.service-now.com", "login and password fields"),
        ("https://acme.service-now.com/nav_to.do?uri=incident.do", "alone"),
        ("ftp://acme.service-now.com", "no address"),
        ("https://acme service", "no address"),
        ("https://acme:port", "no address"),
        ("https://[::1", "no address"),
        ("https://acme.service-now.com:99999", "no address"),
    ],
)
def test_a_host_that_cannot_work_is_refused_in_words(host, words):
    with pytest.raises(ServiceNowConfigError, match="'my_conn'") as caught:
        read(host)
    assert words in str(caught.value)
    assert "hunter-secret" not in str(caught.value)


def test_texts_are_coerced_and_nulls_are_unset():
    config = read(
        timeout_s="7.5",
        max_concurrency="2",
        batch_size=" 5 ",
        verify="False",
        proxy=None,
        client_cert="",
        auth_type=None,
    )
    assert (config.timeout_s, config.max_concurrency, config.batch_size) == (7.5, 2, 5)
    assert (config.verify, config.proxy, config.client_cert, config.auth_type) == (False, None, None, "basic")
    assert read(verify="true").verify is True
    assert read(verify="/etc/company.pem").verify == "/etc/company.pem"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"auth_type": "magic"}, "choose one of basic"),
        ({"auth_type": "oauth_client_credentials", "client_id": "x"}, "needs client_secret"),
        ({"auth_type": "api_key", "api_key": "line one\nline two"}, "unprintable"),
        ({"timeout_s": "soon"}, "'timeout_s' must be a number"),
        ({"timeout_s": True}, "'timeout_s' must be a number"),
        ({"timeout_s": "nan"}, "timeout_s must be"),
        ({"timeout_s": -1}, "timeout_s must be"),
        ({"max_concurrency": 0}, "at least 1"),
        ({"max_concurrency": 1.5}, "whole number"),
        ({"max_concurrency": "inf"}, "whole number"),
        ({"proxy": "proxy.example.com:3128"}, "must be a URL"),
        ({"client_private_key": "key.pem"}, "needs client_cert"),
        ({"client_id": {"a": 1}}, "must be text"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(extra, words):
    with pytest.raises(ServiceNowConfigError) as caught:
        read(**extra)
    assert words in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, True), ("", True), ("  ", True), (True, True), ("True", True), ("1", True), (1, True),
        (False, False), ("false", False), ("0", False), (0, False), (" no ", False),
        (" /etc/company.pem ", "/etc/company.pem"),
    ],
)  # fmt: skip
def test_the_check_of_certificates_is_off_only_where_it_is_said_to_be(written, meant):
    """To requests, an empty text would mean no check at all."""
    assert read(verify=written).verify == meant
    assert type(read(verify=written).verify) is type(meant)


def test_a_form_that_was_saved_untouched_changes_nothing():
    from airflow_provider_servicenow_dq.get_provider_info import get_provider_info

    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    untouched = {name: field["schema"].get("default") for name, field in fields.items()}
    assert None in untouched.values()
    assert read(port=0, **untouched) == read(**dict.fromkeys(fields)) == read()


def test_a_connection_from_a_uri_is_all_texts():
    config = read(
        port=None,
        auth_type="oauth_password",
        client_id="0815",
        client_secret="s",
        scope=" one two ",
        timeout_s="30",
        verify="true",
        max_concurrency="4.0",
    )
    assert (config.timeout_s, config.verify, config.max_concurrency, config.scope) == (30, True, 4, "one two")


def test_a_number_where_a_text_is_due_is_its_text():
    assert read(auth_type="api_key", api_key=1234567).api_key == "1234567"


def test_a_key_in_one_line_gets_its_line_breaks_back():
    pem = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"
    for written in (pem, pem.replace("\n", "\\n"), pem.replace("\n", "\\r\\n")):
        settings = {"auth_type": "oauth_jwt", "client_id": "c", "jwt_private_key": written}
        assert read(**settings).jwt_private_key == pem


def test_basic_needs_a_login_and_a_password():
    with pytest.raises(ServiceNowConfigError, match="needs login and password"):
        read(login=None, password="")
    with pytest.raises(ServiceNowConfigError, match="colon"):
        read(login="a:b")


def test_basic_without_a_login_needs_a_client_certificate_to_be_known_by():
    assert read(login=None, password=None, client_cert="me.pem").is_known_by_certificate
    assert not read(client_cert="me.pem").is_known_by_certificate
    with pytest.raises(ServiceNowConfigError, match="needs password"):
        read(password=None, client_cert="me.pem")


@pytest.mark.parametrize("auth_type", ["bearer", "api_key"])
def test_a_key_or_token_may_be_the_password(auth_type):
    assert read(login=None, auth_type=auth_type).api_key == SECRETS["password"]
    assert read(login=None, auth_type=auth_type, api_key="other-token").api_key == "other-token"
    with pytest.raises(ServiceNowConfigError, match="needs api_key"):
        read(password=None, auth_type=auth_type)


def test_an_unknown_key_is_warned_of_with_the_nearest_and_without_its_value(caplog):
    read(time_out_s="hunter-secret", projects="[]")
    (record,) = caplog.records
    assert "'time_out_s'" in record.getMessage()
    assert "'timeout_s'" in record.getMessage()
    assert "hunter-secret" not in record.getMessage()


def test_no_text_of_a_configuration_shows_a_secret():
    config = read(
        auth_type="oauth_jwt",
        client_id="cid",
        jwt_private_key="PEM-hunter",
        proxy="http://u:proxy-hunter@p.example",
        client_secret=SECRETS["client_secret"],
        api_key=SECRETS["api_key"],
    )
    for secret in (*SECRETS.values(), "PEM-hunter", "proxy-hunter"):
        assert secret not in f"{config!r} {config}"
