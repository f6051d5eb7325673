"""Limits how fast one process may read from a disk and write to it, by a control group of either version."""

import os
from pathlib import Path

_GROUP = "number8-bench"


class DiskLimit:
    """While its `with` block runs, `pid` reads no more than `bytes_per_s` from `folder`'s disk, nor writes more.

    Needs root. Raises OSError where the kernel refuses, LookupError where it has no such limit.
    """

    def __init__(self, pid: int, folder: Path, bytes_per_s: int):
        self._pid, self._disk, self._bytes_per_s = pid, disk_of(folder), bytes_per_s
        self.version, self._root = _controller()
        self._group = self._root / _GROUP

    def __enter__(self) -> "DiskLimit":
        self._home = self._root / _membership(self._pid, self.version).lstrip("/")
        if self.version == 2:
            (self._root / "cgroup.subtree_control").write_text("+io")
            limits = {"io.max": f"{self._disk} rbps={self._bytes_per_s} wbps={self._bytes_per_s}"}
        else:
            both = "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"
            limits = dict.fromkeys(both, f"{self._disk} {self._bytes_per_s}")
        self._group.mkdir(exist_ok=True)
        try:
            for file, limit in limits.items():
                (self._group / file).write_text(limit)
            self._move(self._group)
        except OSError:
            self._group.rmdir()
            raise
        return self

    def __exit__(self, *_):
        if Path(f"/proc/{self._pid}").exists():
            self._move(self._home)
        self._group.rmdir()

    def _move(self, group: Path):
        (group / "cgroup.procs").write_text(str(self._pid))


def disk_of(folder: Path) -> str:
    """The whole disk, as MAJOR:MINOR, that `folder` is on; limits do not apply to partitions."""
    device = os.stat(folder).st_dev
    entry = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not entry.exists():
        raise LookupError(f"{folder} is on no disk of its own: choose a folder on ext4 or xfs")
    entry = entry.resolve()
    disk = entry.parent if (entry / "partition").exists() else entry
    return (disk / "dev").read_text().strip()


def _controller() -> tuple[int, Path]:
    """The version and the root of the control groups that limit reading."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        root = Path(where)
        if kind == "cgroup" and "blkio" in options.split(","):
            return 1, root
        if kind == "cgroup2" and "io" in (root / "cgroup.controllers").read_text().split():
            return 2, root
    raise LookupError("no control group here limits reading (io or blkio)")


def _membership(pid: int, version: int) -> str:
    """The group that `pid` is in now."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0" if version == 2 else "blkio" in controllers.split(","):
            return group
    return "/"
