"""Alembic's entry: migrates on the connection that it is handed."""

from __future__ import annotations

from alembic import context

from airflow_provider_servicenow_dq.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
