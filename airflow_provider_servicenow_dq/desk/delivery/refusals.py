"""What an instance's refusals mean for us: the same 403 says no, not now, or that somebody was quicker."""

from __future__ import annotations

from typing import Final

from airflow_provider_servicenow_dq.exceptions import (
    DeliveryRefusedError,
    ForbiddenError,
    RefusedError,
    ServiceNowError,
)

#: This 403 comes and goes when an instance moves a session between nodes (KB2466644).
_PASSING: Final = "Failed API level ACL Validation"
#: A role or an ACL said no, or the record was made and may not be read (KB2697679).
_ACL: Final = "ACL Exception"
#: The instance's primary key refused the record: a duplicate unique key on insert.
_KEY_TAKEN: Final = "Error during insert"


def is_definite(error: ServiceNowError) -> bool:
    """Whether it makes no sense to try again as it is: the instance itself said no, and will again."""
    if isinstance(error, RefusedError):
        return error.detail != _PASSING
    return isinstance(error, DeliveryRefusedError)


def may_hide_the_record(error: RefusedError) -> bool:
    """Whether the record may have been made where the account cannot see it."""
    return error.detail.startswith(_ACL)


def key_was_taken(error: ServiceNowError | None) -> bool:
    """Whether a record of this sys_id was there already."""
    return isinstance(error, ForbiddenError) and _KEY_TAKEN in error.detail
