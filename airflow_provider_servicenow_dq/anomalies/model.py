"""What every source's report becomes: an :class:`Anomaly`, and what makes two of them the same problem."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (pydantic reads it)
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from airflow_provider_servicenow_dq.anomalies.values import AnyCase, Count, Id, Name, Text, Texts, Time
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

#: Part of every fingerprint: raising it makes every known problem a new one.
_IDENTITY_VERSION = "1"
#: What the name of a source looks like.
SOURCE_PATTERN = r"[a-z0-9_.]{1,40}"
_HASH = r"[0-9a-f]{32}"
# These keep an anomaly as an object with a life of its own, so its id, and not the check's, is the problem's.
_SOURCES_WITH_OBJECTS = frozenset({"datadog", "qualytics"})
# They change without the problem being seen again.
_NOT_CONTENT = {"status", "status_changed_at", "comments", "samples"}
_DISPLAY_NAMES = {
    "airflow_sql": "Airflow SQL",
    "datadog": "Datadog",
    "dbt": "dbt",
    "great_expectations": "Great Expectations",
    "qualytics": "Qualytics",
}


class Kind(StrEnum):
    """What was found."""

    CHECK_FAILED = "check_failed"
    CHECK_ERROR = "check_error"
    SCHEMA = "schema"
    DRIFT = "drift"
    FRESHNESS = "freshness"
    RECORD = "record"
    SHAPE = "shape"
    SECURITY_FINDING = "security_finding"
    TASK_FAILED = "task_failed"


class Severity(StrEnum):
    """How bad it is; compare by :attr:`rank`, for the members themselves compare as text."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return len(Severity) - 1 - list(Severity).index(self)


class Status(StrEnum):
    """Where the anomaly stands in its source."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    DISCARDED = "discarded"


#: Statuses of an anomaly that nobody has to look at any more.
ARCHIVED_STATUSES = frozenset({Status.RESOLVED, Status.DUPLICATE, Status.INVALID, Status.DISCARDED})


def _hash(*parts: str) -> str:
    # Escaping keeps the parts apart: ("ab", "c") and ("a", "bc") differ, whatever characters they hold.
    escaped = (part.replace("\\", "\\\\").replace("\x1f", "\\u001f") for part in parts)
    return hashlib.sha256("\x1f".join(escaped).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _fingerprint_of(values: dict[str, Any]) -> str:
    identity = [_IDENTITY_VERSION, values["source"], values["source_instance"] or "", values["dataset"]]
    partition = [values["partition_key"]] if values["partition_key"] else []
    return _hash(*identity, values["check_id"], *partition)


def _comment_id_of(values: dict[str, Any]) -> str:
    created_at = values["created_at"]
    return _hash(values["author"] or "", created_at.isoformat() if created_at else "", values["body"])


class Comment(BaseModel):
    """A remark made in the source.

    :param id: The source's id; without one a hash of author, time and text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: Text | None = None
    body: Text
    created_at: Time | None = None
    id: Id = Field(default_factory=_comment_id_of)


class Anomaly(BaseModel):
    """One thing found wrong in data.

    :param source: The tool that found it, ``[a-z0-9_.]{1,40}``.
    :param source_instance: Tenant or project of that tool; part of the fingerprint.
    :param external_id: Its id in the source, always text; :attr:`anomaly_id` has it as it was given.
    :param type: What the source itself calls it, for example ``record``.
    :param check_id: What stays the same when the check runs again; the check's name where there is none.
    :param failed_count: For information only: tools count one fault in different units.
    :param detected_at: When the source saw it, in UTC; ``None`` where the source does not say.
    :param failed_checks: One message for each, where the source puts several checks into one anomaly.
    :param partition_key: Only when each partition is to have a ticket of its own.
    :param samples: Rows as text. They may hold personal data, so adapters drop them unless asked.
    :param fingerprint: 32 hex digits; made of source, instance, dataset, check and partition unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, StringConstraints(strict=True, pattern=f"^{SOURCE_PATTERN}$")]
    source_instance: Name | None = None
    external_id: Id | None = None
    external_id_is_int: bool = False
    dataset: Name
    check_name: Name
    check_id: Name = Field(default_factory=lambda values: values["check_name"])
    kind: Annotated[Kind, AnyCase] = Kind.CHECK_FAILED
    type: Name | None = None
    columns: Texts = []
    severity: Annotated[Severity, AnyCase] = Severity.MEDIUM
    status: Annotated[Status, AnyCase] = Status.ACTIVE
    status_changed_at: Time | None = None
    detected_at: Time | None = None
    failed_count: Count | None = None
    total_count: Count | None = None
    failed_unit: Literal["rows", "groups", "values", "percent"] | None = None
    observed: Text | None = None
    expected: Text | None = None
    message: Text | None = None
    failed_checks: Texts = []
    partition_key: Name | None = None
    tags: Texts = []
    owner: Text | None = None
    url: Text | None = None
    comments: list[Comment] = []
    samples: Texts = []
    fingerprint: Annotated[str, StringConstraints(strict=True, pattern=f"^{_HASH}$")] = Field(
        default_factory=_fingerprint_of
    )

    @model_validator(mode="before")
    @classmethod
    def _remember_how_the_id_was_given(cls, values: Any) -> Any:
        if isinstance(values, dict) and type(values.get("external_id")) is int:
            return {**values, "external_id_is_int": True}
        return values

    @field_validator("comments")
    @classmethod
    def _keep_one_of_each_id(cls, comments: list[Comment]) -> list[Comment]:
        return list({comment.id: comment for comment in reversed(comments)}.values())[::-1]

    @property
    def anomaly_id(self) -> str | int:
        """The source's id as it was given, else the fingerprint."""
        if self.external_id is None:
            return self.fingerprint
        return int(self.external_id) if self.external_id_is_int else self.external_id

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.status not in ARCHIVED_STATUSES


