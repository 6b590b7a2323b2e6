"""A plain client of the Table API, for tests of the sandbox."""

from __future__ import annotations

import requests

SVC = ("svc_airflow", "airflow-secret")
ADMIN = ("admin", "admin")
READONLY = ("readonly", "readonly")


class Client:
    """Plain requests to the Table API of a sandbox, without cookies, as one user."""

    def __init__(self, url: str, auth: tuple[str, str] | None = SVC) -> None:
        self.url = url
        self.auth = auth

    def send(self, method, path, timeout=10, **options):
        options.setdefault("auth", self.auth)
        return requests.request(method, self.url + path, timeout=timeout, **options)

    def table(self, method, rest, **options):
        return self.send(method, f"/api/now/table/{rest}", **options)

    def create(self, table="incident", **values):
        params = {"sysparm_exclude_reference_link": "true"}
        answer = self.table("POST", table, json=values, params=params)
        assert answer.status_code == 201, answer.text
        return answer.json()["result"]

    def update(self, sys_id, table="incident", **values):
        params = {"sysparm_exclude_reference_link": "true"}
        return self.table("PATCH", f"{table}/{sys_id}", json=values, params=params)

    def read(self, sys_id, table="incident", **params):
        params.setdefault("sysparm_exclude_reference_link", "true")
        return self.table("GET", f"{table}/{sys_id}", params=params).json()["result"]

    def find(self, query, table="incident", **params):
        params = {"sysparm_query": query, "sysparm_exclude_reference_link": "true", **params}
        answer = self.table("GET", table, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def as_user(self, auth):
        return Client(self.url, auth)


def error_of(answer):
    """The ``error`` object of an answer in the platform's envelope."""
    content = answer.json()
    assert content["status"] == "failure"
    return content["error"]
