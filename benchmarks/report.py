"""Results in words: a run as it ends, and the Markdown table of medians."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from benchmarks.cost import BESIDE
from benchmarks.figures import REFUSALS, Measured, Run, median_of, total
from benchmarks.targets import TARGETS, Row, rows

WIDTH = 150


def shown(run: Run) -> str:
    """Several lines about one run."""
    return "\n".join(f"   {line}" for measured in run.measured for line in _lines(measured))


def _lines(measured: Measured) -> Iterable[str]:
    yield (
        f"{measured.what}: {measured.rate_per_s:,.0f}/s ({measured.messages:,} in {measured.seconds:.2f} s); "
        f"the generator took {measured.load_us:.1f} us each"
    )
    if told := measured.latencies_ms:
        yield f"  latency ms: p50 {told.p50:.1f}, p99 {told.p99:.1f}, p99.9 {told.p999:.1f}, most {told.most:.1f}"
    if measured.costs and measured.messages:
        costs = [f"{name} {us:.0f}" for name, us in measured.cpu_us.items()]
        yield f"  CPU us a message: {', '.join(costs)}"
    if measured.costs:
        memory = [f"{name} {cost.pss_mb:.0f}" for name, cost in measured.costs.items()]
        yield f"  PSS MB: {', '.join(memory)}; without load and platforms {total(measured.costs).pss_mb:.0f}"
    if measured.more:
        more = "; ".join(f"{name} {value:g}" for name, value in measured.more.items())
        yield from wrap(more, WIDTH, initial_indent="  ", subsequent_indent="    ")
    if found := measured.delivery:
        verdict = "every one is there, once, in order" if found.is_good else "NOT GOOD"
        yield (
            f"  delivery: {found.accepted:,} accepted, {found.lost} lost, {found.doubled} doubled, "
            f"{found.disordered} disordered, {found.strange} strange, faults {found.faults or 'none'}: {verdict}"
        )


_COLUMNS = (
    "what", "system", "rate/s", "of the peer's", "p50 ms", "p99 ms", "p99.9 ms", "CPU us a message", "PSS MB",
    "lost, doubled, disordered",
)  # fmt: skip


_AIMS = ("what", "Zaptrix", "the peer", "ratio", "the peer, marking", "ratio", "target", "", "by")


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """What was aimed at and has come of it, and a table of medians for each part, out of its newest results."""
    lines = _aims(list(rows(results, TARGETS)))
    for result in {result["part"]: result for result in sorted(results, key=lambda one: str(one["at"]))}.values():
        lines += [f"### {result['part']}", "", _source(result), ""]
        lines += [
            f"| {' | '.join(_COLUMNS)} |",
            f"| --- | --- |{' ---: |' * (len(_COLUMNS) - 3)} --- |",
        ]
        groups = _grouped(result["runs"])
        lines += [_row(key, group, groups.get((key[0], "peer"))) for key, group in groups.items()]
        lines += ["", *_beside(groups), ""]
    return "\n".join(lines)


def _source(result: Mapping[str, Any]) -> str:
    runs = 1 + max((run.get("number", 0) for run in result["runs"]), default=0)
    of = f"`python -m benchmarks {result.get('command') or result['part']}`: medians of {runs} run{'s' * (runs > 1)}"
    return f"{of}; {result['machine']}; commit {result['commit']}; {result['at'][:10]}"


def _aims(told: Sequence[Row]) -> list[str]:
    if not told:
        return []
    sources = list(dict.fromkeys(_source(row.result) for row in told))
    head = [f"| {' | '.join(_AIMS)} |", f"| --- |{' ---: |' * 6} --- | ---: |"]
    notes = [f"- ({place}) {source}" for place, source in enumerate(sources, 1)]
    return [*head, *(_aim(row, 1 + sources.index(_source(row.result))) for row in told), "", *notes, ""]


def _aim(row: Row, source: int) -> str:
    target = row.target

    def figure(value: float | None) -> str:
        return "" if value is None else f"{value:,.{target.digits}f}"

    def times(other: float | None) -> str:
        return f"{row.value / other:.2f} x" if other else ""

    cells = [target.what, figure(row.value), figure(row.yardstick), times(row.yardstick), figure(row.marking)]
    cells += [times(row.marking), target.words, row.verdict, f"({source})"]
    return f"| {' | '.join(cells)} |"


# What has no column and is the point of its part.
_BESIDE = (
    "slower %", "more CPU %", "longest gap s", "first arrival s", "/s", "CPU s an hour", "% of a core", "% used",
    REFUSALS, "less those at rest", "that wait, most", "late ms",
)  # fmt: skip


def _beside(groups: dict[tuple[str, str], list[dict[str, Any]]]) -> list[str]:
    """Medians of the further figures, a line a row of the table."""
    lines = []
    for (what, system), group in groups.items():
        names = [name for name in group[0].get("more", {}) if any(part in name for part in _BESIDE)]
        told = [f"{name} {median_of(m['more'][name] for m in group):,.1f}" for name in names]
        if told:
            lines.append(f"- {what} ({system}): {', '.join(told)}")
    return lines


def _grouped(runs: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for measured in run["measured"]:
            groups.setdefault((f"{run['part']}: {measured['what']}", run["system"]), []).append(measured)
    return groups


def _row(key: tuple[str, str], group: list[dict[str, Any]], peer: list[dict[str, Any]] | None) -> str:
    rate = median_of(m["rate_per_s"] for m in group)
    yardstick = median_of(m["rate_per_s"] for m in peer) if peer and peer is not group else 0.0
    cells = [*key, f"{rate:,.0f}" if rate else "", f"{rate / yardstick:.1f} x" if yardstick else ""]
    for name in ("p50", "p99", "p999"):
        values = [m["latencies_ms"][name] for m in group if m.get("latencies_ms")]
        cells.append(f"{median_of(values):.1f}" if values else "")
    cells += [_median_total(group, "cpu_s", 1e6), _median_total(group, "pss_mb", None), _delivery(group)]
    return f"| {' | '.join(cells)} |"


def _median_total(group: list[dict[str, Any]], field: str, a_message: float | None) -> str:
    """Of all that has to be run in production."""
    totals = [
        sum(cost[field] for name, cost in m["costs"].items() if name not in BESIDE)
        * (a_message / max(m["messages"], 1) if a_message else 1)
        for m in group
        if m.get("costs") and (m["messages"] or not a_message)
    ]
    return f"{median_of(totals):,.0f}" if totals else ""


def _delivery(group: list[dict[str, Any]]) -> str:
    found = [m["delivery"] for m in group if m.get("delivery")]
    if not found:
        return ""
    return ", ".join(str(sum(one[name] for one in found)) for name in ("lost", "doubled", "disordered"))
