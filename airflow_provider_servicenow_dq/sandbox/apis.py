"""Every REST API of the instance behind one door: addresses, access to them, and their share of time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from airflow_provider_servicenow_dq.sandbox import answers
from airflow_provider_servicenow_dq.sandbox.attachment_api import AttachmentApi
from airflow_provider_servicenow_dq.sandbox.batch_api import BatchApi
from airflow_provider_servicenow_dq.sandbox.content import as_xml, wants_xml
from airflow_provider_servicenow_dq.sandbox.meta_api import MetaApi
from airflow_provider_servicenow_dq.sandbox.rate_rules import RateLimits
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError
from airflow_provider_servicenow_dq.sandbox.stats_api import StatsApi
from airflow_provider_servicenow_dq.sandbox.table_api import TableApi
from airflow_provider_servicenow_dq.sandbox.tiny_urls import TinyUrls

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.faults import Faults
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account


class Api(Protocol):
    """One REST API."""

    def answer(self, account: Account, request: Request) -> Answer:
        """Answer an authenticated request.

        :raises RefusedError: The instance says no.
        """


class Apis:
    """Answers requests of people who are signed in.

    :param base_url: Returns where links in answers point.
    :param faults: What goes wrong with requests within a batch.
    """

    def __init__(self, instance: Instance, base_url: Callable[[], str], faults: Faults) -> None:
        self._instance = instance
        self.limits = RateLimits(instance)
        tiny_urls = TinyUrls(instance)
        self._apis: dict[str, Api] = {
            "table": TableApi(instance, base_url, tiny_urls),
            "tinyurl": tiny_urls,
            "ui": MetaApi(instance),
            "stats": StatsApi(instance),
            "attachment": AttachmentApi(instance, base_url),
            "batch": BatchApi(instance, self.answer, faults),
        }

    def answer(self, account: Account, request: Request) -> Answer:
        """Return the answer to a request, within the time that it has left."""
        answer = self._json_answer(account, request)
        return as_xml(answer) if wants_xml(request) else answer

    def _json_answer(self, account: Account, request: Request) -> Answer:
        api = self._apis.get(request.api)
        if api is None:
            return answers.no_such_resource()
        if not self._instance.access.may_use_api(account):
            return answers.not_authorized()
        headers, denied = self._count(account, request)
        if denied is not None:
            return denied
        try:
            in_time = request.api == "batch" or self._work(request)
            answer = api.answer(account, request) if in_time else self._cut_off(api, account, request)
            answer.headers += headers
        except RefusedError as refusal:
            answer = answers.error_answer(refusal.status, refusal.message, refusal.detail)
            answer.headers += headers
        return answer

    def _count(self, account: Account, request: Request) -> tuple[list[tuple[str, str]], Answer | None]:
        """Count a request towards the rate limits; whether a batch counts as one is a switch."""
        if request.in_batch and not self._instance.switches.batch_counts_items:
            return [], None
        return self.limits.count(account, request)

    def _work(self, request: Request) -> bool:
        """Take the time of a transaction; tell whether it fits into the request's quota."""
        seconds = self._instance.switches.service_ms / 1000
        if seconds:
            left = max(0.0, request.deadline - time.monotonic())
            time.sleep(min(seconds, left))
            return left > seconds
        return True

    def _cut_off(self, api: Api, account: Account, request: Request) -> Answer:
        """Answer for a transaction that its quota ends: what was read so far, and maybe what was written."""
        is_read = request.method in {"GET", "HEAD"}
        if is_read or self._instance.switches.quota_commits:
            return answers.cancelled(api.answer(account, request))
        return answers.cancelled()
