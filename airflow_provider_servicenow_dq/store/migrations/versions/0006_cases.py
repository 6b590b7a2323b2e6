"""Know the cases behind tickets for findings, and which requests were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PLACE = ("instance", "table_name", "correlation_id")


def upgrade() -> None:
    """Make room for them."""
    # By which REST clients name anomalies.
    op.create_index(op.f("ix_dq_anomaly_external_id"), "dq_anomaly", ["external_id"], unique=False)
    op.create_table(
        "dq_case",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("correlation_id", sa.String(length=100), nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=True),
        sa.Column("table_name", sa.String(length=80), nullable=True),
        sa.Column("ticket_sys_id", sa.String(length=32), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("project_key", sa.String(length=25), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("priority", sa.String(length=11), nullable=False),
        sa.Column("assignee_id", sa.String(length=255), nullable=True),
        sa.Column("closes_when_empty", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=False),
        sa.Column("modified_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dq_case")),
        sa.UniqueConstraint("project_key", "number", name=op.f("uq_dq_case_project_key_number")),
    )
    op.create_index(op.f("ix_dq_case_correlation_id"), "dq_case", ["correlation_id"], unique=False)
    op.create_index(op.f("ix_dq_case_instance_table_name_correlation_id"), "dq_case", _PLACE, unique=False)
    op.create_table(
        "dq_case_number",
        sa.Column("project_key", sa.String(length=25), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_key", name=op.f("pk_dq_case_number")),
    )
    op.create_table(
        "dq_case_finding",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["dq_case.id"], name=op.f("fk_dq_case_finding_case_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_dq_case_finding")),
    )
    op.create_index(op.f("ix_dq_case_finding_case_id"), "dq_case_finding", ["case_id"], unique=False)
    op.create_table(
        "dq_request",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("case_ids", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_dq_request")),
    )
    op.create_index(op.f("ix_dq_request_recorded_at"), "dq_request", ["recorded_at"], unique=False)
