"""The guards with the FAB auth manager, whose rights are not those of the simple one."""

from __future__ import annotations

import pytest
import requests
from api_servers import api_server, log_in
from rest_server import connection_to
from test_who_may_what import READS, ROUTES, SITES, WRITES


@pytest.fixture(scope="module")
def fab(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("fab")
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW_CONN_SERVICENOW_DEFAULT": connection_to(server.url),
    }
    with api_server(home, settings, fab=True) as url:
        yield url


@pytest.fixture(scope="module")
def sessions(fab):
    return {user: log_in(fab, user) for user in ("viewer", "user", "op", "admin")}


def ask(session, fab, method, path, **content):
    return session.request(method, f"{fab}/servicenow-dq{path}", timeout=30, **content)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_a_login(fab, method, path):
    assert ask(requests.Session(), fab, method, path).status_code == 401


@pytest.mark.parametrize(("method", "path"), READS)
def test_a_viewer_reads(fab, sessions, method, path):
    answer = ask(sessions["viewer"], fab, method, path)
    assert answer.status_code in {200, 404}, answer.text


@pytest.mark.parametrize("user", ["viewer", "user"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whoever_may_not_edit_connections_does_not_write(fab, sessions, method, path, user):
    answer = ask(sessions[user], fab, method, path, json={})
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("user", ["op", "admin"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whoever_may_edit_connections_writes(fab, sessions, method, path, user):
    answer = ask(sessions[user], fab, method, path, json={})
    assert answer.status_code in {400, 404}, answer.text


@pytest.mark.parametrize("where", SITES)
def test_a_browser_that_is_logged_in_writes_for_no_other_site(fab, sessions, where):
    method, path = WRITES[0]
    token = sessions["admin"].headers["Authorization"].removeprefix("Bearer ")
    answer = ask(
        requests.Session(), fab, method, path, json={}, headers=SITES[where], cookies={"_token": token}
    )
    assert answer.status_code == 403
    ours = {"Origin": fab}
    answer = ask(requests.Session(), fab, method, path, json={}, headers=ours, cookies={"_token": token})
    assert answer.status_code in {400, 404}
