"""Every kind of login against the sandbox: it works, it expires, it is refused."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client import auth, oauth
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.oauth import fetch_token
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox import tokens

PATH = "/api/now/table/incident"
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
PERSON = {"login": "svc_airflow", "password": "airflow-secret"}
OAUTH = ("oauth_client_credentials", "oauth_password", "oauth_jwt")
KINDS = ("basic", "api_key", "bearer", *OAUTH)
WRONG = {
    "basic": "password",
    "api_key": "api_key",
    "bearer": "api_key",
    "oauth_client_credentials": "client_secret",
    "oauth_password": "password",
    "oauth_jwt": "login",
}


@pytest.fixture(autouse=True)
def no_token_is_known():
    """Forget the tokens of the test before, which had the same accounts."""
    auth._CELLS.forget_all()


@pytest.fixture
def config(sandbox):
    """Make the configuration of one kind of login."""

    def make(kind, **settings):
        somebody = InstanceConfig(sandbox.url, "oauth_password", login="admin", password="admin", **CLIENT)
        given = {
            "basic": PERSON,
            "api_key": {"api_key": "sandbox-api-key"},
            "bearer": {"api_key": fetch_token(somebody, lambda _: None).value if kind == "bearer" else ""},
            "oauth_client_credentials": CLIENT,
            "oauth_password": CLIENT | PERSON,
            "oauth_jwt": CLIENT | {"login": "svc_airflow", "jwt_private_key": sandbox.jwt_private_key},
        }[kind]
        made = InstanceConfig(sandbox.url, kind, **given | settings)
        sandbox.clear_requests()
        return made

    return make


@pytest.fixture
def talk():
    made = []

    def start(config):
        made.append(Transport(config, patience_s=0))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def later(monkeypatch):
    """Let time pass, for the client's tokens and for those of the instance."""
    shift = [0.0]
    clock = SimpleNamespace(
        time=lambda: time.time() + shift[0], monotonic=lambda: time.monotonic() + shift[0]
    )
    for module in (auth, oauth, tokens):
        monkeypatch.setattr(module, "time", clock)

    def pass_by(seconds):
        shift[0] += seconds

    return pass_by


def asked(sandbox):
    """Return what was asked since, as token or record and the status."""
    return [
        ("token" if request.path == "/oauth_token.do" else "record", request.status)
        for request in sandbox.requests
    ]


def read(talk):
    return talk.request("GET", PATH)


