"""The OpenAPI document tells the truth: every answer is one that it names, whatever is asked."""

from __future__ import annotations

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from openapi_references import dangling
from rest_server import Asking, connection_to
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.plugins import reach
from airflow_provider_servicenow_dq.plugins.api import create_app
from airflow_provider_servicenow_dq.plugins.signed import SIGNATURE, TIMESTAMP

#: Every route that is described, as the document names it.
DESCRIBED = sorted(
    (method, route.path_format)
    for route in create_app().routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in route.methods
)

#: What a query has more than it needs is ignored, and what is well-formed may still be none of our ids.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

PROBLEMS = {"400", "401", "403", "404", "409", "413", "415", "429", "503"}


@pytest.fixture(scope="module")
def world(root, server, tmp_path_factory):
    """An instance and a store that all that is asked shares."""
    with pytest.MonkeyPatch.context() as patch:
        store = tmp_path_factory.mktemp("described") / "store.db"
        patch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(server.url))
        patch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{store}")
        patch.setattr(reach, "_PATIENCE_S", 0.0)
        forget_limits()
        yield root


@pytest.fixture(scope="module")
def document(world):
    return Asking(world, "viewer")("GET", "/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_it_describes_every_route_but_itself(document):
    named = {(name.split()[0].upper(), name.split()[1]) for name, _ in operations(document)}
    assert named == {*DESCRIBED}
    assert len(named) == sum(len(route.methods) for route in create_app().routes) - 1


def test_every_route_names_everything_that_may_go_wrong(document):
    for name, operation in operations(document):
        answers = operation["responses"]
        assert answers.keys() >= PROBLEMS, name
        assert "422" not in answers, name
        for status in PROBLEMS:
            (media_type,) = answers[status]["content"]
            assert media_type == "application/vnd.api+json"
        assert {"Retry-After"} <= answers["503"]["headers"].keys()
        assert operation["description"], name


def test_it_says_what_each_route_wants_to_know_of_whoever_asks(document):
    schemes = document["components"]["securitySchemes"]
    for name, operation in operations(document):
        (wanted,) = operation.get("security", document["security"])
        headers = {schemes[each].get("name", "Authorization") for each in wanted}
        is_webhook = "webhooks" in name
        assert headers == ({SIGNATURE, TIMESTAMP} if is_webhook else {"Authorization"}), name


def test_what_is_asked_about_findings_names_its_project_in_the_body_alone(document):
    for name, operation in operations(document):
        named = {each["name"] for each in operation["parameters"]}
        assert "servicenow_conn_id" in named, name
        assert ("project" in named) != ("/findings/" in name), name


def test_it_names_the_place_where_it_is_mounted(document):
    assert document["servers"] == [{"url": "/servicenow-dq"}]


def test_it_refers_to_nothing_that_is_not_in_it(document):
    assert not dangling(document)


@pytest.fixture(scope="module")
def described(world, headers):
    """The document as the tool reads it."""
    # Not mounted: what has a line break in its path never comes through Airflow's own application.
    app = create_app()
    document = TestClient(app).get("/openapi.json", headers=headers).json()
    # So no answer has a field that is not described, either; and what else a request may hold is made up only
    # where something is to be wrong, which saves a third of the time.
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    read = schemathesis.openapi.from_dict(document)
    read.app = app
    return read


@pytest.fixture(scope="module")
def headers(world):
    return {"Authorization": f"Bearer {Asking(world, 'admin').token}"}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), DESCRIBED)
def test_nothing_that_is_asked_has_an_answer_that_it_does_not_name(described, headers, method, path, mode):
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=25,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def asked(case):
        case.call_and_validate(headers=headers, checks=CHECKS)

    asked()
