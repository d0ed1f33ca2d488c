"""The books: what is told of a request when it is over. A line in the journal, what was used, figures for Prometheus.

Of a key and a model counts what came of the request as a whole; of each upstream and credential that was asked, what
came of that attempt. So an attempt that failed, and after which another one succeeded, is no failure of the key. Tokens
and cost are with the attempt that spoke, and with those that lost a race against it as far as they are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.accounting import Attempt, Tally
from gateway.figures import Figures
from parley.chat.events import Usage
from parley.leases import Lease
from parley.prices import Prices
from parley.state.meter import Meter


@dataclass(frozen=True, slots=True)
class Books:
    """Where everything is entered; one per process."""

    write: Callable[[dict[str, Any]], None]
    """Of the journal."""
    meter: Meter
    figures: Figures
    prices: Callable[[], Prices]
    """The table in force."""
    settle: Callable[[Lease, int, int], None] = lambda lease, tokens, cost: None
    """Tells whoever keeps the limits of credentials what was asked with a lease: tokens, and what they cost."""

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
        self._of_caller(tally)
        tokens, cost = 0, 0
        for attempt in tally.attempts:
            if attempt.asked is not None:  # else nothing was lent, so nobody was asked
                usage, paid = self._of_attempt(attempt, attempt.asked, tally, prices)
                used = usage.prompt + usage.completion if usage else 0
                if attempt.lease is not None:
                    self.settle(attempt.lease, used, paid or 0)
                tokens, cost = tokens + used, cost + (paid or 0)
        if tally.permit is not None:
            tally.permit.over(tokens, cost)
        self.figures.ended(tally)

    def _of_caller(self, tally: Tally) -> None:
        """Who is not known is nobody to count for; a model counts if somebody was asked for it."""
        asked = tally.speaker or next((attempt for attempt in reversed(tally.attempts) if attempt.asked), None)
        names = (("key", tally.caller) if tally.caller else ()) + (("model", asked.model) if asked else ())
        if names:
            waited = None if tally.first_event is None else tally.first_event - tally.started
            took = max((tally.ended or tally.started) - tally.started, 0.0)
            self.meter.add(names, took, waited, tally.usage, tally.cost, error=tally.error)

    def _of_attempt(
        self, attempt: Attempt, asked: float, tally: Tally, prices: Prices
    ) -> tuple[Usage | None, int | None]:
        """What it used and what that cost, as far as it is known."""
        usage: Usage | None = attempt.usage
        cost = None
        if attempt is tally.speaker:
            usage, cost = tally.usage, tally.cost
        elif usage is not None:
            cost = prices.cost(_model(attempt), usage)
        took = max((attempt.ended or tally.ended or asked) - asked, 0.0)
        waited = None if attempt.first_event is None else attempt.first_event - asked
        error = "" if attempt.failure is None else attempt.failure.kind
        names = ("upstream", attempt.upstream, "credential", f"{attempt.upstream}/{attempt.credential}")
        self.meter.add(names, took, waited, usage, cost, error=error)
        return usage, cost


def _model(attempt: Attempt) -> str:
    return f"{attempt.upstream}/{attempt.model}"
