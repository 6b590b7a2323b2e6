"""A person's commands know the connections that were made in Airflow's pages."""

from __future__ import annotations

import os
import subprocess
import sys

import sqlalchemy as sa
from airflow.models.connection import Connection
from sqlalchemy.orm import Session


def test_a_store_named_by_a_connection_in_airflows_database_is_found(tmp_path):
    airflow = f"sqlite:///{tmp_path / 'airflow.db'}"
    engine = sa.create_engine(airflow)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE team (name VARCHAR(50) PRIMARY KEY)")
        Connection.__table__.create(connection)
        with Session(connection) as session:
            session.add(Connection("dq_store", conn_type="sqlite", host=str(tmp_path / "store.db")))
            session.commit()
    engine.dispose()

    command = "from airflow_provider_servicenow_dq.cli import main; main(['store', 'upgrade'])"
    settings = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow,
        "AIRFLOW__SERVICENOW_DQ__STORE": "dq_store",
    }
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "store.db").exists()
