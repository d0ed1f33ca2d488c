"""The books: what is told of a request when it is over. A line in the journal, what was used, figures for Prometheus.

Of a key and a model counts what came of the request as a whole; of each upstream and credential that was asked, what
came of that attempt. So an attempt that failed, and after which another one succeeded, is no failure of the key. Tokens
and cost are with the attempt that spoke, and with those that lost a race against it as far as they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.accounting import Attempt, Tally
from gateway.figures import Figures
from parley.chat.events import Usage
from parley.prices import Prices
from parley.state.meter import Meter, Part, amounts


@dataclass(frozen=True, slots=True)
class Books:
    """Where everything is entered; one per process."""

    write: Callable[[dict[str, Any]], None]
    """Of the journal."""
    meter: Meter
    figures: Figures
    prices: Callable[[], Prices]
    """The table in force."""

    def open(self, request_id: str) -> Tally:
        """A request begins."""
        self.figures.begun += 1
        return Tally(request_id, self._settle)

    def _settle(self, tally: Tally) -> None:
        prices = self.prices()
        if tally.speaker is not None and tally.usage is not None:
            tally.cost = prices.cost(_model(tally.speaker), tally.usage)
            tally.currency = prices.currency
        self.write(tally.record())
        if parts := [*_of_caller(tally), *_of_attempts(tally, prices)]:
            self.meter.tell(*parts)
        self.figures.ended(tally)


def _of_caller(tally: Tally) -> Iterator[Part]:
    """Who is not known is nobody to count for; a model counts if somebody was asked for it."""
    asked = tally.speaker or next((attempt for attempt in reversed(tally.attempts) if attempt.asked is not None), None)
    names = (("key", tally.caller) if tally.caller else ()) + (("model", asked.model) if asked else ())
    if names:
        spent = amounts(_took(tally.started, tally.ended), _waited(tally), tally.usage, tally.cost, tally.error)
        yield names, spent


def _of_attempts(tally: Tally, prices: Prices) -> Iterator[Part]:
    for attempt in tally.attempts:
        if attempt.asked is None:
            continue  # nothing was lent, so nobody was asked
        usage: Usage | None = attempt.usage
        cost = None
        if attempt is tally.speaker:
            usage, cost = tally.usage, tally.cost
        elif usage is not None:
            cost = prices.cost(_model(attempt), usage)
        waited = None if attempt.first_event is None else attempt.first_event - attempt.asked
        error = "" if attempt.failure is None else attempt.failure.kind
        names = ("upstream", attempt.upstream, "credential", f"{attempt.upstream}/{attempt.credential}")
        yield names, amounts(_took(attempt.asked, attempt.ended or tally.ended), waited, usage, cost, error)


def _model(attempt: Attempt) -> str:
    return f"{attempt.upstream}/{attempt.model}"


def _waited(tally: Tally) -> float | None:
    return None if tally.first_event is None else tally.first_event - tally.started


def _took(since: float, until: float | None) -> float:
    return max((until or since) - since, 0.0)
