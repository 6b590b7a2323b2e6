"""Know every account that we work under, the connection of an instance, and notes from before the store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for them; who we are on an instance moves to a table of its own."""
    op.create_table(
        "dq_account",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("host", "account", name=op.f("pk_dq_account")),
    )
    op.execute(
        "INSERT INTO dq_account (host, account, user_name) "
        "SELECT host, 'user:' || user_name, user_name FROM dq_instance WHERE user_name IS NOT NULL"
    )
    with op.batch_alter_table("dq_instance") as batch:
        batch.drop_column("user_name")
        batch.add_column(sa.Column("conn_id", sa.String(length=250), nullable=True))
    with op.batch_alter_table("dq_known_note") as batch:
        batch.add_column(sa.Column("unclaimed", sa.Integer(), server_default="0", nullable=False))
    op.create_index(op.f("ix_dq_outbox_instance_state"), "dq_outbox", ["instance", "state"], unique=False)
    op.create_index(op.f("ix_dq_outbox_ticket_id"), "dq_outbox", ["ticket_id"], unique=False)


def downgrade() -> None:
    """Go back to one account for each instance."""
    op.drop_index(op.f("ix_dq_outbox_ticket_id"), table_name="dq_outbox")
    op.drop_index(op.f("ix_dq_outbox_instance_state"), table_name="dq_outbox")
    with op.batch_alter_table("dq_known_note") as batch:
        batch.drop_column("unclaimed")
    with op.batch_alter_table("dq_instance") as batch:
        batch.drop_column("conn_id")
        batch.add_column(sa.Column("user_name", sa.String(length=100), nullable=True))
    op.execute(
        "UPDATE dq_instance SET user_name = "
        "(SELECT MIN(user_name) FROM dq_account WHERE dq_account.host = dq_instance.host)"
    )
    op.drop_table("dq_account")
