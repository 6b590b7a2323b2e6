"""Know who takes findings out of cases, and which cases follow their tickets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for it."""
    op.add_column(
        "dq_case", sa.Column("follows_ticket", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.create_table(
        "dq_case_left",
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("left_by", sa.String(length=255), nullable=False),
        sa.Column("left_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "key", name=op.f("pk_dq_case_left")),
    )
    op.create_index(op.f("ix_dq_case_left_left_at"), "dq_case_left", ["left_at"], unique=False)


def downgrade() -> None:
    """Forget it."""
    op.drop_table("dq_case_left")
    op.drop_column("dq_case", "follows_ticket")
