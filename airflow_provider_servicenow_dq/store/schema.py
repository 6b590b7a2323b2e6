"""The tables of the store. ``migrations/`` makes them; a test compares the two.

Times are UTC. One store may serve several instances and namespaces: an instance is its host, a namespace is
already inside every key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

#: The newest migration.
HEAD: Final = "0007"

#: Named so that the store can share a database with others.
VERSION_TABLE: Final = "servicenow_dq_version"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, also on databases that keep no zone."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Store the UTC time without its zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

anomaly = sa.Table(
    "dq_anomaly",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("source", sa.String(40), nullable=False),
    sa.Column("external_id", sa.String(255), index=True),
    sa.Column("fingerprint", sa.String(32), nullable=False, index=True),
    sa.Column("dataset", sa.String(512), nullable=False, index=True),
    sa.Column("severity", sa.String(10), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    # The sys_ids of the tickets that said so, where it was tickets that gave it its status.
    sa.Column("status_from", sa.JSON(none_as_null=True)),
)

occurrence = sa.Table(
    "dq_occurrence",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("occurrence", sa.String(64), primary_key=True),
    sa.Column("detected_at", UtcDateTime),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
)

#: Passes of checks whose anomalies have tickets; they count while their anomaly was not seen after them.
check_pass = sa.Table(
    "dq_pass",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("occurrence", sa.String(64), primary_key=True),
    sa.Column("passed_at", UtcDateTime, nullable=False),
)

ticket = sa.Table(
    "dq_ticket",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instance", sa.String(255), nullable=False),
    sa.Column("table_name", sa.String(80), nullable=False),
    sa.Column("sys_id", sa.String(32), nullable=False),
    sa.Column("correlation_id", sa.String(100), nullable=False),
    sa.Column("number", sa.String(40), nullable=False),
    sa.Column("state", sa.String(40), nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
    sa.Column("created_by_us", sa.Boolean, nullable=False),
    sa.Column("opened_in", sa.String(600)),
    sa.Column("adopted_in", sa.String(600)),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("seen_at_note", sa.Integer, nullable=False),
    sa.Column("noted_at", UtcDateTime, nullable=False),
    sa.Column("severity", sa.String(10), nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    # What counts as known to whoever follows its changes: what the instance showed when it became ours, what
    # we wrote and what was pulled since. Without it, the record does.
    sa.Column("told", sa.JSON(none_as_null=True)),
    # Up to when its journals are known, by the instance's clock; without it, nothing of them is.
    sa.Column("journal_told_to", UtcDateTime),
    sa.Column("journal_due", sa.Boolean, nullable=False, server_default=sa.false()),
    # When a pull last saw it.
    sa.Column("pulled_at", UtcDateTime),
    sa.UniqueConstraint("instance", "table_name", "sys_id"),
    sa.Index(None, "instance", "table_name", "correlation_id"),
    sa.Index(None, "opened_in"),
    sa.Index(None, "instance", "table_name", "pulled_at"),
)

link = sa.Table(
    "dq_link",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("dq_ticket.id"), primary_key=True),
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("linked_at", UtcDateTime, nullable=False),
    # A person did it: reports of the anomaly are noted there while that ticket is open.
    sa.Column("by_person", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "key"),
)

#: Notes that are known to be on a ticket, by the hash of their text: a note whose answer was lost has
#: arrived when the journal holds more of its text than this. Those that were there before this store was are
#: ``unclaimed`` until somebody asks for the same text: then it is there already.
known_note = sa.Table(
    "dq_known_note",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("dq_ticket.id"), primary_key=True),
    sa.Column("text_hash", sa.String(32), primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("unclaimed", sa.Integer, nullable=False, server_default="0"),
)

outbox = sa.Table(
    "dq_outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instance", sa.String(255), nullable=False),
    sa.Column("table_name", sa.String(80), nullable=False),
    sa.Column("idempotency_key", sa.String(255), nullable=False),
    sa.Column("correlation_id", sa.String(100), nullable=False),
    sa.Column("key", sa.String(32)),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("write", sa.JSON(none_as_null=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("tried_at", UtcDateTime),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("recorded_by", sa.String(1000), nullable=False),
    sa.Column("settled_at", UtcDateTime),
    sa.Column("action", sa.String(20)),
    sa.Column("ticket_id", sa.ForeignKey("dq_ticket.id")),
    sa.Column("message", sa.Text),
    sa.Column("warnings", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("instance", "table_name", "idempotency_key"),
    sa.Index(None, "instance", "table_name", "correlation_id", "state"),
    sa.Index(None, "instance", "state"),
    sa.Index(None, "recorded_by"),
    # What refers to a ticket that goes.
    sa.Index(None, "ticket_id"),
)

#: Who works on a ticket now. The unit is the correlation id, so that the order within a ticket holds.
claim = sa.Table(
    "dq_claim",
    metadata,
    sa.Column("instance", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("correlation_id", sa.String(100), primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("leased_until", UtcDateTime, nullable=False),
)

instance = sa.Table(
    "dq_instance",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("honours_sys_id", sa.Boolean),
    sa.Column("conn_id", sa.String(250)),
)

#: Under which names we have worked on an instance: what any of them wrote is ours.
account = sa.Table(
    "dq_account",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("account", sa.String(255), primary_key=True),
    sa.Column("user_name", sa.String(100), nullable=False),
)

#: Where a table keeps our correlation ids; without a row it is ``correlation_id``. It is proven when the
#: table was seen to have the column.
key_column = sa.Table(
    "dq_key_column",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("column_name", sa.String(80), nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
)

#: The last number that a change on an instance got. Whoever adds changes locks the row until the end of the
#: transaction, so that no lower number appears after a higher one was seen.
feed = sa.Table(
    "dq_feed",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("last_number", sa.Integer, nullable=False),
)

#: What people did to tickets, once for each anomaly on them.
change = sa.Table(
    "dq_change",
    metadata,
    sa.Column("instance", sa.String(255), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("table_name", sa.String(80), nullable=False),
    sa.Column("sys_id", sa.String(32), nullable=False),
    sa.Column("key", sa.String(32), nullable=False),
    sa.Column("field", sa.String(80), nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    # Of a journal entry: a comment of the same text that the source has afterwards is the same one, once.
    sa.Column("text_hash", sa.String(32)),
    sa.Column("echoed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Index(None, "instance", "table_name", "number"),
    sa.Index(None, "instance", "sys_id", "text_hash"),
    sa.Index(None, "recorded_at"),
)

#: Journal entries of others that are known, by their sys_ids.
journal_entry = sa.Table(
    "dq_journal_entry",
    metadata,
    sa.Column("instance", sa.String(255), primary_key=True),
    sa.Column("entry_id", sa.String(32), primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("dq_ticket.id"), nullable=False, index=True),
)

#: How far the changes of a table were read, by the instance's clock, and by how many seconds that clock was
#: ahead of ours then.
watermark = sa.Table(
    "dq_watermark",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("read_to", UtcDateTime, nullable=False),
    sa.Column("ahead_s", sa.Float, nullable=False),
)

#: Which changes a run of a task took: those behind ``after_number`` up to ``to_number``.
taken = sa.Table(
    "dq_taken",
    metadata,
    sa.Column("instance", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("consumer", sa.String(600), primary_key=True),
    sa.Column("run", sa.String(300), primary_key=True),
    sa.Column("after_number", sa.Integer, nullable=False),
    sa.Column("to_number", sa.Integer, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("taken_at", UtcDateTime, nullable=False),
)

#: What an instance tells for a form, as it was last read: choices, groups.
form = sa.Table(
    "dq_form",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("read_at", UtcDateTime, nullable=False),
)

#: The records behind tickets for findings. A case is of one ticket: that at its address, or the one of that
#: address with its ``ticket_sys_id``; without an address it has none.
case = sa.Table(
    "dq_case",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("correlation_id", sa.String(100), nullable=False, index=True),
    sa.Column("instance", sa.String(255)),
    sa.Column("table_name", sa.String(80)),
    sa.Column("ticket_sys_id", sa.String(32)),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("project_key", sa.String(25), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("priority", sa.String(11), nullable=False),
    sa.Column("assignee_id", sa.String(255)),
    # What its project said when it pulled or was asked for something last; ``follows_ticket`` as well.
    sa.Column("closes_when_empty", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("modified_at", UtcDateTime, nullable=False),
    sa.Column("modified_by", sa.String(255), nullable=False),
    sa.Column("follows_ticket", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.UniqueConstraint("project_key", "number"),
    sa.Index(None, "instance", "table_name", "correlation_id"),
)

#: The last number that a case of a project got.
case_number = sa.Table(
    "dq_case_number",
    metadata,
    sa.Column("project_key", sa.String(25), primary_key=True),
    sa.Column("last_number", sa.Integer, nullable=False),
)

#: Which case a finding is in: one at a time.
case_finding = sa.Table(
    "dq_case_finding",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("case_id", sa.ForeignKey("dq_case.id"), nullable=False, index=True),
    sa.Column("place", sa.Integer, nullable=False),
)

#: Who has taken a finding out of a case last: whoever asks for their own again means it.
case_left = sa.Table(
    "dq_case_left",
    metadata,
    sa.Column("case_id", sa.String(36), primary_key=True),
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("left_by", sa.String(255), nullable=False),
    sa.Column("left_at", UtcDateTime, nullable=False, index=True),
)

#: Requests about findings that were answered: a client that has lost the answer asks again.
request = sa.Table(
    "dq_request",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("content", sa.String(64), nullable=False),
    sa.Column("case_ids", sa.JSON, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False, index=True),
)
