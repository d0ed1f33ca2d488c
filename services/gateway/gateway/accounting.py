"""The tally of one request: every attempt, what it used, how it ended. It becomes one header and one log record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from parley.chat.events import Usage
from parley.clock import monotonic
from parley.errors import Failure

Outcome = Literal["done", "failed", "hung_up", "refused"]


@dataclass(slots=True)
class Attempt:
    """One try at one upstream with one credential."""

    upstream: str
    model: str
    credential: str = ""
    """The credential's alias; empty when none could be lent."""
    started: float = field(default_factory=monotonic)
    first_event: float | None = None
    ended: float | None = None
    events: int = 0
    failure: Failure | None = None
    next: str = ""
    """Why another attempt followed; empty when none did."""
    lost: bool = False
    """Whether another one, asked at the same time, spoke first."""

    def record(self) -> dict[str, Any]:
        """The attempt as the log shows it; times in milliseconds."""
        entry: dict[str, Any] = {"upstream": self.upstream, "model": self.model, "credential": self.credential}
        if self.first_event is not None:
            entry["first_event_ms"] = _ms(self.first_event - self.started)
        if self.ended is not None:
            entry["ms"] = _ms(self.ended - self.started)
        entry["events"] = self.events
        if (failure := self.failure) is not None:
            entry["failure"] = failure.reason
            entry["blames"] = failure.blames
            if failure.upstream_status is not None:
                entry["status"] = failure.upstream_status
            if failure.retry_after is not None:
                entry["retry_after"] = round(failure.retry_after, 3)
        if self.next:
            entry["next"] = self.next
        if self.lost:
            entry["lost"] = True
        return entry


class Tally:
    """What one request did. `close` writes the record, once."""

    def __init__(self, request_id: str, write: Callable[[dict[str, Any]], None]) -> None:
        self.request_id = request_id
        self.client = ""
        """The address that the request came from, as far as anybody trustworthy says."""
        self.caller = ""
        self.model = ""
        self.stream = False
        self.started = monotonic()
        self.attempts: list[Attempt] = []
        self._speaker: Attempt | None = None
        self.first_event: float | None = None
        self.usage: Usage | None = None
        self.status = 0
        self.failure: Failure | None = None
        self.withheld = False
        """Whether it would have been tried again, had the budget for retries not been used up."""
        self._write: Callable[[dict[str, Any]], None] | None = write

    def attempt(self, upstream: str, model: str) -> Attempt:
        """Begin another attempt."""
        attempt = Attempt(upstream, model)
        self.attempts.append(attempt)
        return attempt

    def speaks(self, attempt: Attempt) -> None:
        """This is the attempt whose events the caller gets; who is still without a failure lost a race against it."""
        self._speaker = attempt
        for other in self.attempts:
            other.lost = other is not attempt and other.failure is None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the caller is told about the attempts, as far as they are known when the headers go out."""
        if not self.attempts:
            return []
        last = self._speaker or self.attempts[-1]
        asked = sum(bool(attempt.credential) for attempt in self.attempts)  # the others found nothing to lend
        told = [
            (b"x-parley-attempts", b"%d" % asked),
            (b"x-parley-upstream", last.upstream.encode()),
        ]
        if self.usage is not None and not self.usage.measured:
            told.append((b"x-parley-usage", b"estimated"))
        return told

    def close(self, outcome: Outcome) -> None:
        """Write the request's one record; a second call writes nothing."""
        if self._write is None:
            return
        write, self._write = self._write, None
        now = monotonic()
        record: dict[str, Any] = {
            "event": "request",
            "request_id": self.request_id,
            "outcome": outcome,
            "status": self.status,
            "client": self.client,
            "caller": self.caller,
            "model": self.model,
            "stream": self.stream,
            "ms": _ms(now - self.started),
        }
        if self.first_event is not None:
            record["first_event_ms"] = _ms(self.first_event - self.started)
        if self.failure is not None:
            record["failure"] = self.failure.reason
        if self.withheld:
            record["withheld"] = "retry_budget"
        if (usage := self.usage) is not None:
            record["usage"] = {
                "prompt": usage.prompt,
                "completion": usage.completion,
                "source": "measured" if usage.measured else "estimated",
            }
        record["attempts"] = [attempt.record() for attempt in self.attempts]
        write(record)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