@pytest.mark.parametrize("kind", KINDS)
def test_it_works(sandbox, config, talk, kind):
    using = talk(config(kind))
    assert using.request("POST", PATH, json={"short_description": kind}).status == 201
    read(using)
    token = [("token", 200)] if kind in OAUTH else []
    assert asked(sandbox) == [*token, ("record", 201), ("record", 200)]
    assert {request.user for request in sandbox.requests} == {"admin" if kind == "bearer" else "svc_airflow"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_after_one_attempt_if_it_is_wrong(sandbox, config, talk, kind):
    wrong = talk(config(kind, **{WRONG[kind]: "wrong-Wort-4711"}))
    with pytest.raises(exceptions.AuthenticationError) as caught:
        wrong.request("POST", PATH, json={"short_description": kind})
    assert isinstance(caught.value, exceptions.TokenRefusedError) is (kind in OAUTH)
    assert asked(sandbox) == [("token" if kind in OAUTH else "record", 401)]
    assert "wrong-Wort-4711" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("kind", OAUTH)
def test_a_token_is_renewed_before_it_ends(sandbox, config, talk, later, kind):
    using = talk(config(kind))
    read(using)
    later(1700)
    read(using)
    assert asked(sandbox) == [("token", 200), ("record", 200), ("record", 200)]
    later(200)
    read(using)
    assert asked(sandbox)[3:] == [("token", 200), ("record", 200)]


@pytest.mark.parametrize("kind", OAUTH)
def test_the_rest_of_a_tokens_life_is_used_though_the_instance_hands_out_no_new_one(
    sandbox, config, talk, later, kind
):
    """Until it ends the instance returns the current token, with ever fewer seconds in ``expires_in``."""
    using = talk(config(kind))
    read(using)
    later(1730)
    for _ in range(80):
        read(using)
        later(1)
    seen = asked(sandbox)
    assert {status for _, status in seen} == {200}
    assert 3 <= [what for what, _ in seen].count("token") <= 12


@pytest.mark.parametrize("kind", OAUTH)
def test_a_token_that_was_withdrawn_is_renewed_once_and_the_write_sent_again(sandbox, config, talk, kind):
    using = talk(config(kind))
    read(using)
    sandbox.service.authentication.forget()
    sandbox.clear_requests()
    assert using.request("POST", PATH, json={"short_description": "again"}).status == 201
    assert asked(sandbox) == [("record", 401), ("token", 200), ("record", 201)]
    assert len(sandbox.records("incident")) == 1


def test_a_bearer_token_that_is_over_is_refused(sandbox, config, talk, later):
    using = talk(config("bearer"))
    read(using)
    later(1800)
    with pytest.raises(exceptions.AuthenticationError):
        read(using)
    assert asked(sandbox) == [("record", 200), ("record", 401)]


def test_an_api_key_that_is_withdrawn_is_refused(sandbox, config, talk):
    using = talk(config("api_key"))
    read(using)
    sandbox.configure(no_api_key=("table",))
    with pytest.raises(exceptions.AuthenticationError):
        read(using)
    assert asked(sandbox) == [("record", 200), ("record", 401)]


def test_a_user_who_is_locked_out_is_refused_with_every_login(sandbox, config, talk):
    using = [talk(config(kind)) for kind in ("basic", *OAUTH)]
    for each in using:
        read(each)
    (user,) = (row for row in sandbox.records("sys_user") if row["user_name"] == "svc_airflow")
    sandbox.act_as("admin", "sys_user", user["sys_id"], {"locked_out": "true"})
    for each in using:
        with pytest.raises(exceptions.AuthenticationError):
            read(each)


def test_parallel_threads_of_several_transports_fetch_one_token_and_renew_it_once(sandbox, config, talk):
    using = [talk(config("oauth_password", login="svc_airflow")) for _ in range(3)]
    sandbox.clear_requests()
    at_once(read, using * 4)
    assert [what for what, _ in asked(sandbox)].count("token") == 1
    sandbox.service.authentication.forget()
    sandbox.clear_requests()
    at_once(read, using * 4)
    assert [what for what, _ in asked(sandbox)].count("token") == 1
    assert ("record", 200) in asked(sandbox)


def test_parallel_threads_with_a_wrong_password_do_not_lock_the_user_out(sandbox, config, talk):
    """Each thread that asks again is one more wrong password."""
    sandbox.configure(lock_after=5)
    wrong = talk(replace(config("oauth_password"), password="wrong-Wort-4711", max_concurrency=12))
    failures = at_once(read, [wrong] * 12)
    assert {type(failure) for failure in failures} == {exceptions.TokenRefusedError}
    assert len({id(failure) for failure in failures}) == 12
    assert len(asked(sandbox)) < 5
    read(talk(config("basic")))


def at_once(do, items):
    """Call a function for all items in threads that start together; return what they raised."""
    start, raised = threading.Barrier(len(items)), []

    def run(item):
        start.wait()
        try:
            do(item)
        except exceptions.ServiceNowError as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize(
    ("granted", "scope", "works"),
    [
        ((), None, False),
        (("dq:table", "dq:stats"), None, False),
        (("dq:table", "dq:stats"), "dq", True),
        (("dq:table:GET",), "dq", False),
        ((), "useraccount", True),
    ],
)
def test_a_securely_scoped_client_names_its_scope(sandbox, config, talk, granted, scope, works):
    sandbox.configure(oauth_scope="secure", auth_scope=granted)
    using = talk(config("oauth_client_credentials", scope=scope))
    if works:
        assert using.request("POST", PATH, json={}).status == 201
    else:
        with pytest.raises(exceptions.ForbiddenError, match="unscoped api"):
            using.request("POST", PATH, json={})


@pytest.mark.parametrize("is_public", [False, True])
def test_a_jwt_client_without_a_secret_works_where_the_instance_lets_it(sandbox, config, talk, is_public):
    sandbox.configure(jwt_public_client=is_public)
    using = talk(config("oauth_jwt", client_secret=None))
    if is_public:
        read(using)
    else:
        with pytest.raises(exceptions.TokenRefusedError, match="client id or secret is wrong or missing"):
            read(using)


@pytest.mark.parametrize(
    ("field", "subject"), [("email", "svc_airflow@example.com"), ("user_name", "svc_airflow")]
)
def test_the_subject_of_a_jwt_is_the_login_whatever_column_it_is_found_in(
    sandbox, config, talk, field, subject
):
    sandbox.configure(jwt_user_field=field)
    (user,) = (row for row in sandbox.records("sys_user") if row["user_name"] == "svc_airflow")
    sandbox.act_as("admin", "sys_user", user["sys_id"], {"email": "svc_airflow@example.com"})
    read(talk(config("oauth_jwt", login=subject)))
    assert {request.user for request in sandbox.requests} == {"svc_airflow"}
