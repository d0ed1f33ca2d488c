"""The tally of one request: every attempt, what it used, how it ended. When it is closed, it goes into the books.

An answer whose upstream may finish after its caller left (`gateway.drain`) is closed then, and settled when that is
over: the tokens that count are those that the upstream measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.wire.ratelimit import Left, ratelimit
from parley.chat.events import Event, Usage
from parley.clock import monotonic
from parley.envelope import Headers
from parley.errors import Failure, OverLimit
from parley.leases import Lease

Outcome = Literal["done", "failed", "hung_up", "refused"]


class Permission(Protocol):
    """What the request may use of its limits (`gateway.limiter.Permit`)."""

    @property
    def rooms(self) -> tuple[Left | None, Left | None]:
        """What is left, of requests and of tokens."""

    def over(self, tokens: int, cost: int) -> None:
        """The request took so much."""


@dataclass(slots=True)
class Attempt:
    """One try at one upstream with one credential."""

    upstream: str
    model: str
    credential: str = ""
    """The credential's alias; empty when none could be lent."""
    started: float = field(default_factory=monotonic)
    asked: float | None = None
    """When a credential was there and the upstream was asked."""
    first_event: float | None = None
    ended: float | None = None
    events: int = 0
    bytes: int = 0
    """Of what it said to the caller, in UTF-8."""
    failure: Failure | None = None
    next: str = ""
    """Why another attempt followed; empty when none did."""
    lost: bool = False
    """Whether another one, asked at the same time, spoke first."""
    lease: Lease | None = None
    """What it was asked with, and has to be settled."""
    usage: Usage | None = None
    """What it used in the end, where the upstream said so after nobody listened any more."""

    def record(self) -> dict[str, Any]:
        """The attempt as the log shows it; times in milliseconds."""
        entry: dict[str, Any] = {"upstream": self.upstream, "model": self.model, "credential": self.credential}
        if self.first_event is not None:
            entry["first_event_ms"] = _ms(self.first_event - self.started)
        if self.ended is not None:
            entry["ms"] = _ms(self.ended - self.started)
        entry["events"], entry["bytes"] = self.events, self.bytes
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
    """What one request did. Once it is closed and nothing drains any more, it is settled: once."""

    def __init__(self, request_id: str, settle: Callable[[Tally], None]) -> None:
        self.request_id = request_id
        self.client = ""
        """The address that the request came from, as far as anybody trustworthy says."""
        self.caller = ""
        self.model = ""
        self.route = ""
        """The name of the route that the request took; empty when it went to a model by its name."""
        self.stream = False
        self.started = monotonic()
        self.ended: float | None = None
        self.attempts: list[Attempt] = []
        self.speaker: Attempt | None = None
        """The attempt whose events the caller gets."""
        self.first_event: float | None = None
        self.usage: Usage | None = None
        self.cost: int | None = None
        """Millionths of the price table's currency; None where no price is known. Known when it is settled."""
        self.currency = ""
        self.status = 0
        self.failure: Failure | None = None
        self.outcome: Outcome | None = None
        """Known when it is closed."""
        self.say: Callable[[list[Event]], bool] | None = None
        """Answers with events at once, or says that it cannot: then they are to come the ordinary way."""
        self.withheld = False
        """Whether it would have been tried again, had the budget for retries not been used up."""
        self.permit: Permission | None = None
        """None where nothing is limited."""
        self.contents: Callable[[], dict[str, Any]] | None = None
        """What was said, where an operator asked for it to be logged."""
        self._settle: Callable[[Tally], None] | None = settle
        self._draining = 0

    def attempt(self, upstream: str, model: str) -> Attempt:
        """Begin another attempt."""
        attempt = Attempt(upstream, model)
        self.attempts.append(attempt)
        return attempt

    def speaks(self, attempt: Attempt) -> None:
        """This is the attempt whose events the caller gets; who is still without a failure lost a race against it."""
        self.speaker = attempt
        for other in self.attempts:
            other.lost = other is not attempt and other.failure is None

    def headers(self) -> Headers:
        """What the caller is told about limits and attempts, as far as they are known when the headers go out."""
        told: Headers = []
        if isinstance(self.failure, OverLimit):
            told += ratelimit(self.failure.requests, self.failure.tokens)
        elif self.permit is not None:
            told += ratelimit(*self.permit.rooms)
        if not self.attempts:
            return told
        last = self.speaker or self.attempts[-1]
        asked = sum(bool(attempt.credential) for attempt in self.attempts)  # the others found nothing to lend
        told += [
            (b"x-parley-attempts", b"%d" % asked),
            (b"x-parley-upstream", last.upstream.encode()),
        ]
        if self.usage is not None and not self.usage.measured:
            told.append((b"x-parley-usage", b"estimated"))
        return told

    def close(self, outcome: Outcome) -> None:
        """The caller's part is over; a second call changes nothing."""
        if self.outcome is None:
            self.outcome, self.say = outcome, None
            self.ended = monotonic()
            self._settle_if_over()

    def drains(self) -> None:
        """An upstream goes on after its caller left: what it used is not known yet."""
        self._draining += 1

    def drained(self) -> None:
        """It is over."""
        self._draining -= 1
        self._settle_if_over()

    def _settle_if_over(self) -> None:
        if self.outcome is None or self._draining or self._settle is None:
            return
        settle, self._settle = self._settle, None
        if self.speaker is not None and self.speaker.usage is not None:
            self.usage = self.speaker.usage
        settle(self)

    @property
    def error(self) -> str:
        """How it failed, as `parley.state.meter.ERRORS` counts; empty when all went well."""
        if self.outcome == "hung_up":
            return "hung_up"
        if self.failure is not None:
            return self.failure.kind
        return "" if self.outcome == "done" else "unavailable"  # we were stopped in the middle of it

    def record(self) -> dict[str, Any]:
        """The request as the log shows it, without a word of what was said unless `contents`; times in milliseconds."""
        record: dict[str, Any] = {
            "event": "request",
            "request_id": self.request_id,
            "outcome": self.outcome,
            "status": self.status,
            "client": self.client,
            "caller": self.caller,
            "model": self.model,
        }
        if self.route:
            record["route"] = self.route
        record["stream"] = self.stream
        if self.ended is not None:
            record["ms"] = _ms(self.ended - self.started)
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
                "cached": usage.cached,
                "reasoning": usage.reasoning,
                "source": "measured" if usage.measured else "estimated",
            }
        if self.cost is not None:
            record["cost"] = self.cost / 1e6
            record["currency"] = self.currency
        record["attempts"] = [attempt.record() for attempt in self.attempts]
        if self.contents is not None:
            record["contents"] = self.contents()
        return record


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
