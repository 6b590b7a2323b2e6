"""What lies between us and the instance: proxies, vanity addresses, and links to elsewhere."""

from __future__ import annotations

import base64

import pytest
import requests
from certificates import Authority
from forward_proxy import ForwardProxy
from stub_server import Reply, of

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.doctor import check_connection
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.tls import Tls

HOSTS = {"snow.example.com": "127.0.0.1", "another.example.com": "127.0.0.1"}
LOGIN = "proxy-user:proxy-Geheimnis-4714"
BASIC = {"login": "svc_airflow", "password": "airflow-secret"}
OAUTH = {
    "auth_type": "oauth_client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
}


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """An instance at a vanity address that only proxies can find, and its CA file."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    with Sandbox(tls=Tls(*authority.issue("server"))) as running:
        port = running.url.rpartition(":")[2]
        yield running, f"https://snow.example.com:{port}", str(authority.ca)


@pytest.fixture
def proxy():
    with ForwardProxy(login=LOGIN, hosts=HOSTS) as running:
        yield running


def with_login(proxy, login=LOGIN):
    return proxy.url.replace("http://", f"http://{login}@")


def create(url, **settings):
    with Transport(InstanceConfig(url, **settings), patience_s=0) as talk:
        return TableApi(talk).create("incident", {"short_description": "through"})


@pytest.mark.parametrize("settings", [BASIC, OAUTH], ids=["basic", "oauth"])
def test_every_request_goes_through_the_proxy_tokens_included(far, proxy, settings):
    _, url, ca = far
    assert create(url, proxy=with_login(proxy), verify=ca, **settings)["number"]
    host = url.removeprefix("https://")
    assert set(proxy.asked) == {f"CONNECT {host}"}
    assert len(proxy.asked) == (2 if settings is OAUTH else 1)


def test_a_sandbox_on_this_machine_is_asked_through_a_proxy_if_the_connection_names_one(sandbox, proxy):
    assert create(sandbox.url, proxy=with_login(proxy), **BASIC)["number"]
    (line,) = proxy.asked
    assert line.startswith(f"POST {sandbox.url}/api/now/table/incident")


@pytest.mark.parametrize("settings", [BASIC, OAUTH], ids=["basic", "oauth"])
def test_the_proxy_of_the_connection_wins_over_that_of_the_environment(far, proxy, monkeypatch, settings):
    _, url, ca = far
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert create(url, proxy=with_login(proxy), verify=ca, **settings)["number"]


@pytest.mark.parametrize("settings", [BASIC, OAUTH], ids=["basic", "oauth"])
def test_without_one_of_its_own_a_connection_takes_that_of_the_environment(far, proxy, monkeypatch, settings):
    _, url, ca = far
    monkeypatch.setenv("HTTPS_PROXY", with_login(proxy))
    assert create(url, verify=ca, **settings)["number"]
    assert proxy.asked


def test_an_instance_whose_certificate_has_another_name_is_refused(far, proxy):
    running, url, ca = far
    running.clear_requests()
    other = url.replace("snow.example", "another.example")
    config = InstanceConfig(other, proxy=with_login(proxy), verify=ca, **BASIC)
    works, sentence = check_connection(config)
    assert not works
    assert "Hostname mismatch" in sentence
    assert running.requests == []


@pytest.mark.parametrize("settings", [BASIC, OAUTH], ids=["basic", "oauth"])
def test_a_proxy_that_lets_nobody_through_is_said_to_and_nothing_was_sent(far, proxy, settings):
    running, url, ca = far
    running.clear_requests()
    for address, words in [
        (with_login(proxy, "proxy-user:proxy-wrong-4716"), "refuses its user or password (407)"),
        (proxy.url, "refuses its user or password (407)"),
        ("http://u:proxy-wrong-4716@127.0.0.1:1", "proxy on the way to"),
        ("http://u:proxy-wrong-4716@no-such-proxy.invalid:3128", "cannot be reached: check proxy"),
    ]:
        with pytest.raises(exceptions.UnreachableError) as caught:
            create(url, proxy=address, verify=ca, **settings)
        assert words in str(caught.value)
        assert caught.value.__context__ is None
        works, sentence = check_connection(InstanceConfig(url, proxy=address, verify=ca, **settings))
        assert not works
        assert words in sentence
        assert "proxy-wrong-4716" not in sentence
    assert running.requests == []


def test_the_password_of_a_proxy_and_what_is_made_of_it_are_told_as_secrets(far):
    _, url, _ = far
    told = []
    config = InstanceConfig(url, proxy="http://user:p%40ss-wort@proxy.example:3128", **BASIC)
    with Transport(config, on_secret=told.append) as talk:
        assert talk.session
    assert {"p@ss-wort", base64.b64encode(b"user:p@ss-wort").decode()} <= set(told)


def test_links_to_another_host_are_never_followed(stub, config):
    """Behind a vanity address the instance's links bear its own name, and page headers may say anything."""
    evil = "http://127.0.0.2:9"
    rows = [
        {"sys_id": f"{index:032x}", "caller_id": {"link": f"{evil}/caller", "value": "x"}} for index in (1, 2)
    ]
    link = f'<{evil}/api/now/table/incident?sysparm_offset=2>;rel="next"'
    stub.script = lambda asked: of(
        [] if ">" in asked.query.get("sysparm_query", "") else rows, Link=link, X_Total_Count="2"
    )
    with Transport(config()) as talk:
        assert len(list(TableApi(talk).find("incident", {}))) == 2
    assert {asked.headers["host"] for asked in stub.asked} == {stub.url.removeprefix("http://")}


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/api/now/table/incident",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:1/api",
    ],
)
def test_the_session_of_an_instance_reaches_no_other_host(stub, config, elsewhere):
    with Transport(config()) as talk, pytest.raises(requests.exceptions.InvalidSchema):
        talk.session.get(elsewhere)
    assert stub.asked == []


def test_no_redirect_is_followed_and_no_cookie_kept(stub, config):
    stub.script = [
        of([], Set_Cookie="JSESSIONID=1234; Path=/"),
        Reply(302, b"", {"Location": f"{stub.url}/login.do"}),
    ]
    with Transport(config(), patience_s=0) as talk:
        talk.request("GET", "/api/now/table/incident")
        with pytest.raises(exceptions.NotServiceNowError, match="redirect"):
            talk.request("GET", "/api/now/table/incident")
        assert talk.session.get("/api/now/table/incident").status_code == 302
    assert len(stub.asked) == 3
    assert not any("cookie" in asked.headers for asked in stub.asked)
