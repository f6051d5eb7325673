"""The table as Markdown, and everything behind it as JSON."""

import dataclasses
import json

from harness.bench import Bench, Row, Series

_UNITS = {"µs": "{:.2f} µs", "s/GiB": "{:.3f} s/GiB", "KiB": "{:.2f} KiB", "calls": "{:.2f}"}
_UNIT_ELSE = "{:.1f} {}"


def markdown(bench: Bench, facts: dict[str, str], failures: dict[str, str]) -> str:
    parts = ["# number8 beside its peers", _setting(bench, facts)]
    if failures:
        failed = (f"- `{line}`: {reason}" for line, reason in failures.items())
        parts.append("**Lines that could not be measured:**\n\n" + "\n".join(failed))
    if bench.rows:
        parts.append(_rows(bench.rows))
    if bench.notes:
        parts.append("\n".join(f"- {note}" for note in bench.notes))
    if bench.series:
        parts += ["## Each server", _table(
            ("work", "head", "server", "CPU", "of it user", "a second", "p50 µs", "p99 µs",
             "core lost"),
            map(_series, bench.series),
        )]
        parts.append(
            "Medians of the rounds. `core lost` is the worst round's share of the server's core "
            "that other programs or the hypervisor took: distrust a line where it is high."
        )
    return "\n\n".join(parts) + "\n"


def joined(rows: list[Row], runs: list[tuple[dict[str, str], int, int]]) -> str:
    """The rows of several runs together, and what those were."""
    lines = [f"- {facts['date']}: {facts['number8']}; {rounds} rounds of {seconds} s" for facts, rounds, seconds in runs]
    return "\n".join(lines) + "\n\n" + _rows(rows) + "\n"


def as_json(bench: Bench, facts: dict[str, str], failures: dict[str, str]) -> str:
    return json.dumps({
        "facts": facts,
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "failures": failures,
        "rows": [_row_as_json(row) for row in bench.rows],
        "notes": bench.notes,
        "series": [dataclasses.asdict(series) for series in bench.series],
    }, indent=1)


def _row_as_json(row: Row) -> dict:
    return dataclasses.asdict(row) | {"ratio": row.ratio, "met": row.met}


def _setting(bench: Bench, facts: dict[str, str]) -> str:
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines.append(
        f"- rounds: {bench.rounds} of {bench.seconds} s for each server, in turns; server on one "
        "core, load on another; 64 keep-alive connections; access log buffered to a file"
    )
    return "\n".join(lines)


def _rows(rows: list[Row]) -> str:
    head = ("work", "head", "number8", "peer", "ratio, median (min–max)", "to reach", "aim", "met")
    return _table(head, map(_row, rows))


def _row(row: Row) -> tuple[str, ...]:
    peer = f"{row.peer} {_figure(row.theirs, row.unit)}" if row.peer else "–"
    return (
        row.work, row.head, _figure(row.ours, row.unit), peer, _ratio(row),
        f"≤ {_goal(row, row.target.reach)}" if row.target else "–",
        _goal(row, row.target.aim) if row.target and row.target.aim else "–",
        {True: "yes", False: "**no**", None: "–"}[row.met],
    )


def _ratio(row: Row) -> str:
    match row.ratios:
        case []:
            return "–"
        case [one]:
            return f"{one:.2f}"
        case several:
            return f"{row.ratio:.2f} ({min(several):.2f}–{max(several):.2f})"


def _goal(row: Row, value: float) -> str:
    return _UNIT_ELSE.format(value, row.unit) if row.absolute else f"{value:.2f} × {row.peer}"


def _series(series: Series) -> tuple[str, ...]:
    downloads = series.unit == "s/GiB"
    rate = series.median(lambda sample: sample.work / sample.seconds)
    # Not every load tells how long its answers took.
    is_timed = not downloads and all(sample.p50_us is not None for sample in series.samples)
    p50, p99 = (
        series.median(percentile) if is_timed else None
        for percentile in (lambda sample: sample.p50_us, lambda sample: sample.p99_us)
    )
    lost = max(sample.foreign + sample.stolen for sample in series.samples)
    return (
        series.work, series.head, series.server,
        _figure(series.cost(), series.unit),
        _figure(
            series.scale * series.median(lambda sample: sample.cpu.user / sample.work), series.unit
        ),
        f"{rate:.1f} GiB" if downloads else f"{rate:,.0f}",
        # wrk has no latency for most pipelined answers, and says 0.
        f"{p50:.0f}" if p99 else "–", f"{p99:.0f}" if p99 else "–", f"{lost:.0%}",
    )


def _figure(value: float, unit: str) -> str:
    return _UNITS.get(unit, _UNIT_ELSE).format(value, unit)


def _table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
