"""Fixtures for tests of DAGs, which pytest finds by itself wherever this package is installed.

Nothing else is loaded until a test asks for one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

_MARKER = "servicenow_sandbox"
_CONN_ID = "servicenow_default"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**options): options and switches of the sandbox that servicenow_sandbox starts, "
        'such as close_code_set="old"',
    )


@pytest.fixture
def servicenow_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Serve a ServiceNow of the test's own, as its marker ``servicenow_sandbox`` sets it up.

    ``url`` is its address, ``users`` can sign in, ``environment()`` makes it an Airflow connection; what it
    holds and does is asked and set with ``records``, ``notes``, ``requests``, ``act_as``, ``fail_next``,
    ``configure``.
    """
    # Whoever does not use it shall not wait for it.
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox  # noqa: PLC0415  # see above

    marker = request.node.get_closest_marker(_MARKER)
    with Sandbox(**(marker.kwargs if marker else {})) as sandbox:
        yield sandbox


@pytest.fixture
def servicenow_connection(servicenow_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the sandbox the Airflow connection ``servicenow_default`` and return that id."""
    for name, value in servicenow_sandbox.environment(_CONN_ID).items():
        monkeypatch.setenv(name, value)
    return _CONN_ID
