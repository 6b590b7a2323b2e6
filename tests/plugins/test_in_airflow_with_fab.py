"""The guards with the FAB auth manager, whose rights are not those of the simple one."""

from __future__ import annotations

import pytest
import requests
from api_servers import api_server, log_in
from rest_server import connection_to
from test_who_may_what import READS, ROUTES, SITES, WRITES

#: What a request gets that was let in: there is no such anomaly, and an empty body.
LET_IN = {200, 400, 404}


def statuses(session, url, routes, **content):
    """Return what each of some routes answers."""
    return {
        (method, path): session.request(
            method, f"{url}/servicenow-dq{path}", timeout=30, **content
        ).status_code
        for method, path in routes
    }


# One test, for each worker that has a part of it would start a server of its own; and that takes long.
@pytest.mark.heavy
def test_roles_of_fab_may_do_on_every_route_what_those_of_the_simple_auth_manager_may(
    server, new_airflow_database, tmp_path
):
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": new_airflow_database(tmp_path),
        "AIRFLOW_CONN_SERVICENOW_DEFAULT": connection_to(server.url),
    }
    with api_server(tmp_path, settings, fab=True) as url:
        anonymous = requests.Session()
        assert {*statuses(anonymous, url, ROUTES).values()} == {401}

        for user in ("viewer", "user", "op", "admin"):
            session = log_in(url, user)
            read = statuses(session, url, READS)
            assert LET_IN.issuperset(read.values()), (user, read)
            written = statuses(session, url, WRITES, json={})
            if user in {"viewer", "user"}:
                assert {*written.values()} == {403}, (user, written)
            else:
                assert LET_IN.issuperset(written.values()), (user, written)

        cookies = {"_token": log_in(url, "admin").headers["Authorization"].removeprefix("Bearer ")}
        for where, headers in SITES.items():
            sent = statuses(anonymous, url, WRITES, json={}, headers=headers, cookies=cookies)
            assert {*sent.values()} == {403}, (where, sent)
        ours = statuses(anonymous, url, WRITES, json={}, headers={"Origin": url}, cookies=cookies)
        assert LET_IN.issuperset(ours.values()), ours
