"""The budget: what must be, what we aim at, and the table that holds the facts against it.

Must and aim are those of the project's performance page (docs/performance.md), as ratios to the plain nginx of the same
run where it says ratios, else as milliseconds, megabytes or counts. Its milliseconds were those of one machine: where
nginx needs longer for the same work, they are that much more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Facts = dict[str, Any]

NGINX_THERE: Final = 0.030
"""CPU ms of nginx for a unary request on the budget's machine: Debian's took 0.015, the wheel's takes twice that."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `judged` is held against must and aim: smaller is better, unless `more_is_better`."""

    what: str
    parley: str
    judged: float
    must: float
    aim: float
    unit: str
    nginx: str = ""
    upstream: str = ""
    ratio: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """`aim`, `must` (met, the aim not) or `MISSED`."""
        for limit, word in ((self.aim, "aim"), (self.must, "must")):
            if self.judged >= limit if self.more_is_better else self.judged <= limit:
                return word
        return "MISSED"


def slowness(facts: Facts) -> float:
    """How many times as long as the budget's machine this one takes for the same work; never less than 1."""
    return max(1.0, facts["unary_cost"]["nginx"]["cpu_ms"] / NGINX_THERE)


def rows(facts: Facts) -> list[Row]:
    """The table's lines, from the facts of a run."""
    longer = slowness(facts)
    table = [
        _cost(facts["unary_cost"], "CPU ms per unary request", 33, 12),
        _cost(facts["chunk_cost"], "CPU ms per 1,000 chunks, 200 streams", 4, 2.4),
    ]
    for what, found, musts, aims in (
        (f"unary latency added at {facts['unary_latency']['rate']}/s", facts["unary_latency"], (3, 15), (1, 5)),
        (f"first token added at {facts['first_token']['rate']}/s", facts["first_token"], (4, 25), (1.5, 8)),
    ):
        for percentile, must, aim in zip(("p50", "p99"), musts, aims, strict=True):
            table.append(_added(found, what, percentile, round(must * longer, 1), round(aim * longer, 1)))
    table.append(_crowds(facts["crowds"]))
    table += [
        Row("idle memory of a gateway process", f"{facts['idle_mb']:.1f}", facts["idle_mb"], 110, 70, "MB"),
        Row(
            f"its growth over {facts['growth']['requests_each']:,} requests",
            f"{facts['growth']['grown_mb']:.1f}", facts["growth"]["grown_mb"], 5, 1, "MB",
        ),
        Row("answers failed or broken off, in all", str(facts["spoilt"]), facts["spoilt"], 0, 0, ""),
    ]  # fmt: skip
    if facts.get("redis"):
        trips = facts["redis"]["round_trips"]
        # One awaited before the upstream call and one that nobody waits for (from outside they look alike). Usage and
        # records are told in sums, of all that ended within 20 and 100 ms; one request at a time has them for itself.
        table.append(Row("Redis round trips per request", f"{trips:.2f}", round(trips, 1), 2.4, 2, ""))
    return table


def _cost(found: Facts, what: str, must: float, aim: float) -> Row:
    nginx, parley = found["nginx"]["cpu_ms"], found["parley"]["cpu_ms"]
    ratio = found["parley"]["ratio"]  # of each turn, then the median: not of the medians
    return Row(what, f"{parley:.3g}", ratio, must, aim, "x nginx", f"{nginx:.3g}", ratio=ratio)


def _added(found: Facts, what: str, percentile: str, must: float, aim: float) -> Row:
    parley, nginx = (found[name][f"added_{percentile}_ms"] for name in ("parley", "nginx"))
    bare = found["upstream"][f"{percentile}_ms"]
    ratio = found["parley"][f"{percentile}_ms"] / found["nginx"][f"{percentile}_ms"]
    return Row(
        f"{what}, {percentile}", f"+{parley:.2f}", parley, must, aim, "ms", f"{nginx:+.2f}", f"{bare:.2f}", ratio
    )


def _crowds(crowds: list[Facts]) -> Row:
    kept = max((crowd["streams"] for crowd in crowds if crowd["parley"]["kept_up"]), default=0)
    nginx = [crowd["streams"] for crowd in crowds if crowd.get("nginx", {}).get("kept_up")]
    return Row(
        "streams kept up, 20 chunks/s each",
        str(kept),
        kept,
        500,
        1000,
        "",
        str(max(nginx)) if nginx else "",
        more_is_better=True,
    )


def table(lines: list[Row]) -> str:
    """The lines as text, the verdict last."""
    head = ("", "upstream", "nginx", "parley", "ratio", "must", "aim", "verdict")
    cells = [head]
    for row in lines:
        sign = ">=" if row.more_is_better else "<="
        unit = f" {row.unit}" if row.unit else ""
        limits = [f"{sign} {limit:g}{unit}" for limit in (row.must, row.aim)]
        cells.append(
            (
                row.what,
                row.upstream,
                row.nginx,
                row.parley,
                f"{row.ratio:.1f}x" if row.ratio else "",
                *limits,
                row.verdict,
            )
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, 7) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )
