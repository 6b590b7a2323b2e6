"""What Airflow is told is true, complete, and says it in Airflow's own words."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

from airflow_provider_servicenow_dq.get_provider_info import get_provider_info

AIRFLOW = Path(airflow.__file__).parent

# Every extra of the connection, and how the form has to ask for it: (JSON type, format, default).
EXTRAS = {
    "auth_type": ("string", None, "basic"),
    "client_id": ("string", None, None),
    "client_secret": ("string", "password", None),
    "api_key": ("string", "password", None),
    "jwt_private_key": ("string", "multiline", None),
    "jwt_kid": ("string", None, None),
    "scope": ("string", None, None),
    "client_cert": ("string", None, None),
    "client_private_key": ("string", None, None),
    "verify": ("string", None, "true"),
    "proxy": ("string", None, None),
    "timeout_s": ("number", None, 30),
    "max_concurrency": ("integer", None, 4),
    "batch_size": ("integer", None, None),
    "webhook_secret": ("string", "password", None),
    "projects": ("array", None, None),
}


@pytest.fixture(scope="module")
def form():
    """The connection form as Airflow's API server hands it to the browser."""
    (meta,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "servicenow"]
    return meta


def test_the_whole_is_valid_for_airflow():
    schema = json.loads((AIRFLOW / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_connection_type_is_valid_where_airflow_itself_does_not_look():
    """At run time a mistyped ``conn-fields`` key vanishes without a word."""
    schema = json.loads((AIRFLOW / "provider.yaml.schema.json").read_text())
    part = schema["properties"]["connection-types"] | {"definitions": schema.get("definitions", {})}
    jsonschema.validate(get_provider_info()["connection-types"], part)


def test_the_form_has_every_field_of_the_connection_and_no_other(form):
    assert set(form.extra_fields) == set(EXTRAS)


@pytest.mark.parametrize("name", EXTRAS)
def test_each_field_of_the_form_says_what_it_is_for(form, name):
    json_type, text_format, default = EXTRAS[name]
    field = form.extra_fields[name]
    types = field["schema"]["type"]

    assert json_type == types or json_type in types
    assert field["schema"].get("format") == text_format
    assert field["value"] == default
    assert field["schema"]["title"]
    assert field["description"]


def test_no_field_of_the_form_is_compulsory_but_the_one_with_a_choice(form):
    compulsory = [name for name, field in form.extra_fields.items() if "null" not in field["schema"]["type"]]
    assert compulsory == ["auth_type"]
    assert form.extra_fields["auth_type"]["schema"]["enum"][0] == "basic"


def test_the_form_speaks_of_an_instance_and_keeps_the_port(form):
    """Without a stored port the form's own test button of Airflow 3.3.2 is refused by its API server."""
    assert form.hook_name == "ServiceNow"
    assert form.standard_fields.host.title == "Instance URL"
    assert form.standard_fields.port is None or not form.standard_fields.port.hidden
    assert form.standard_fields.url_schema.hidden


def test_every_secret_of_the_connection_is_masked_by_airflow_when_read_back(form):
    from airflow._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS

    secrets = {"client_secret", "api_key", "jwt_private_key", "webhook_secret"}
    assert secrets <= set(form.extra_fields)
    for secret in secrets:
        assert any(word in secret for word in DEFAULT_SENSITIVE_FIELDS), secret


def test_the_version_told_is_the_version_installed():
    assert get_provider_info()["versions"] == [importlib.metadata.version("airflow-provider-servicenow-dq")]


def test_the_entry_point_loads_without_importing_anything_of_ours_or_of_airflow():
    code = """
import importlib.metadata, sys
(point,) = [p for p in importlib.metadata.entry_points(group="apache_airflow_provider")
            if p.value.startswith("airflow_provider_servicenow_dq")]
assert point.load()()["package-name"] == "airflow-provider-servicenow-dq"
ours = sorted(m for m in sys.modules if m.startswith("airflow_provider_servicenow_dq"))
assert ours == ["airflow_provider_servicenow_dq", "airflow_provider_servicenow_dq.get_provider_info"], ours
assert "airflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_settings_have_defaults_that_airflow_reads():
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    assert conf.get("servicenow_dq", "store") == ""
    assert conf.get("servicenow_dq", "namespace") == ""
    assert conf.get("servicenow_dq", "projects_file") == ""
    assert conf.get("servicenow_dq", "default_conn_id") == "servicenow_default"
    assert conf.get("servicenow_dq", "write_access") == "connection"
    assert ("servicenow_dq", "store") in conf.sensitive_config_values
