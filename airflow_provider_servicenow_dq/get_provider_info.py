"""What Airflow is told about this package: the one list of what we ship, and the connection form.

Airflow reads it in every process, so it imports nothing. Since Airflow 3.2 the form is declared here; the
``get_connection_form_widgets`` of a hook is no longer read by the 3.3 API server.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_servicenow_dq import __version__

_NAME = "ServiceNow"
_PACKAGE = "airflow_provider_servicenow_dq"

# A type that includes "null" makes a field optional in the form; without it the field gets a red star.
_TEXT = {"type": ["string", "null"]}
_SECRET = {"type": ["string", "null"], "format": "password"}


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata, valid against Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-servicenow-dq",
        "name": "ServiceNow data quality",
        "description": "Data-quality anomalies become ServiceNow incidents, exactly once.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://www.servicenow.com/docs/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.hooks.servicenow"]}],
        "operators": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.operators.servicenow"]}],
        "sensors": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.sensors.servicenow"]}],
        "triggers": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.triggers.servicenow"]}],
        "notifications": [f"{_PACKAGE}.notifications.servicenow.ServiceNowNotifier"],
        "extra-links": [f"{_PACKAGE}.links.servicenow.ServiceNowRecordLink"],
        "plugins": [
            {"name": "servicenow_dq", "plugin-class": f"{_PACKAGE}.plugins.servicenow.ServiceNowPlugin"}
        ],
        "connection-types": [_connection_type()],
        "config": {"servicenow_dq": _config_section()},
    }


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": "servicenow",
        "hook-class-name": f"{_PACKAGE}.hooks.servicenow.ServiceNowHook",
        "hook-name": _NAME,
        "ui-field-behaviour": {
            # The port stays: "Test" in Airflow 3.3.2's form answers 400 for a stored connection without one.
            "hidden-fields": ["schema"],
            "relabeling": {"host": "Instance URL", "login": "User name", "password": "Password or token"},
            "placeholders": {
                "host": "https://acme.service-now.com, or just acme",
                "port": "443",
                "login": "the integration user; it needs the role itil",
            },
        },
        "conn-fields": _connection_fields(),
    }


def _connection_fields() -> dict[str, Any]:
    return {
        "auth_type": {
            "label": "Authentication",
            "description": "How to log in. Each choice reads only the fields that name it.",
            "schema": {
                "type": "string",
                "enum": [
                    "basic",
                    "oauth_client_credentials",
                    "oauth_password",
                    "oauth_jwt",
                    "api_key",
                    "bearer",
                ],
                "default": "basic",
            },
        },
        "client_id": {
            "label": "OAuth client ID",
            "description": "For the three oauth_... choices; with oauth_jwt also issuer and audience.",
            "schema": _TEXT,
        },
        "client_secret": {
            "label": "OAuth client secret",
            "description": "For the three oauth_... choices.",
            "schema": _SECRET,
        },
        "api_key": {
            "label": "API key",
            "description": "For api_key, and for bearer, where it is the token; if empty, the password is.",
            "schema": _SECRET,
        },
        "jwt_private_key": {
            "label": "JWT private key",
            "description": "PEM text, for oauth_jwt; the user name is the subject.",
            # Not a password field: a one-line input would swallow the line breaks of a PEM. Airflow masks
            # the stored value all the same, because of the name.
            "schema": {"type": ["string", "null"], "format": "multiline"},
        },
        "jwt_kid": {
            "label": "JWT key ID",
            "description": "For oauth_jwt: the key ID that the instance's verifier map names.",
            "schema": _TEXT,
        },
        "scope": {
            "label": "OAuth scope",
            "description": "For a securely scoped OAuth client: its scopes, separated by spaces.",
            "schema": _TEXT,
        },
        **_network_fields(),
        "webhook_secret": {
            "label": "Webhook secret",
            "description": "With which the instance signs what it tells; 16 characters or more.",
            "schema": _SECRET,
        },
        "projects": {
            "label": "Projects",
            "description": 'JSON list of projects: [{"id": "sales", "fields": {...}}, ...].',
            "schema": {"type": ["array", "null"], "items": {"type": "object"}},
        },
    }


def _network_fields() -> dict[str, Any]:
    return {
        "client_cert": {
            "label": "Client certificate",
            "description": (
                "Path of a PEM file, for mutual TLS; goes with any authentication. With basic and without "
                "user name and password, the certificate alone is the login."
            ),
            "schema": _TEXT,
        },
        "client_private_key": {
            "label": "Client private key",
            "description": "Path of the PEM file with the key of the client certificate.",
            "schema": _TEXT,
        },
        "verify": {
            "label": "Verify TLS",
            "description": "true, false, or the path of a CA file.",
            "schema": {"type": ["string", "null"], "default": "true"},
        },
        "proxy": {
            "label": "Proxy",
            "description": "URL of an HTTP proxy, e.g. http://proxy.example:3128.",
            "schema": _TEXT,
        },
        "timeout_s": {
            "label": "Timeout in seconds",
            "description": "How long to wait for one answer of the instance.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600, "default": 30},
        },
        "max_concurrency": {
            "label": "Requests at once",
            "description": "An instance serves 4 integration requests of one user at a time by default.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64, "default": 4},
        },
        "batch_size": {
            "label": "Requests per batch",
            "description": "Empty: found by trying.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 500},
        },
    }


def _config_section() -> dict[str, Any]:
    return {
        "description": "Settings of airflow-provider-servicenow-dq.",
        "options": {
            "store": {
                "description": (
                    "Where the provider remembers anomalies, tickets and what waits to be sent: a SQLAlchemy "
                    "URL, or the id of an Airflow connection of type postgres or sqlite. Empty: a SQLite "
                    "file in AIRFLOW_HOME, which serves one machine; PostgreSQL serves many."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "postgresql://servicenow_dq:secret@db.example/servicenow_dq",
                "default": "",
                "sensitive": True,
            },
            "namespace": {
                "description": (
                    "Name of this environment, a part of every ticket's identity. Two Airflows that share "
                    "an instance but not their problems need different ones."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "production",
                "default": "",
            },
            "projects_file": {
                "description": (
                    "A YAML file with projects for all connections, a list of them or a mapping by id; "
                    "relative to AIRFLOW_HOME. A project of the same id in the connection takes its place."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "servicenow_projects.yaml",
                "default": "",
            },
            "default_conn_id": {
                "description": "The Airflow connection that REST requests use which name none.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "servicenow_production",
                "default": "servicenow_default",
            },
            "write_access": {
                "description": (
                    "Who may write through the REST routes: connection, for whoever may edit Airflow's "
                    "connections, or dag, for whoever may edit DAGs. Whoever may see the website may read."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "dag",
                "default": "connection",
            },
        },
    }
