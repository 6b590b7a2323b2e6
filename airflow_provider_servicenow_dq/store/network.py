"""Where a SQLite file may not be: on a file system that other machines write to as well.

The write-ahead log shares memory between its users, so all of them must be on one host: "WAL does not work
over a network filesystem" (https://sqlite.org/wal.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from pathlib import Path

_NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afpfs", "webdav"),
        *(
            "afs",
            "beegfs",
            "ceph",
            "coda",
            "gfs2",
            "glusterfs",
            "gpfs",
            "lustre",
            "ocfs2",
            "orangefs",
            "panfs",
        ),
    }
)

#: What stands behind ``fuse.`` where a file system of user space is reached over the network.
_NETWORK_FUSE: Final = frozenset(
    {
        *("ceph", "ceph-fuse", "curlftpfs", "davfs", "glusterfs", "juicefs", "mfs", "smbnetfs", "sshfs"),
        *("blobfuse", "blobfuse2", "gcsfuse", "goofys", "mount-s3", "rclone", "s3fs"),
    }
)


def network_file_system(path: Path) -> str | None:
    """Return the type of the network file system that holds a path, ``nfs4`` for one; None if it is local.

    :param path: Need not exist yet.
    """
    place = path.resolve()
    # What was mounted later on the same place hides what was there before.
    mounts = {mount.mountpoint: mount.fstype.lower() for mount in psutil.disk_partitions(all=True)}
    holder = next((each for each in (place, *place.parents) if str(each) in mounts), None)
    kind = "" if holder is None else mounts[str(holder)]
    return kind if kind in _NETWORK or kind.removeprefix("fuse.") in _NETWORK_FUSE else None
