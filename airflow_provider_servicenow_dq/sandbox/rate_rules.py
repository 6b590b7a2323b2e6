"""Rate limit rules: so many requests an hour for a user, a role or all.

After the vendor's page "Inbound REST API rate limiting". A rule for a user goes before one for a role, and
that before one for all; of several for roles the lowest limit wins. Each user has a count of his own.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.answers import Answer, error_answer
from airflow_provider_servicenow_dq.sandbox.data import sys_id_of
from airflow_provider_servicenow_dq.sandbox.scopes import APIS

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account

_RULE = re.compile(
    rf"(?P<limit>\d+) (?P<api>{'|'.join(APIS)})(?:/(?P<table>\w+))?"
    r"(?: (?P<kind>user|role) (?P<name>[\w.-]+))?"
)
#: As the instance calls its APIs in what it says about limits.
_NAMES = {
    "table": "Table API",
    "stats": "Aggregate API",
    "attachment": "Attachment API",
    "batch": "Batch API",
}
_KINDS = ("user", "role", "")


@dataclass(frozen=True, slots=True)
class RateRule:
    """One row of ``sys_rate_limit_rules``.

    :param limit: Requests in an hour.
    :param table: Only requests for this table; empty for all.
    :param kind: ``user`` or ``role``, empty for all.
    """

    text: str
    limit: int
    api: str
    table: str
    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> RateRule:
        """Read ``LIMIT API[/TABLE][ user NAME| role NAME]``.

        :raises ValueError: The text is not of that form.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not of the form LIMIT API[/TABLE][ user NAME| role NAME], "
                f"with one of {', '.join(APIS)}"
            )
        return cls(
            text,
            int(match["limit"]),
            match["api"],
            match["table"] or "",
            match["kind"] or "",
            match["name"] or "",
        )

    @property
    def sys_id(self) -> str:
        """The rule's own sys_id, the same in every run."""
        return sys_id_of("rate", self.text)

    def is_about(self, account: Account, request: Request) -> bool:
        """Tell whether it counts a request."""
        if self.api != request.api or self.table not in {"", request.resource}:
            return False
        match self.kind:
            case "user":
                return self.name == account.user_name
            case "role":
                return self.name in account.roles
        return True


@dataclass(slots=True)
class _Count:
    """Requests of one user under one rule.

    :param window: Number of the hour that is counted.
    :param enforced: What the instance knows of, as of its last flush.
    """

    window: int
    made: int = 0
    enforced: int = 0
    flushed_at: float = -math.inf


class RateLimits:
    """Counts requests and denies those beyond a limit."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._lock = threading.Lock()
        self._rules: tuple[str, ...] = ()
        self._counts: dict[tuple[str, str], _Count] = {}

    def forget(self) -> None:
        """Count anew."""
        with self._lock:
            self._counts.clear()

    def count(self, account: Account, request: Request) -> tuple[list[tuple[str, str]], Answer | None]:
        """Count a request; return the headers that tell of the rule, and the 429 of what is denied."""
        rule = self._rule_for(account, request)
        if rule is None:
            return [], None
        now, seconds = self._instance.now().timestamp(), self._instance.switches.rate_window_s
        window = int(now // seconds)
        reset_at = (window + 1) * seconds
        headers = [
            ("X-RateLimit-Limit", str(rule.limit)),
            ("X-RateLimit-Reset", str(math.ceil(reset_at))),
            ("X-RateLimit-Rule", rule.sys_id),
        ]
        if self._may(rule, account, window, now):
            return headers, None
        what = f"{_NAMES.get(rule.api, rule.api)} exceeded"
        denied = error_answer(
            429, "Rate limit exceeded", f"Rate limit of {rule.limit} requests per hour for {what}"
        )
        denied.headers += [*headers, ("Retry-After", str(max(1, math.ceil(reset_at - now))))]
        return headers, denied

    def _may(self, rule: RateRule, account: Account, window: int, now: float) -> bool:
        """Count a request; nodes tell one another only now and then, so that a limit may hold late."""
        lag = self._instance.switches.rate_lag_s
        with self._lock:
            count = self._counts.get((rule.text, account.user_name))
            if count is None or count.window != window:
                count = self._counts[rule.text, account.user_name] = _Count(window, flushed_at=now)
            if now - count.flushed_at >= lag:
                count.enforced, count.flushed_at = count.made, now
            if count.enforced >= rule.limit:
                return False
            count.made += 1
            return True

    def _rule_for(self, account: Account, request: Request) -> RateRule | None:
        texts = self._instance.switches.rate_rule
        if not texts:
            return None
        with self._lock:
            if texts != self._rules:
                # "Reset on edit".
                self._rules = texts
                self._counts.clear()
        about = [rule for rule in map(RateRule.parse, texts) if rule.is_about(account, request)]
        for kind in _KINDS:
            if rules := [rule for rule in about if rule.kind == kind]:
                return min(rules, key=lambda rule: rule.limit)
        return None
