"""One run of the benchmark: measuring in turns, comparing, and what the rows of the table hold."""

import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness import servers
from harness.load import Sample
from harness.servers import Program, Server


@dataclass(frozen=True)
class Target:
    """What number8 has to reach and what it aims at: a ratio, or a figure in the line's unit."""

    reach: float
    aim: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table, against one peer or, without one, about our own figure."""

    work: str
    head: str
    unit: str
    ours: float
    peer: str | None = None
    theirs: float | None = None
    ratios: list[float] = field(default_factory=list)
    """Ours to theirs, of each round that has both."""
    target: Target | None = None
    absolute: bool = False
    """The target is about our own figure, not about the ratio."""

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return (self.ours if self.absolute else self.ratio) <= self.target.reach


@dataclass
class Series:
    """What one server cost in each round."""

    work: str
    head: str
    server: str
    unit: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """From CPU seconds for one piece of work to the unit."""
        return {"µs": 1e6, "s/GiB": 1}[self.unit]

    def cost(self) -> float:
        """The median of the rounds, in the unit."""
        return self.scale * self.median(lambda sample: sample.cost)

    def median(self, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in self.samples)


@dataclass
class Bench:
    """One run: how long, where, with which programs; and what came out."""

    rounds: int
    seconds: int
    server_core: int
    folder: Path
    runs: Path
    uploads: Path
    """Where what is uploaded is stored."""
    number8: Program
    hello: Program
    services: Path
    """Serves, with number8 as a library, what the lines about handlers measure."""
    peers: Path
    rows: list[Row] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def start(self, program: Program) -> Server:
        return Server(program, self.folder, self.runs, self.server_core)

    def started(self, stack: ExitStack, *programs: Program) -> list[Server]:
        return [stack.enter_context(self.start(program)) for program in programs]

    def service(self, kind: str) -> Program:
        """number8 as a library, with the handlers of one line."""
        return servers.service("number8", self.services, kind)

    def peer(self, name: str, kind: str = "hello") -> Program:
        return servers.hello(name, self.peers / f"{name}-{kind}")

    def in_turns(
        self, work: str, head: str, unit: str, running: list[Server],
        measure: Callable[[Server], Sample],
    ) -> list[Series]:
        """Measures the servers one after the other, round after round, there and back: what a machine drifts by in the
        meantime weighs on all of them alike."""
        measured = [Series(work, head, server.name, unit) for server in running]
        self.series += measured
        order = list(zip(running, measured))
        for number in range(1, self.rounds + 1):
            for server, series in order:
                series.samples.append(measure(server))
                server.empty_log()
            order.reverse()
            costs = " · ".join(
                f"{series.server} {series.scale * series.samples[-1].cost:.3f}"
                for series in measured
            )
            say(f"{work}, {head}: round {number} of {self.rounds}: {costs}")
        return measured

    def compare(self, measured: list[Series], targets: dict[str, Target]):
        """Adds a row for each peer: the first series is ours."""
        ours, *peers = measured
        for theirs in peers:
            ratios = [a.cost / b.cost for a, b in zip(ours.samples, theirs.samples)]
            self.rows.append(Row(
                ours.work, ours.head, ours.unit, ours.cost(), theirs.server, theirs.cost(),
                ratios, targets.get(theirs.server),
            ))

    def compare_times(self, work: str, measured: list[Series], targets: dict[str, Target]):
        """The same for the time, in ms, that half of the work of a round took at most."""
        ours, *peers = measured
        for theirs in peers:
            ratios = [a.p50_us / b.p50_us for a, b in zip(ours.samples, theirs.samples)]
            our_ms, their_ms = (
                series.median(lambda sample: sample.p50_us) / 1000 for series in (ours, theirs)
            )
            self.rows.append(Row(
                work, ours.head, "ms", our_ms, theirs.server, their_ms, ratios,
                targets.get(theirs.server),
            ))

    def compare_figures(self, work: str, unit: str, figures: dict[str, float], target: Target):
        """Adds a row for each peer, or one; the first figure is ours and has to meet the target."""
        (_, ours), *peers = figures.items()
        for name, theirs in peers or [(None, None)]:
            ratios = [ours / theirs] if theirs else []
            self.rows.append(
                Row(work, "–", unit, ours, name, theirs, ratios, target, absolute=True)
            )
            target = None


def say(text: str):
    print(text, file=sys.stderr, flush=True)
