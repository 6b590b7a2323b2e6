"""What Airflow loads in each of its components, and what it mounts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from rest_server import Asking, airflow_with

from airflow_provider_servicenow_dq.get_provider_info import get_provider_info
from airflow_provider_servicenow_dq.plugins.servicenow import URL_PREFIX, LazyApp, ServiceNowPlugin

NEWLY_LOADED = """
import json, sys
from airflow.sdk.plugins_manager import AirflowPlugin
before = set(sys.modules)
from airflow_provider_servicenow_dq.plugins.servicenow import ServiceNowPlugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_the_plugin_loads_nothing_else():
    done = subprocess.run([sys.executable, "-c", NEWLY_LOADED], check=True, capture_output=True, text=True)
    modules = json.loads(done.stdout.splitlines()[-1])
    package = "airflow_provider_servicenow_dq"
    assert {*modules} - {package} == {f"{package}.plugins", f"{package}.plugins.servicenow"}


def test_airflow_finds_the_plugin():
    (point,) = entry_points(group="airflow.plugins", name="servicenow_dq")
    assert point.load() is ServiceNowPlugin
    (told,) = get_provider_info()["plugins"]
    assert told == {
        "name": ServiceNowPlugin.name,
        "plugin-class": f"{ServiceNowPlugin.__module__}.{ServiceNowPlugin.__name__}",
    }


def test_airflow_loads_it_and_mounts_it_once():
    from airflow import plugins_manager

    apps, _ = plugins_manager.get_fastapi_plugins()
    assert [app["url_prefix"] for app in apps if isinstance(app["app"], LazyApp)] == [URL_PREFIX]


def test_the_application_is_built_by_the_first_request(auth_settings, sandbox):
    lazy = LazyApp()
    root = airflow_with(lazy)
    assert "_app" not in vars(lazy)
    assert Asking(root, None)("GET", "/openapi.json").status_code == 401
    built = lazy._app
    assert Asking(root, "viewer")("GET", "/openapi.json").status_code == 200
    assert lazy._app is built


def test_first_requests_at_the_same_time_build_it_once(auth_settings, monkeypatch):
    from airflow_provider_servicenow_dq.plugins import api

    built = []
    create = api.create_app

    def counted():
        built.append(None)
        return create()

    monkeypatch.setattr(api, "create_app", counted)
    lazy = LazyApp()

    async def request():
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/nothing",
            "headers": [],
            "query_string": b"",
            "root_path": "",
        }
        sent = []

        async def send(message):
            sent.append(message)

        await lazy(scope, None, send)
        return sent[0]["status"]

    async def many():
        return await asyncio.gather(*(request() for _ in range(5)))

    assert asyncio.run(many()) == [404] * 5
    assert len(built) == 1


def test_a_websocket_is_turned_away(root):
    from starlette.websockets import WebSocketDisconnect

    with (
        pytest.raises(WebSocketDisconnect),
        Asking(root, "admin").client.websocket_connect(f"{URL_PREFIX}/openapi.json"),
    ):
        pass


def test_airflow_starts_and_stops_around_it(root):
    """Its lifespan is the root application's: nothing of ours is asked."""
    with Asking(root, "viewer").client as client:
        assert client.get(f"{URL_PREFIX}/openapi.json").status_code == 401
