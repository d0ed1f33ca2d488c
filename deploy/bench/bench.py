"""`make bench`: Parley beside a plain nginx and the bare upstream, on this machine, in one run.

    python deploy/bench/bench.py [--quick] [--json FILE] [--gateways N]
    python deploy/bench/bench.py --profile [--streams]       what a gateway's time goes to

Ends with 0 when every "must" is met, 1 when one is missed, 3 when the bench cannot run here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import budget
import consumers
import measures
import native
import subjects
import trees
from measures import Bench

MISSED, CANNOT_RUN = 1, 3


def main() -> int:
    arguments = read_arguments()
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as open_things:
            bench, parley = start(arguments, open_things)
            if arguments.profile:
                print(consumers.profile(bench, parley, streams=arguments.streams))
                return 0
            facts = measure(bench, parley)
    except (native.NoCompilerError, subjects.NotStartedError, consumers.NoProfilerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return CANNOT_RUN
    facts["took_seconds"] = time.monotonic() - started
    lines = budget.rows(facts)
    print("\n" + budget.table(lines))
    print("\n" + beside_the_table(facts))
    if arguments.json:
        judged = [
            {"what": row.what, "judged": row.judged, "must": row.must, "aim": row.aim, "verdict": row.verdict}
            for row in lines
        ]
        arguments.json.write_text(json.dumps(facts | {"budget": judged}, indent=2) + "\n")
    missed = [row.what for row in lines if row.verdict == "MISSED"]
    print(f"\nA must is missed: {'; '.join(missed)}" if missed else "\nEvery must is met.")
    return MISSED if missed else 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns: about two minutes, noisier")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all facts there")
    parser.add_argument("--gateways", type=int, metavar="N", help="gateway processes (one for each core measured)")
    parser.add_argument("--nginx", default="", metavar="PROGRAM", help="the plain nginx (the one that Parley uses)")
    parser.add_argument("--rehearse", action="store_true", help="a second plain nginx in Parley's place: the noise")
    parser.add_argument("--profile", action="store_true", help="profile one gateway under load instead of measuring")
    parser.add_argument("--streams", action="store_true", help="with --profile: under 200 paced streams")
    return parser.parse_args()


def start(arguments: argparse.Namespace, open_things: contextlib.ExitStack) -> tuple[Bench, subjects.Subject]:
    """Start everything, each on its cores."""
    load_cores, measured_cores = split_cores()
    if load_cores:
        driving, measured = min(load_cores), sorted(measured_cores or [])
        say(f"load, upstream, Redis and keeper on core {driving}; nginx and gateways on {measured}")
        os.sched_setaffinity(0, load_cores)
    else:
        say("one core, or no taskset: nothing is pinned, latencies include waiting for the load itself")
    upstream = open_things.enter_context(subjects.upstream(measures.MODELS, load_cores))
    nginx = open_things.enter_context(subjects.plain_nginx(upstream.port, measured_cores, program=arguments.nginx))
    say("starting Parley")
    if arguments.rehearse:
        parley = open_things.enter_context(subjects.plain_nginx(upstream.port, measured_cores, "parley"))
    else:
        gateways = arguments.gateways or len(measured_cores or [0])
        parley = open_things.enter_context(
            subjects.parley(upstream.port, measures.MODELS, measured_cores, load_cores, gateways)
        )
    say("Parley is " + ", ".join(f"{len(pids)} {part}" for part, pids in parley.parts.items()))
    effort = measures.QUICK if arguments.quick else measures.FULL
    return Bench(upstream, [nginx, parley], load_cores, effort), parley


def split_cores() -> tuple[set[int] | None, set[int] | None]:
    """The first core for what drives, the others for what is measured: neither pays for the other."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        return None, None
    return {cores[0]}, set(cores[1:])


def measure(bench: Bench, parley: subjects.Subject) -> dict[str, Any]:
    """All measurements, in the order that disturbs the later ones least."""
    busy, since = trees.busy_seconds(), time.monotonic()
    facts: dict[str, Any] = {"machine": machine(bench)}
    time.sleep(1)
    facts["machine"]["cores_busy_before"] = round((trees.busy_seconds() - busy) / (time.monotonic() - since), 2)
    if facts["machine"]["cores_busy_before"] > 0.3:
        say(f"this machine is not idle ({facts['machine']['cores_busy_before']} cores busy): expect noise")
    facts["idle_mb"] = max((trees.memory_mb([pid]) for replica in parley.replicas for pid in replica), default=0.0)
    facts["idle_replica_mb"] = max(map(trees.memory_mb, parley.replicas), default=0.0)
    say("warming up")
    bench.warm_up()
    say("cost of unary requests")
    facts["unary_cost"] = bench.cost_of_unary()
    if parley.master_key:
        say("cost of limits and routes")
        facts["limits_cost"] = bench.cost_of_limits(parley)
    say("cost of streamed chunks")
    facts["chunk_cost"] = bench.cost_of_chunks()
    say("latency of unary requests")
    facts["unary_latency"] = bench.latency_of_unary()
    say("time to first token")
    facts["first_token"] = bench.first_token()
    if parley.redis_url:
        say("Redis round trips")
        facts["redis"] = bench.redis_trips(parley)
    say("growth of memory")
    facts["growth"] = bench.growth(parley)
    facts["crowds"] = crowds(bench)
    facts["spoilt"] = len(bench.errors["parley"])
    facts["errors"] = bench.errors
    return facts


