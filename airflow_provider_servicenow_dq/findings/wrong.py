"""What can be wrong with a request about findings, beyond what can go wrong with ServiceNow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.exceptions import ServiceNowError

if TYPE_CHECKING:
    from collections.abc import Sequence


class BadRequestError(ServiceNowError, ValueError):
    """A request that makes no sense; nothing was done.

    :param reasons: What is wrong, each with its place in the body.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(list(reasons))
        self.reasons = list(reasons)

    def __str__(self) -> str:
        return "; ".join(self.reasons)


class NotFoundError(ServiceNowError, LookupError):
    """A project, case, ticket or finding that does not exist; nothing was done."""


class KeyReusedError(ServiceNowError, ValueError):
    """An idempotency key that came with another request before; nothing was done."""
