"""What the kernel says about running processes, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTime:
    """Seconds of CPU."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(self.user - earlier.user, self.system - earlier.system)


@dataclass(frozen=True)
class CoreTime:
    """Seconds that one core has spent since boot, by who had it."""

    programs: float
    stolen: float

    def __sub__(self, earlier: "CoreTime") -> "CoreTime":
        return CoreTime(self.programs - earlier.programs, self.stolen - earlier.stolen)


def tree(pid: int) -> list[int]:
    """`pid` and every living process below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat_fields(int(entry.name))[1])
            except ProcessLookupError:
                pass  # It ended while we were looking.
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def cpu_time(pid: int) -> CpuTime:
    """What the tree under `pid` has used, with its children that have ended."""
    user = system = 0
    for member in tree(pid):
        # Fields 14 to 17 of proc(5): utime, stime, cutime, cstime.
        utime, stime, cutime, cstime = map(int, _stat_fields(member)[11:15])
        user += utime + cutime
        system += stime + cstime
    return CpuTime(user / TICKS_PER_SECOND, system / TICKS_PER_SECOND)


def core_time(core: int) -> CoreTime:
    """The line of `core` in /proc/stat."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, fields[:8])
            return CoreTime((user + nice + system) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND)
    raise LookupError(f"/proc/stat has no core {core}")


def resident_bytes(pid: int) -> int:
    """Resident memory of the tree under `pid`; pages that two of them share count twice."""
    return _memory_bytes(pid, "VmRSS:")


def peak_resident_bytes(pid: int) -> int:
    """The most that the tree under `pid` ever had of it."""
    return _memory_bytes(pid, "VmHWM:")


def open_descriptors(pid: int) -> int:
    """Open descriptors of the tree under `pid`."""
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in tree(pid))


def _memory_bytes(pid: int, field: str) -> int:
    total = 0
    for member in tree(pid):
        for line in Path(f"/proc/{member}/status").read_text().splitlines():
            if line.startswith(field):
                total += int(line.split()[1]) * 1024
    return total


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(f"process {pid} has ended") from None
    return text.rpartition(")")[2].split()
