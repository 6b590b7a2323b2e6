"""An instance below HTTP: a transport that asks it in this process, so that pages take no time."""

from __future__ import annotations

import random
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

from requests.structures import CaseInsensitiveDict

from airflow_provider_servicenow_dq.client.answers import read_answer
from airflow_provider_servicenow_dq.client.clock import InstanceClock
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.sandbox.exchange import Request
from airflow_provider_servicenow_dq.sandbox.instance import Instance
from airflow_provider_servicenow_dq.sandbox.service import Service
from airflow_provider_servicenow_dq.sandbox.switches import Switches

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
_SIGNED = b64encode(b"svc_airflow:airflow-secret").decode()


class InProcess:
    """A transport to an instance of its own.

    :param between: Called before each request: what others do meanwhile.
    :param rewrite: Changes each encoded query: how the instance reads it.
    """

    def __init__(self, *, between=lambda: None, rewrite=lambda encoded: encoded, **switches):
        self.config = InstanceConfig("http://127.0.0.1", login="svc_airflow", password="airflow-secret")
        self.instance = Instance(Switches(**switches))
        self.clock = InstanceClock()
        self.between = between
        self.rewrite = rewrite
        self.asked = []
        self._service = Service(self.instance, "http://127.0.0.1")

    def put(self, sys_id, **values):
        """Write an incident past all rules."""
        old = self.instance.records.get("incident", sys_id) or self.instance.schema["incident"].defaults
        row = {**old, "sys_id": sys_id, "sys_class_name": "incident", **values}
        self.instance.records.put("incident", row)

    def remove(self, sys_id):
        self.instance.records.remove("incident", sys_id)

    def request(self, method, path, *, params):
        self.between()
        self.asked.append(dict(params))
        params = {**params, "sysparm_query": self.rewrite(params["sysparm_query"])}
        headers = {
            "accept": "application/json",
            "authorization": f"Basic {_SIGNED}",
            "cookie": "JSESSIONID=1",
        }
        answer = self._service.answer(Request(method, f"{path}?{urlencode(params)}", headers))
        now = datetime.now(UTC)
        self.clock.learn(format_datetime(self.instance.now(), usegmt=True), sent=now, received=now)
        said = CaseInsensitiveDict({"Content-Type": answer.content_type, **dict(answer.headers)})
        return read_answer(answer.status, said, answer.body)


def written(moment):
    """Return a time as an instance writes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def filled(count, *, stamp=NOON, **switches):
    """Return a transport to an instance with incidents of one moment, and their sys_ids in order."""
    talk = InProcess(**switches)
    chance = random.Random(0)  # noqa: S311  # no secret
    ids = sorted(f"{chance.getrandbits(128):032x}" for _ in range(count))
    for sys_id in ids:
        talk.put(sys_id, sys_updated_on=written(stamp))
    return talk, ids
