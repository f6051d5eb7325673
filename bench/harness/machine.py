"""What the figures were made on and with: read once, printed with the table."""

import datetime
import os
import re
import subprocess
from pathlib import Path

from harness.servers import find

_PACKAGES = {
    "cargo": "rustup or cargo",
    "curl": "curl",
    "h2load": "nghttp2-client",
    "lighttpd": "lighttpd",
    "nginx": "nginx",
    "openssl": "openssl",
    "strace": "strace",
    "valgrind": "valgrind",
    "wrk": "wrk",
}


def missing_packages(programs: set[str]) -> list[str]:
    """The Debian packages of those `programs` that are not installed."""
    return sorted(_PACKAGES[program] for program in programs if find(program) is None)


def cores() -> tuple[int, int]:
    """The server's core and the load's. Raises LookupError on a machine that has only one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise LookupError("this needs two cores: one for the server, one for the load")
    return usable[0], usable[1]


def facts(root: Path, number8: Path) -> dict[str, str]:
    """The machine and the version of everything that was measured."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.+)$", cpu, re.MULTILINE)
    virtual = " (virtual)" if re.search(r"^flags.*\bhypervisor\b", cpu, re.MULTILINE) else ""
    system = re.search(r'^PRETTY_NAME="(.+)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lock = (root / "bench/peers/Cargo.lock").read_text()
    crates = (
        f"{name} {version}"
        for name in ("hyper", "axum", "fastwebsockets", "actix-web", "tokio")
        for version in re.findall(rf'name = "{name}"\nversion = "(.+)"', lock)
    )
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{model.group(1) if model else os.uname().machine}{virtual}, "
        f"{os.cpu_count()} cores, {pages / (1 << 30):.0f} GiB",
        "system": f"{system.group(1) if system else 'Linux'}, kernel {os.uname().release}",
        "number8": f"{_first_line(number8, '--version')}, commit {_commit(root)}",
        "peers": ", ".join([
            _first_line("nginx", "-v").removeprefix("nginx version: "),
            _first_line("lighttpd", "-v").split(" (")[0],
            *crates,
            *(_first_line(name, "--version") for name in ("dufs", "miniserve")),
        ]),
        "load": " ".join(_first_line("wrk", "-v").split()[:2]),
        "compiler": _first_line("rustc", "--version"),
        "load average at start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _first_line(program: str | Path, flag: str) -> str:
    path = find(str(program))
    if path is None:
        return f"{Path(program).name} (not there)"
    done = subprocess.run(
        [path, flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10
    )
    return (done.stdout.splitlines() or ["?"])[0]


def _commit(root: Path) -> str:
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(git, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
