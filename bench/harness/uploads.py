"""The line about uploads: one large file by PUT, or by form where a server has no PUT."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from harness import load, processes, sample_folder, servers
from harness.bench import Bench, Target
from harness.load import LoadError
from harness.servers import Server

UPLOAD_BYTES = 4 << 30
_NAME = "upload.bin"


def upload(bench: Bench):
    # Sparse: it is read as fast as memory, and takes no place on the disk.
    source = bench.folder.parent / _NAME
    with source.open("wb") as file:
        file.truncate(UPLOAD_BYTES)
    programs = servers.number8_uploads(bench.number8.binary), servers.dufs(), servers.miniserve()
    try:
        with ExitStack() as stack:
            running = [
                stack.enter_context(
                    Server(program, bench.folder, bench.uploads, bench.server_core)
                )
                for program in programs
            ]
            for server in running:
                _check_bytes(bench, server)
            measured = bench.in_turns(
                "4 GiB uploaded", "curl", "s/GiB", running,
                lambda server: _upload(bench, server, source),
            )
            memory = {
                server.name: processes.peak_resident_bytes(server.pid) / (1 << 20)
                for server in running
            }
    finally:
        source.unlink()
        for program in programs:
            shutil.rmtree(bench.uploads / program.name, ignore_errors=True)
    best = min(measured[1:], key=lambda series: series.cost())
    bench.compare(measured, {best.server: Target(0.80)})
    bench.compare_figures("peak RSS while they came", "MiB", memory, Target(24))


def _upload(bench: Bench, server: Server, source: Path):
    sample = load.curl_upload(server, bench.server_core, source)
    stored = server.uploads / source.name
    size = stored.stat().st_size
    # So that the disk has to take as little of it as can be.
    stored.unlink()
    if size != source.stat().st_size:
        raise LoadError(f"{server.name} stored {size} bytes")
    return sample


def _check_bytes(bench: Bench, server: Server):
    """Makes sure that what is stored is what was sent."""
    source = bench.folder / sample_folder.HUGE
    load.curl_upload(server, bench.server_core, source)
    stored = server.uploads / source.name
    if stored.read_bytes() != source.read_bytes():
        raise LoadError(f"{server.name} stored other bytes")
    stored.unlink()
