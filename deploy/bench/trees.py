"""What a tree of processes uses: CPU to the nanosecond, memory by proportional share. Linux only.

CPU comes from each process's own clock (clock_getcpuclockid(3)), which counts all its threads, ended ones included;
/proc/PID/stat counts the same in steps of 10 ms. Shared pages are counted once: Pss, not Rss.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

MEGABYTE = 1024  # in the kilobytes of /proc


def family(root: int) -> list[int]:
    """A process and all that descend from it, oldest first."""
    by_parent: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # ended while we looked
                continue
            by_parent[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(sorted(by_parent[pid]))
    return found


def command_line(pid: int) -> str:
    """The process's arguments (nginx puts its title there), or nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that these processes have used since their start; an ended one counts nothing."""
    used = 0
    for pid in pids:
        try:
            used += time.clock_gettime_ns(~pid << 3 | 2)  # the clockid that clock_getcpuclockid makes
        except OSError:
            continue
    return used / 1e9


def memory_mb(pids: Iterable[int], field: str = "Pss") -> float:
    """Memory of these processes together."""
    kilobytes = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return kilobytes / MEGABYTE


def keep_to(pids: Iterable[int], cores: set[int]) -> None:
    """Let all threads of these processes run on these cores only; threads to come inherit it."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            try:
                os.sched_setaffinity(int(thread.name), cores)
            except OSError:
                continue


def busy_seconds() -> float:
    """CPU time that the whole machine has used since its start."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
