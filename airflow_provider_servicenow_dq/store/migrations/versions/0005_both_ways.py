"""Know what people do to tickets, who has been told, who linked them, and what forms show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PULLED = ("instance", "table_name", "pulled_at")
_NUMBERED = ("instance", "table_name", "number")
_SAID = ("instance", "sys_id", "text_hash")


def upgrade() -> None:
    """Make room for it."""
    # Column by column: SQLite cannot make a table anew to which others refer.
    op.add_column("dq_anomaly", sa.Column("status_from", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_dq_anomaly_dataset"), "dq_anomaly", ["dataset"], unique=False)
    op.add_column("dq_ticket", sa.Column("told", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("dq_ticket", sa.Column("journal_told_to", sa.DateTime(), nullable=True))
    op.add_column(
        "dq_ticket", sa.Column("journal_due", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("dq_ticket", sa.Column("pulled_at", sa.DateTime(), nullable=True))
    op.create_index(op.f("ix_dq_ticket_instance_table_name_pulled_at"), "dq_ticket", _PULLED, unique=False)
    op.create_index(op.f("ix_dq_outbox_recorded_by"), "dq_outbox", ["recorded_by"], unique=False)
    op.add_column("dq_link", sa.Column("by_person", sa.Boolean(), server_default=sa.false(), nullable=False))
    _create_changes()
    _create_readers()
    op.create_table(
        "dq_form",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("read_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("host", "table_name", "name", name=op.f("pk_dq_form")),
    )


def _create_changes() -> None:
    op.create_table(
        "dq_feed",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_dq_feed")),
    )
    op.create_table(
        "dq_change",
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("field", sa.String(length=80), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("text_hash", sa.String(length=32), nullable=True),
        sa.Column("echoed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "number", name=op.f("pk_dq_change")),
    )
    op.create_index(op.f("ix_dq_change_instance_table_name_number"), "dq_change", _NUMBERED, unique=False)
    op.create_index(op.f("ix_dq_change_instance_sys_id_text_hash"), "dq_change", _SAID, unique=False)
    op.create_index(op.f("ix_dq_change_recorded_at"), "dq_change", ["recorded_at"], unique=False)
    op.create_table(
        "dq_journal_entry",
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["dq_ticket.id"], name=op.f("fk_dq_journal_entry_ticket_id")),
        sa.PrimaryKeyConstraint("instance", "entry_id", name=op.f("pk_dq_journal_entry")),
    )
    op.create_index(op.f("ix_dq_journal_entry_ticket_id"), "dq_journal_entry", ["ticket_id"], unique=False)


def _create_readers() -> None:
    op.create_table(
        "dq_watermark",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("read_to", sa.DateTime(), nullable=False),
        sa.Column("ahead_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("host", "table_name", name=op.f("pk_dq_watermark")),
    )
    op.create_table(
        "dq_taken",
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("consumer", sa.String(length=600), nullable=False),
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("after_number", sa.Integer(), nullable=False),
        sa.Column("to_number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "table_name", "consumer", "run", name=op.f("pk_dq_taken")),
    )


def downgrade() -> None:
    """Forget it."""
    for table in ("dq_form", "dq_taken", "dq_watermark"):
        op.drop_table(table)
    op.drop_index(op.f("ix_dq_journal_entry_ticket_id"), table_name="dq_journal_entry")
    op.drop_table("dq_journal_entry")
    for index in ("recorded_at", "instance_sys_id_text_hash", "instance_table_name_number"):
        op.drop_index(op.f(f"ix_dq_change_{index}"), table_name="dq_change")
    op.drop_table("dq_change")
    op.drop_table("dq_feed")
    op.drop_column("dq_link", "by_person")
    op.drop_index(op.f("ix_dq_outbox_recorded_by"), table_name="dq_outbox")
    op.drop_index(op.f("ix_dq_ticket_instance_table_name_pulled_at"), table_name="dq_ticket")
    for column in ("pulled_at", "journal_due", "journal_told_to", "told"):
        op.drop_column("dq_ticket", column)
    op.drop_index(op.f("ix_dq_anomaly_dataset"), table_name="dq_anomaly")
    op.drop_column("dq_anomaly", "status_from")