@dataclass(frozen=True, slots=True)
class Pass:
    """A check that ran and found nothing, and what makes it the same check as an anomaly's.

    A report may hold very many, so it keeps nothing else.

    :param detected_at: When it ran, in UTC; ``None`` where the source does not say.
    """

    source: str
    fingerprint: str
    external_id: str | None = None
    detected_at: datetime | None = None

    @classmethod
    def of(cls, anomaly: Anomaly) -> Pass:
        """Return the pass of the check that would have reported this anomaly."""
        return cls(anomaly.source, anomaly.fingerprint, anomaly.external_id, anomaly.detected_at)


class Report(BaseModel):
    """What one payload says.

    :param anomalies: One for each thing that failed or could not run, in the payload's order.
    :param passed: How many checks ran and passed.
    :param passes: What ran well, as far as the payload says what that was: the checks that passed, and in dbt
        the models that were built as well.
    :param not_run: How many were skipped; that is neither a pass nor a failure.
    """

    model_config = ConfigDict(frozen=True)

    anomalies: list[Anomaly] = []
    passed: int = 0
    passes: list[Pass] = []
    not_run: int = 0


def anomaly_key(anomaly: Anomaly | Pass, namespace: str = "") -> str:
    """Return 32 hex digits that two reports share when they are about the same problem.

    :param namespace: The environment; the same problem in two environments is two problems.
    """
    if anomaly.source in _SOURCES_WITH_OBJECTS and anomaly.external_id is not None:
        return _hash(namespace, anomaly.source, "id", anomaly.external_id)
    return _hash(namespace, anomaly.source, "fingerprint", anomaly.fingerprint)


def correlation_id(source: str, key: str) -> str:
    """Return what a ticket of this key carries in ``correlation_id``, at most 76 characters of 100."""
    if not re.fullmatch(SOURCE_PATTERN, source) or not re.fullmatch(_HASH, key):
        raise AnomalyFormatError(source, "correlation_id", f"cannot be made of {source!r} and {key!r}")
    return f"dq:{source}:{key}"


def key_of(correlation: str) -> str:
    """Return the key inside a :func:`correlation_id`."""
    return correlation.rsplit(":", 1)[-1]


def occurrence_id(
    anomaly: Anomaly | Pass,
    *,
    dag_id: str | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
    map_index: int | None = None,
) -> str:
    """Return at most 35 characters that name this sighting among all sightings of the same key.

    The source's own time names it; without one the task that reported it, whatever its try; without a task
    the content.
    """
    if anomaly.detected_at is not None:
        return f"at:{anomaly.detected_at.isoformat()}"
    if run_id is not None:
        # -1 is how Airflow numbers a task that is not mapped.
        index = -1 if map_index is None else map_index
        return f"in:{_hash(dag_id or '', run_id, task_id or '', str(index))}"
    if isinstance(anomaly, Pass):
        return f"is:{_hash('passed', anomaly.fingerprint)}"
    content = anomaly.model_dump(mode="json", exclude=_NOT_CONTENT)
    return f"is:{_hash(json.dumps(content, sort_keys=True))}"


def source_name(source: str) -> str:
    """Return the source as people write it."""
    return _DISPLAY_NAMES.get(source) or re.sub(r"[_.]+", " ", source).strip().title() or source
