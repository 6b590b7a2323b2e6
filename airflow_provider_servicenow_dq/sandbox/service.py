"""Everything between HTTP and the instance: sign-in, load, faults, and the memory of what was asked."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import answers
from airflow_provider_servicenow_dq.sandbox.answers import Answer
from airflow_provider_servicenow_dq.sandbox.apis import Apis
from airflow_provider_servicenow_dq.sandbox.auth import API_KEY, Authentication
from airflow_provider_servicenow_dq.sandbox.batch_api import ConnectionLostError
from airflow_provider_servicenow_dq.sandbox.exchange import LoggedRequest, Request
from airflow_provider_servicenow_dq.sandbox.faults import Faults
from airflow_provider_servicenow_dq.sandbox.load import (
    QueueFullError,
    QueueTimeoutError,
    Semaphores,
    SessionFullError,
    Sessions,
)
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account

TOKEN_PATH = "/oauth_token.do"  # noqa: S105  # the vendor's address of the token endpoint, not a secret
_UNAVAILABLE = {"hibernating": answers.HIBERNATING_PAGE, "offline": answers.OFFLINE_PAGE}
_REMEMBERED_REQUESTS = 100_000


class Service:
    """Answers what clients of an instance send.

    :param base_url: Where links in answers point, unless a switch says otherwise.
    :param jwt_key: As of :class:`~airflow_provider_servicenow_dq.sandbox.auth.Authentication`.
    """

    def __init__(self, instance: Instance, base_url: str, jwt_key: str | None = None) -> None:
        self.instance = instance
        self.faults = Faults()
        self.log: deque[LoggedRequest] = deque(maxlen=_REMEMBERED_REQUESTS)
        self.authentication = Authentication(instance, jwt_key)
        self._apis = Apis(instance, lambda: instance.switches.base_url or base_url, self.faults)
        self._semaphores = Semaphores(lambda: instance.switches)
        self._sessions = Sessions(lambda: instance.switches)
        self._resets = 0

    def reset(self) -> None:
        """Go back to the demo data and forget faults, tokens and the log; switches stay."""
        self._resets += 1
        self.faults.clear()
        self.instance.reset()
        self.authentication.forget()
        self._apis.limits.forget()
        self.log.clear()

    def answer(self, request: Request) -> Answer | None:
        """Answer a request, or return None to drop its connection."""
        started = time.time()
        resets = self._resets

        def execute(arrived: Request) -> Answer:
            # What was under way at a reset must not write into the world after it.
            return self._execute(arrived) if resets == self._resets else answers.too_busy()

        try:
            answer = self.faults.run(request, execute)
        except ConnectionLostError:
            answer = None
        if resets != self._resets:
            return answer
        logged = LoggedRequest(
            request.method,
            request.path,
            _without_secrets(request),
            self._logged_body(request),
            answer.status if answer else 0,
            request.user,
            started,
            time.time(),
        )
        self.log.append(logged)
        return answer

    def _execute(self, request: Request) -> Answer:
        if (page := self.unavailable()) is not None:
            return page
        if request.path == TOKEN_PATH:
            return self.authentication.tokens.answer(request)
        sign_in = self.authentication.sign_in(request)
        account = sign_in.account
        request.user = account.user_name if account else ""
        if account is None or sign_in.refusal is not None:
            return sign_in.refusal or answers.not_authenticated()
        request.deadline = time.monotonic() + self._quota(request)
        return self._transaction(account, request)

    def _transaction(self, account: Account, request: Request) -> Answer:
        """Answer who is signed in, when the turn comes."""
        try:
            with self._sessions.turn(request.session_id), self._semaphores.transaction(request.deadline):
                answer = self._apis.answer(account, request)
        except SessionFullError:
            return Answer(202)
        except QueueFullError:
            return answers.too_busy()
        except QueueTimeoutError:
            return answers.cancelled_in_queue()
        answer.headers += answers.platform_headers(new_session=not request.session_id)
        return answer

    def unavailable(self) -> Answer | None:
        """Return the page of an instance that is not up."""
        switches = self.instance.switches
        page = _UNAVAILABLE.get(switches.availability)
        return answers.html_answer(switches.unavailable_status, page) if page else None

    def _quota(self, request: Request) -> float:
        """Return the seconds that a transaction may take, its time in the queue included."""
        switches = self.instance.switches
        return switches.batch_quota_s if request.api == "batch" else switches.quota_s

    def _logged_body(self, request: Request) -> dict[str, Any] | None:
        """Return the fields of a body; those of the token endpoint are secrets and are left out."""
        if not request.body or request.path == TOKEN_PATH:
            return None
        try:
            return request.fields
        except RefusedError:
            return None


def _without_secrets(request: Request) -> dict[str, str]:
    """Return the parameters to remember of a request."""
    if request.path == TOKEN_PATH:
        return {}
    return {name: value for name, value in request.query.items() if name != API_KEY}
