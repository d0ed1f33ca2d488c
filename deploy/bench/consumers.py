"""Where a gateway's time goes: py-spy where it is installed (pip install py-spy), else perf."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections import Counter
from pathlib import Path

import measures
from measures import Bench
from subjects import Subject

SECONDS = 8
AT_REST = "_worker (concurrent/futures/thread.py)"  # py-spy takes a pool's waiting thread for a busy one


class NoProfilerError(Exception):
    """Neither profiler is here; the sentence is for the user."""


def profile(bench: Bench, parley: Subject, streams: bool = False) -> str:
    """The top consumers of one gateway process while it is under load."""
    if not parley.replicas:
        raise NoProfilerError("no gateway to profile")
    pid = parley.replicas[0][-1]  # the worker
    bench.warm_up()
    load = threading.Thread(target=_drive, args=(bench, parley, streams))
    load.start()
    try:
        py_spy = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")
        if py_spy:
            return _by_py_spy(py_spy, pid)
        if perf := shutil.which("perf"):
            return _by_perf(perf, pid)
    finally:
        load.join()
    raise NoProfilerError("no profiler: pip install py-spy (frames of Python) or install perf (functions of C)")


def _drive(bench: Bench, parley: Subject, streams: bool) -> None:
    if streams:
        bench.ask(parley, measures.PACED, connections=200, seconds=SECONDS, ramp=1000)
    else:
        bench.ask(parley, measures.UNARY, connections=32, seconds=SECONDS + 1)


def _by_py_spy(py_spy: str, pid: int, lines: int = 40) -> str:
    """Functions of Python; what C code does for them is theirs. Threads that wait are left out."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "stacks")
        how = ["--format", "raw", "--rate", "200", "--duration", str(SECONDS)]
        subprocess.run([py_spy, "record", *how, "--output", raw, "--pid", str(pid)], check=True, stdout=sys.stderr)
        own, whole, total = count(raw.read_text())
    said = [f"py-spy, process {pid}, {total} samples; share of a function itself"]
    said += [f"{100 * samples / total:5.1f} %  {frame}" for frame, samples in own.most_common(lines)]
    said += ["", "share with all that it calls (what is always on the stack left out)"]
    telling = [(frame, samples) for frame, samples in whole.most_common() if samples < 0.95 * total]
    said += [f"{100 * samples / total:5.1f} %  {frame}" for frame, samples in telling[:lines]]
    return "\n".join(said)


def count(stacks: str) -> tuple[Counter[str], Counter[str], int]:
    """Samples by last frame and by every frame, of collapsed stacks ("a;b;c 12"), line numbers left out."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [_without_line(frame) for frame in stack.split(";")]
        if frames[-1] == AT_REST:
            continue
        own[frames[-1]] += int(samples)
        for frame in set(frames):
            whole[frame] += int(samples)
        total += int(samples)
    return own, whole, total


def _without_line(frame: str) -> str:
    """`name (file.py:12)` as `name (file.py)`: a function is one consumer, however many its lines."""
    head, colon, tail = frame.rpartition(":")
    return f"{head})" if colon and tail.rstrip(")").isdigit() else frame


def _by_perf(perf: str, pid: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        recorded = f"{folder}/perf.data"
        subprocess.run(
            [perf, "record", "-q", "-F", "500", "-o", recorded, "-p", str(pid), "--", "sleep", str(SECONDS)], check=True
        )
        report = [perf, "report", "-i", recorded, "--stdio", "--sort", "dso,symbol", "--percent-limit", "0.5"]
        return subprocess.run(report, capture_output=True, text=True, check=True).stdout
