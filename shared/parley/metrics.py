"""Figures for Prometheus: counted in dictionaries, written as text when somebody asks.

    requests = Counter("parley_requests_total", "Requests that ended.", ("model",))
    requests.add(("gpt",))
    page(requests, ...)          # text format 0.0.4

What is counted is a dictionary entry under a tuple of label values, in the order of the label names. Whoever counts
sees to it that there are few of them: `Names` keeps names that come from outside in bounds.
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
_PROC: Final = Path("/proc/self")

Labels = tuple[str, ...]
Sample = tuple[Labels, float]

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Figure(Protocol):
    """Something that Prometheus can read."""

    def lines(self) -> Iterator[str]:
        """Its part of the page."""


class Counter:
    """What only grows."""

    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self._head = _Head(name, "counter", about, labels)
        self._amounts: dict[Labels, float] = {}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Count."""
        self._amounts[labels] = self._amounts.get(labels, 0) + amount

    def lines(self) -> Iterator[str]:
        """Its part of the page."""
        yield from self._head.lines()
        for labels, amount in self._amounts.items():
            yield self._head.sample(labels, amount)


class Gauge:
    """What is as it is now: read when the page is made."""

    def __init__(
        self, name: str, about: str, read: Callable[[], Iterable[Sample]], labels: Labels = (), kind: str = "gauge"
    ) -> None:
        self._head = _Head(name, kind, about, labels)
        self._read = read

    @classmethod
    def of(cls, name: str, about: str, read: Callable[[], float], kind: str = "gauge") -> Gauge:
        """One without labels; `kind` may be `counter` for what is counted elsewhere."""
        return cls(name, about, lambda: [((), read())], kind=kind)

    def lines(self) -> Iterator[str]:
        """Its part of the page."""
        yield from self._head.lines()
        for labels, amount in self._read():
            yield self._head.sample(labels, amount)


class Histogram:
    """How often something was how large."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        self._head = _Head(name, "histogram", about, labels)
        self._bounds = tuple(bounds)
        self._rows: dict[Labels, list[float]] = {}
        """By labels: how many in each bucket and beyond the last, and the sum."""

    def observe(self, labels: Labels, value: float) -> None:
        """Count one."""
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = [0] * (len(self._bounds) + 2)
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def lines(self) -> Iterator[str]:
        """Its part of the page."""
        yield from self._head.lines()
        for labels, row in self._rows.items():
            count = 0.0
            for bound, amount in zip((*self._bounds, None), row, strict=False):
                count += amount
                yield self._head.sample(labels, count, "_bucket", "+Inf" if bound is None else _number(bound))
            yield self._head.sample(labels, row[-1], "_sum")
            yield self._head.sample(labels, count, "_count")


class Names:
    """Names from outside, as label values: the first so many of them, and `other` for all that come later."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._known: set[str] = set()

    def known(self, name: str) -> str:
        """The name if it is known by now, else `other`."""
        return name if name in self._known else OTHER

    def met(self, name: str) -> str:
        """The same, of a name that is worth to be known."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


def page(*figures: Figure) -> bytes:
    """What Prometheus is given to read."""
    return "".join(line + "\n" for figure in figures for line in figure.lines()).encode()


def of_this_process() -> tuple[Figure, ...]:
    """What every process tells, under the names that Prometheus' own clients use; where there is a /proc."""
    cpu = Gauge.of("process_cpu_seconds_total", "CPU time.", _cpu_seconds, "counter")
    if not _PROC.exists():
        return (cpu,)
    started = time.time() - _age()
    return (
        cpu,
        Gauge.of("process_resident_memory_bytes", "Memory in use.", _memory),
        Gauge.of("process_open_fds", "Open files and sockets.", lambda: sum(1 for _ in (_PROC / "fd").iterdir())),
        Gauge.of("process_start_time_seconds", "When it started, since the epoch.", lambda: started),
    )


class _Head:
    """Name and labels of a figure, and how its samples read."""

    def __init__(self, name: str, kind: str, about: str, labels: Labels) -> None:
        self._name, self._kind, self._about, self._labels = name, kind, about, labels

    def lines(self) -> Iterator[str]:
        about = self._about.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {self._name} {about}"
        yield f"# TYPE {self._name} {self._kind}"

    def sample(self, labels: Labels, amount: float, suffix: str = "", upto: str = "") -> str:
        named = zip(self._labels, labels, strict=True)
        told = [f'{name}="{value.translate(_ESCAPED)}"' for name, value in named if value]  # empty is as good as absent
        if upto:
            told.append(f'le="{upto}"')
        braces = "{" + ",".join(told) + "}" if told else ""
        return f"{self._name}{suffix}{braces} {_number(amount)}"


def _number(amount: float) -> str:
    return str(int(amount)) if amount == int(amount) else repr(amount)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    pages = int((_PROC / "statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def _age() -> float:
    """Seconds since this process was started."""
    ticks = int((_PROC / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
