"""Runs Alembic inside the store's own transaction, so that two processes never migrate at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from airflow_provider_servicenow_dq.exceptions import StoreTooNewError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def upgrade(connection: Connection, *, current: str | None, name: str, to: str = "head") -> None:
    """Bring the database behind the connection to a schema, the newest by default.

    :param current: Its revision now; None for an empty database.
    :param name: How to call the store in an error.
    :raises StoreTooNewError: If its revision is not one of ours.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if current is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(current)
        except CommandError:
            raise StoreTooNewError(
                f"{name} has schema {current!r}, which this airflow-provider-servicenow-dq does not know. "
                "A newer version wrote it: upgrade the package here too, or name another store in "
                "[servicenow_dq] store."
            ) from None
    command.upgrade(config, to)
