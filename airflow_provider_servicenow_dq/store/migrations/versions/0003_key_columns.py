"""Know which column of a table keeps our correlation ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for them; without a row it is ``correlation_id``."""
    op.create_table(
        "dq_key_column",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("column_name", sa.String(length=80), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("host", "table_name", name=op.f("pk_dq_key_column")),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("dq_key_column")