def crowds(bench: Bench) -> list[dict[str, Any]]:
    """How many streams this machine keeps up: all its cores may be used now, except that the load keeps to its own."""
    for subject in bench.subjects:
        trees.keep_to(subject.tree, ALL_CORES)
    found: list[dict[str, Any]] = []
    for streams in bench.effort.crowds:
        hopeless = any(not crowd["parley"]["kept_up"] for crowd in found)
        crowd: dict[str, Any] = {"streams": streams}
        for subject in bench.subjects:
            if subject.name == "nginx" and not bench.effort.crowd_of_nginx_too:
                continue
            say(f"{streams} streams through {subject.name}")
            crowd[subject.name] = bench.crowd(subject, streams, 1 if hopeless else bench.effort.tries)
        found.append(crowd)
    return found


ALL_CORES = os.sched_getaffinity(0)


def machine(bench: Bench) -> dict[str, Any]:
    cpu = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    version = subprocess.run([subjects.find_nginx(), "-v"], capture_output=True, text=True, check=False).stderr.strip()
    return {
        "cores": len(ALL_CORES),
        "cpu": cpu[0] if cpu else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": version.rpartition("/")[2],
        "gateways": len(bench.subjects[-1].replicas),
    }


def beside_the_table(facts: dict[str, Any]) -> str:
    """What is reported and not judged."""
    at, unary, chunks = facts["machine"], facts["unary_cost"], facts["chunk_cost"]
    rates = [f"{name} {found['per_second']:,.0f} (p50 {found['p50_ms']:.2f} ms)" for name, found in unary.items()]
    longer = budget.slowness(facts)
    lines = [
        f"nginx needs {longer:.1f} times as long here as on the budget's machine (or less): so do its milliseconds.",
        f"On {at['cores']} cores of {at['cpu']}, Python {at['python']}, nginx {at['nginx']}, gateway processes: "
        f"{at['gateways']}; {facts['took_seconds']:.0f} s.",
        f"Unary requests a second, 32 at a time: {', '.join(rates)}. "
        f"Short streams a second: {facts['first_token']['highest']:,.0f}.",
        f"Parley's CPU by part, ms per request / per 1,000 chunks: {_by_part(unary['parley'], chunks['parley'])}.",
        "Chunk delay at 200 streams, p50 / p99 ms: "
        + ", ".join(f"{name} {of['delay_p50_ms']:.1f} / {of['delay_p99_ms']:.1f}" for name, of in chunks.items()),
    ]
    if limits := facts.get("limits_cost"):
        said = {
            "no_key_limits": "a key without limits",
            "parley": "a key with four",
            "routed": "that, by a route in turns",
        }
        lines.append(
            "CPU ms per request, and of Redis: "
            + ", ".join(
                f"{what} {limits[name]['cpu_ms']:.3f} + {limits[name]['redis_cpu_ms']:.3f}"
                for name, what in said.items()
            )
            + "."
        )
    lines += [
        f"In turns: CPU per request {_turns(unary['parley']['ratios'])} x nginx, per chunk "
        f"{_turns(chunks['parley']['ratios'])} x; first token added, p99, "
        f"{_turns(facts['first_token']['parley']['added_p99_ms_by_turn'])} ms."
    ]
    lines.append(f"A replica, gunicorn's master and its worker together, idles at {facts['idle_replica_mb']:.1f} MB.")
    for crowd in facts["crowds"]:
        through = [name for name in ("nginx", "parley") if name in crowd]
        lines += [f"{crowd['streams']:,} streams, {name}: {_one_crowd(crowd[name])}." for name in through]
    if redis := facts.get("redis"):
        said = ", ".join(f"{name} {count:g}" for name, count in redis["commands"].items())
        lines.append(
            f"Redis per request: {redis['round_trips']:.2f} round trips; commands, also inside scripts: {said}."
        )
    for name, errors in facts["errors"].items():
        lines += [f"{name}: {error}" for error in errors]
    return "\n".join(lines)


def _by_part(unary: dict[str, float], chunks: dict[str, float]) -> str:
    parts = [name for name in unary if name.endswith("_cpu_ms")]
    return ", ".join(f"{name.removesuffix('_cpu_ms')} {unary[name]:.3f} / {chunks[name]:.1f}" for name in parts)


def _turns(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _one_crowd(crowd: dict[str, Any]) -> str:
    said = "kept up" if crowd["kept_up"] else "NOT kept up"
    if crowd["tries"] > 1:
        said += f" (try {crowd['tries']})"
    return (
        f"{said}; {crowd['failed']} failed, {crowd['incomplete']} incomplete; chunk delay p50 "
        f"{crowd['delay_p50_ms']:.1f}, p99 {crowd['delay_p99_ms']:.1f}, max {crowd['delay_max_ms']:.0f} ms; "
        f"gap p99 {crowd['gap_p99_ms']:.1f} ms; {crowd['cpu_ms']:.1f} CPU ms per 1,000 chunks; "
        f"{crowd['memory_mb']:.0f} MB"
    )


def say(what: str) -> None:
    print(f"· {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
