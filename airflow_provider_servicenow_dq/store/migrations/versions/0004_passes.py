"""Count how often a check that failed has passed since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the passes."""
    op.create_table(
        "dq_pass",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("occurrence", sa.String(length=64), nullable=False),
        sa.Column("passed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", "occurrence", name=op.f("pk_dq_pass")),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("dq_pass")
