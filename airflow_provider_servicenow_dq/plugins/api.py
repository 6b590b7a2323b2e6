"""The application that answers REST requests: its routes, its errors and its own description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from airflow_provider_servicenow_dq import __version__
from airflow_provider_servicenow_dq.plugins import findings, links, problems, signed, tickets, webhook
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator

_described = APIRouter(route_class=GuardedRoute, redirect_slashes=False)

#: One for each file of routes.
ROUTERS: Final = (tickets.router, links.router, findings.router, webhook.router, _described)

#: What may go wrong, whatever the route.
_PROBLEMS: Final = {
    "400": "The request is not what this route takes; the details name the place",
    "401": "Nobody is logged in",
    "403": "Somebody is logged in who may not, or another site has sent the browser here",
    "404": "There is no such anomaly, ticket, link, case, finding, project or connection",
    "409": "Several anomalies or tickets are meant, an idempotency key came with another request before, a "
    "message was heard before, or ServiceNow refuses it for good",
    "413": "The body is too large",
    "415": "The body is no JSON",
    "429": "ServiceNow asks to wait",
    "503": "ServiceNow is down, too slow, or cannot be used with this connection; or too much is under way",
}
_WAITS: Final = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait"},
}


def create_app(work: Work | None = None) -> FastAPI:
    """Return the application, to be mounted under ``/servicenow-dq``.

    :param work: Where requests to ServiceNow run.
    """
    app = FastAPI(
        title="ServiceNow data quality",
        version=__version__,
        # Its documents would be open to everybody.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.work = work or Work()
    # Apart from that, for whoever has not shown yet who they are must not hold up those who have.
    app.state.lookups = Work(threads=2, limit_s=5, name="servicenow-dq-secrets")
    problems.install(app)
    # Not by include_router: since FastAPI 0.139 the routes are then hidden behind routers, and whoever goes
    # through an application's routes (its guards' test, the answer to a wrong method) finds none.
    app.router.routes.extend(route for router in ROUTERS for route in router.routes)
    return app


@_described.get("/openapi.json", include_in_schema=False)
async def get_description(request: Request) -> dict[str, Any]:
    """Return the OpenAPI document of these routes."""
    app: FastAPI = request.app
    if app.openapi_schema is None:
        app.openapi_schema = _description(app)
    return {**app.openapi_schema, "servers": [{"url": request.scope.get("root_path", "")}]}


def _description(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    # FastAPI's own answers to what is not valid, which are never given.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    errors = problems.Errors.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**errors.pop("$defs"), "Errors": errors}
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of Airflow, of POST /auth/token",
        },
        "timestamp": {
            "type": "apiKey",
            "in": "header",
            "name": signed.TIMESTAMP,
            "description": "Seconds since 1970",
        },
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": signed.SIGNATURE,
            "description": "Base64 of HMAC-SHA256(webhook_secret, timestamp + '.' + body)",
        },
    }
    document["security"] = [{"token": []}]
    for operation in _operations(document):
        operation["responses"].pop("422", None)
        operation["responses"] |= {status: _problem(status) for status in _PROBLEMS}
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _problem(status: str) -> dict[str, Any]:
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Errors"}}}
    headers = {"headers": _WAITS} if status in {"429", "503"} else {}
    return {"description": _PROBLEMS[status], "content": content, **headers}
