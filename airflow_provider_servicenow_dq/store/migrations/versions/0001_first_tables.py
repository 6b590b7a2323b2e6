"""Create the first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "dq_anomaly",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("dataset", sa.String(length=512), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_dq_anomaly")),
    )
    op.create_index(op.f("ix_dq_anomaly_fingerprint"), "dq_anomaly", ["fingerprint"], unique=False)
    op.create_table(
        "dq_claim",
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("correlation_id", sa.String(length=100), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("leased_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "table_name", "correlation_id", name=op.f("pk_dq_claim")),
    )
    op.create_table(
        "dq_instance",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("honours_sys_id", sa.Boolean(), nullable=True),
        sa.Column("user_name", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_dq_instance")),
    )
    op.create_table(
        "dq_occurrence",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("occurrence", sa.String(length=64), nullable=False),
        sa.Column("detected_at", sa.DateTime(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", "occurrence", name=op.f("pk_dq_occurrence")),
    )
    op.create_table(
        "dq_ticket",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("correlation_id", sa.String(length=100), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("created_by_us", sa.Boolean(), nullable=False),
        sa.Column("opened_in", sa.String(length=600), nullable=True),
        sa.Column("adopted_in", sa.String(length=600), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("seen_at_note", sa.Integer(), nullable=False),
        sa.Column("noted_at", sa.DateTime(), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dq_ticket")),
        sa.UniqueConstraint(
            "instance", "table_name", "sys_id", name=op.f("uq_dq_ticket_instance_table_name_sys_id")
        ),
    )
    op.create_index(
        op.f("ix_dq_ticket_instance_table_name_correlation_id"),
        "dq_ticket",
        ["instance", "table_name", "correlation_id"],
        unique=False,
    )
    op.create_index(op.f("ix_dq_ticket_opened_in"), "dq_ticket", ["opened_in"], unique=False)
    op.create_table(
        "dq_known_note",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=32), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["dq_ticket.id"], name=op.f("fk_dq_known_note_ticket_id")),
        sa.PrimaryKeyConstraint("ticket_id", "text_hash", name=op.f("pk_dq_known_note")),
    )
    op.create_table(
        "dq_link",
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("linked_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["dq_ticket.id"], name=op.f("fk_dq_link_ticket_id")),
        sa.PrimaryKeyConstraint("ticket_id", "key", name=op.f("pk_dq_link")),
    )
    op.create_index(op.f("ix_dq_link_key"), "dq_link", ["key"], unique=False)
    op.create_table(
        "dq_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("correlation_id", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("write", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.Column("recorded_by", sa.String(length=1000), nullable=False),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
        sa.Column("action", sa.String(length=20), nullable=True),
        sa.Column("ticket_id", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("warnings", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["ticket_id"], ["dq_ticket.id"], name=op.f("fk_dq_outbox_ticket_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dq_outbox")),
        sa.UniqueConstraint(
            "instance",
            "table_name",
            "idempotency_key",
            name=op.f("uq_dq_outbox_instance_table_name_idempotency_key"),
        ),
    )
    op.create_index(
        op.f("ix_dq_outbox_instance_table_name_correlation_id_state"),
        "dq_outbox",
        ["instance", "table_name", "correlation_id", "state"],
        unique=False,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("ix_dq_outbox_instance_table_name_correlation_id_state"), table_name="dq_outbox")
    op.drop_table("dq_outbox")
    op.drop_index(op.f("ix_dq_link_key"), table_name="dq_link")
    op.drop_table("dq_link")
    op.drop_table("dq_known_note")
    op.drop_index(op.f("ix_dq_ticket_opened_in"), table_name="dq_ticket")
    op.drop_index(op.f("ix_dq_ticket_instance_table_name_correlation_id"), table_name="dq_ticket")
    op.drop_table("dq_ticket")
    op.drop_table("dq_occurrence")
    op.drop_table("dq_instance")
    op.drop_table("dq_claim")
    op.drop_index(op.f("ix_dq_anomaly_fingerprint"), table_name="dq_anomaly")
    op.drop_table("dq_anomaly")
