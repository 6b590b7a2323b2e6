"""A SQLite file belongs on a disk of its machine; which databases and drivers there are else."""

from __future__ import annotations

from typing import NamedTuple

import psutil
import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store.network import network_file_system
from airflow_provider_servicenow_dq.store.store import Store


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


@pytest.fixture
def mount(monkeypatch):
    """Let the machine have these mounts, by place."""

    def make(*mounts):
        monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [Mount(*each) for each in mounts])

    return make


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "SMBFS", "lustre", "fuse.sshfs", "fuse.gcsfuse"]
)
def test_a_file_on_a_network_file_system_is_refused_in_words_that_name_the_setting(mount, tmp_path, kind):
    mount(("/", "ext4"), (str(tmp_path), kind))

    with pytest.raises(StoreError, match=r"network file system.*\[servicenow_dq\] store") as refusal:
        Store(f"sqlite:///{tmp_path / 'store.db'}").upgrade()

    assert f"({kind.lower()})" in str(refusal.value)
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "overlay", "tmpfs", "apfs", "fuseblk", "fuse.bindfs", "fuse"]
)
def test_a_file_on_a_disk_of_the_machine_is_not(mount, tmp_path, kind):
    mount(("/", "nfs4"), (str(tmp_path), kind))

    Store(f"sqlite:///{tmp_path / 'store.db'}").upgrade()

    assert (tmp_path / "store.db").exists()


def test_the_innermost_mount_holds_a_file_and_of_two_in_one_place_the_later(mount, tmp_path):
    inner = tmp_path / "inner"
    mount((str(inner), "nfs"), ("/", "ext4"), (str(tmp_path), "cifs"), (str(inner), "xfs"))

    assert network_file_system(inner / "store.db") is None
    assert network_file_system(tmp_path / "inner_sibling" / "store.db") == "cifs"
    assert network_file_system(tmp_path.parent / "store.db") is None


def test_a_link_to_a_network_file_system_leads_there(mount, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mount(("/", "ext4"), (str(tmp_path / "far"), "nfs4"))

    assert network_file_system(tmp_path / "near" / "store.db") == "nfs4"


def test_this_machine_is_asked_for_its_mounts(tmp_path):
    assert network_file_system(tmp_path / "store.db") is None


def test_postgresql_without_a_driver_means_the_driver_that_we_bring(postgres):
    url = postgres.new_store()
    store = Store(sa.make_url(url).set(drivername="postgresql"))

    with store.begin() as connection:
        assert connection.dialect.driver == "psycopg2"

    store.close()
    postgres.take_back(url)


def test_every_transaction_on_postgresql_is_read_committed(postgres):
    url = postgres.new_store()
    name = sa.make_url(url).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    store = Store(url)

    with store.begin() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"

    store.close()
    postgres.drop_database(url)


def test_an_asynchronous_driver_is_refused_in_words():
    with pytest.raises(StoreError, match="asynchronous"):
        Store("postgresql+psycopg_async://u:p@127.0.0.1:1/db").upgrade()
