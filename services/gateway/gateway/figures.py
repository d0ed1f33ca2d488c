"""What a gateway tells Prometheus (docs/metrics.md has a line on each).

Names and bounds are those of OpenTelemetry's conventions for generative AI where these know such a figure: towards its
callers a gateway is a server, towards upstreams a client. Labels are few: no keys and no credentials are among them,
and a model is called by its name once it has answered here, else `other`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.accounting import Attempt, Tally
from parley.chat.events import Usage
from parley.metrics import Counter, Figure, Gauge, Histogram, Names, of_this_process, page
from parley.state.line import Line
from parley.state.meter import Meter

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
_PER_TOKEN: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final = tuple(4**power for power in range(14))

_CHAT: Final = "chat"
_MODEL: Final = ("gen_ai_operation_name", "gen_ai_request_model")
_PLACE: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "parley_upstream", "gen_ai_request_model")
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "claude-web": "anthropic",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Where the conventions call a provider otherwise than we do."""


class Figures:
    """Counted here, read at `/metrics`."""

    def __init__(
        self, version: str, line: Line, meter: Meter, provider_of: Callable[[str], str], leases: Callable[[], int]
    ) -> None:
        self._names = Names()
        self._provider_of = provider_of
        """The provider of an upstream, by the upstream's name."""
        self.begun = 0
        self._ended = 0
        self._request = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from a request to the end of its answer, as its caller saw it; without error_type all went well.",
            _SECONDS,
            (*_MODEL, "error_type"),
        )
        self._first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time from a request to the first token of its answer.",
            _FIRST_TOKEN,
            _MODEL,
        )
        self._per_token = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Time between tokens of an answer after its first, where the upstream counted them.",
            _PER_TOKEN,
            _MODEL,
        )
        self._attempt = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Time that an attempt at an upstream took; without error_type it did not fail.",
            _SECONDS,
            (*_PLACE, "error_type"),
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of an answer; parley_usage is measured by the upstream, or estimated.",
            _TOKENS,
            (*_PLACE, "gen_ai_token_type", "parley_usage"),
        )
        self._cached = Counter("parley_cached_tokens_total", "Tokens of prompts that the upstream had cached.", _PLACE)
        self._reasoning = Counter("parley_reasoning_tokens_total", "Tokens of answers that were reasoning.", _PLACE)
        self._cost = Counter(
            "parley_cost_total", "What answers cost by the operator's price table.", (*_PLACE, "currency")
        )
        self._withheld = Counter(
            "parley_retries_withheld_total", "Requests that were not tried again for want of the shared budget."
        )
        self._all: tuple[Figure, ...] = (
            self._request,
            self._first_token,
            self._per_token,
            self._attempt,
            self._tokens,
            self._cached,
            self._reasoning,
            self._cost,
            self._withheld,
            Gauge.of("parley_requests_in_progress", "Requests under way.", lambda: self.begun - self._ended),
            Gauge.of("parley_leases", "Credentials that this gateway has lent out.", leases),
            Gauge.of("parley_redis_up", "Whether Redis answers in time (1) or not (0).", lambda: line.up),
            Gauge.of("parley_usage_untold", "Requests whose usage Redis was not told yet.", lambda: meter.untold),
            Gauge.of(
                "parley_usage_lost_total",
                "Requests whose usage was given up because Redis was away for too long.",
                lambda: meter.lost,
                "counter",
            ),
            Gauge("parley_info", "The version that runs.", lambda: [((version,), 1)], ("version",)),
            *of_this_process(),
        )

    def ended(self, tally: Tally) -> None:
        """Count a request that is over."""
        self._ended += 1
        speaker, ended = tally.speaker, tally.ended or tally.started
        model = self._names.met(tally.model or speaker.model) if speaker else self._names.known(tally.model)
        self._request.observe((_CHAT, model, tally.error), ended - tally.started)
        if tally.first_event is not None:
            self._first_token.observe((_CHAT, model), tally.first_event - tally.started)
            usage = tally.usage
            if usage is not None and usage.measured and usage.completion > 1 and not tally.error:
                self._per_token.observe((_CHAT, model), (ended - tally.first_event) / (usage.completion - 1))
        for attempt in tally.attempts:
            if attempt.asked is not None:
                self._asked(attempt, tally, ended)
        if tally.withheld:
            self._withheld.add()

    def page(self) -> bytes:
        """What there is to read."""
        return page(*self._all)

    def _asked(self, attempt: Attempt, tally: Tally, ended: float) -> None:
        answered = attempt.first_event is not None
        model = self._names.met(attempt.model) if answered else self._names.known(attempt.model)
        provider = self._provider_of(attempt.upstream)
        place = (_CHAT, _PROVIDERS.get(provider, provider), attempt.upstream, model)
        took = (attempt.ended or ended) - (attempt.asked or ended)
        self._attempt.observe((*place, attempt.failure.kind if attempt.failure else ""), took)
        spoke = attempt is tally.speaker
        usage = tally.usage if spoke else attempt.usage
        if usage is not None:
            self._used(place, usage)
        if spoke and tally.cost:
            self._cost.add((*place, tally.currency), tally.cost / 1e6)

    def _used(self, place: tuple[str, str, str, str], usage: Usage) -> None:
        source = "measured" if usage.measured else "estimated"
        self._tokens.observe((*place, "input", source), usage.prompt)
        self._tokens.observe((*place, "output", source), usage.completion)
        if usage.cached:
            self._cached.add(place, usage.cached)
        if usage.reasoning:
            self._reasoning.add(place, usage.reasoning)
