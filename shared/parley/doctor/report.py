"""What the doctor found: a report of checks, each a verdict with its sentence, and the directive that is at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "fault", "unknown"]
Figures = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Check:
    """One question, answered. `unknown` says that it could not be answered this time, and why."""

    name: str
    verdict: Verdict
    sentence: str
    directive: str = ""
    """The directive of nginx.conf that is at fault, if one is."""
    remedy: str = ""
    """What to write or to do."""
    figures: Figures = field(default_factory=dict)
    """What was measured; a name ends with its unit (`_ms`, `_s`, `_mb`)."""

    def as_json(self) -> dict[str, Any]:
        """The check as plain values."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "directive": self.directive or None,
            "remedy": self.remedy or None,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """An examination. When nobody answers, or the key is not accepted, it ends with that check."""

    url: str
    checks: Sequence[Check]
    gateways: tuple[str, ...] = ()
    """Those that were seen, by name."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of all; what could not be told is better than a fault and worse than ok."""
        found = {check.verdict for check in self.checks}
        return "fault" if "fault" in found else "unknown" if "unknown" in found else "ok"

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "url": self.url,
            "verdict": self.verdict,
            "gateways": list(self.gateways),
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "checks": [check.as_json() for check in self.checks],
        }


def ok(name: str, sentence: str, **figures: float | str) -> Check:
    """All is as it should be."""
    return Check(name, "ok", sentence, figures=figures)


def fault(name: str, sentence: str, directive: str = "", remedy: str = "", **figures: Any) -> Check:
    """Something is wrong, with `directive` where one is to blame."""
    return Check(name, "fault", sentence, directive, remedy, figures)


def unknown(name: str, sentence: str, **figures: float | str) -> Check:
    """It could not be told."""
    return Check(name, "unknown", sentence, figures=figures)
