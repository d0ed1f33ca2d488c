"""What is told of a request when it is over: to the log, to Redis, to Prometheus."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.accounting import Attempt, Tally
from gateway.books import Books
from gateway.drain import draining, end_drains
from gateway.figures import Figures
from parley.chat.events import Events, Stop, Text, Usage
from parley.errors import BadRequest, Failure, NothingToLend, Throttled, Unreachable
from parley.prices import Price, Prices
from parley.state.meter import FIELDS, Meter
from tests.services.gateway.serving import Front

PRICES = Prices([Price.per_million("east/m", 1, 10, 0.5)], "EUR")


class Line:
    """Nobody is there: what is told stays in the meter."""

    up = False
    on_up: list[Any] = []  # noqa: RUF012  # nobody looks at it
    name = "gateway-1"


class Sums:
    """What a meter would tell Redis, by subject."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @property
    def used(self) -> dict[tuple[str, str], dict[str, int]]:
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for names, row in self._meter._sums.items():
            for subject in zip(names[::2], names[1::2], strict=True):
                for field, amount in zip(FIELDS, row, strict=True):
                    found[subject][field] += amount
        return dict(found)

    def of(self, subject: str, name: str, *fields: str) -> tuple[int, ...]:
        return tuple(self.used[subject, name][field] for field in fields)


class Desk:
    """Books with everything that is told to them."""

    def __init__(self) -> None:
        meter = Meter(Line())  # type: ignore[arg-type]
        self.meter = Sums(meter)
        self.records: list[dict[str, Any]] = []
        self.figures = Figures("1.2", Line(), meter, lambda _: "gemini", lambda: 3)  # type: ignore[arg-type]
        self.books = Books(self.records.append, meter, self.figures, lambda: PRICES)

    def tally(self, caller: str = "ann", model: str = "m") -> Tally:
        tally = self.books.open("request-1")
        tally.caller, tally.model = caller, model
        return tally

    def samples(self) -> dict[tuple[str, ...], float]:
        """By name and label values; without histograms' buckets."""
        return {
            (sample.name, *(value for name, value in sample.labels.items() if value != "chat")): sample.value
            for family in text_string_to_metric_families(self.figures.page().decode())
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        }


@pytest.fixture
async def desk() -> Desk:
    return Desk()  # in an event loop, which a meter's timer needs


def tried(tally: Tally, upstream: str, credential: str, failure: Failure | None = None) -> Attempt:
    attempt = tally.attempt(upstream, "m")
    attempt.credential = credential
    attempt.asked = attempt.started
    attempt.ended = attempt.started + 0.5
    attempt.failure = failure
    return attempt


def spoke(tally: Tally, upstream: str, credential: str) -> Attempt:
    attempt = tried(tally, upstream, credential)
    attempt.first_event = attempt.started + 0.2
    tally.first_event = tally.started + 1.2
    tally.speaks(attempt)
    return attempt


async def test_of_an_answer_everybody_is_told_tokens_cost_and_times(desk: Desk) -> None:
    tally = desk.tally()
    spoke(tally, "east", "one")
    tally.usage, tally.route = Usage(1000, 200, cached=400, reasoning=50), "smart"
    tally.close("done")
    for subject in (("key", "ann"), ("model", "m"), ("upstream", "east"), ("credential", "east/one")):
        assert desk.meter.of(*subject, "requests", "prompt", "completion", "cached", "reasoning", "cost") == (
            1, 1000, 200, 400, 50, 600 + 200 + 2000,
        )  # fmt: skip
    assert desk.meter.of("upstream", "east", "took_ms", "waited_ms", "took_2", "waited_1") == (500, 200, 1, 1)
    assert desk.meter.of("key", "ann", "waited_ms", "waited_3") == (1200, 1)
    [record] = desk.records
    assert record["usage"] == {"prompt": 1000, "completion": 200, "cached": 400, "reasoning": 50, "source": "measured"}
    assert (record["cost"], record["currency"], record["route"]) == (0.0028, "EUR", "smart")


async def test_an_attempt_that_failed_is_a_failure_of_its_upstream_and_credential_and_not_of_the_key(
    desk: Desk,
) -> None:
    tally = desk.tally()
    tried(tally, "east", "one", Throttled("slow"))
    tried(tally, "west", "two", Unreachable("gone"))
    spoke(tally, "east", "three")
    tally.usage = Usage(10, 20)
    tally.close("done")
    used = desk.meter.of
    assert used("upstream", "east", "requests", "throttled", "completion") == (2, 1, 20)
    assert used("credential", "east/one", "requests", "throttled", "completion") == (1, 1, 0)
    assert used("credential", "west/two", "requests", "unreachable") == (1, 1)
    assert used("credential", "east/three", "requests", "throttled", "completion") == (1, 0, 20)
    for subject in (("key", "ann"), ("model", "m")):
        assert used(*subject, "requests", "throttled", "unreachable", "completion") == (1, 0, 0, 20)
    assert used("upstream", "west", "cost") == (0,)


async def test_a_request_that_failed_is_a_failure_of_the_key_once(desk: Desk) -> None:
    tally = desk.tally()
    tally.failure = Unreachable("gone")
    tried(tally, "east", "one", Throttled("slow"))
    tried(tally, "west", "two", tally.failure)
    tally.close("failed")
    assert desk.meter.of("key", "ann", "requests", "throttled", "unreachable") == (1, 0, 1)
    assert desk.meter.of("model", "m", "requests", "unreachable") == (1, 1)
    assert "cost" not in desk.records[0]


async def test_who_could_not_be_asked_has_no_attempt(desk: Desk) -> None:
    tally = desk.tally()
    tally.failure = NothingToLend("all rest")
    attempt = tally.attempt("east", "m")
    attempt.failure = tally.failure
    tally.close("failed")
    assert desk.meter.used.keys() == {("key", "ann")}
    assert desk.meter.of("key", "ann", "requests", "unavailable") == (1, 1)


async def test_a_caller_who_is_not_known_is_nobody_to_count_for(desk: Desk) -> None:
    tally = desk.tally(caller="")
    tally.failure = BadRequest("no")
    tally.close("refused")
    assert not desk.meter.used
    assert len(desk.records) == 1


async def test_a_caller_who_left_is_no_failure_of_the_upstream(desk: Desk) -> None:
    tally = desk.tally()
    spoke(tally, "east", "one")
    tally.usage = Usage(10, 3, measured=False)
    tally.close("hung_up")
    assert desk.meter.of("key", "ann", "hung_up", "estimated_completion", "completion") == (1, 3, 0)
    assert desk.meter.of("upstream", "east", "requests", "hung_up", "estimated_completion") == (1, 0, 3)


async def test_a_second_end_is_no_second_request(desk: Desk) -> None:
    tally = desk.tally()
    tally.close("done")
    tally.close("failed")
    assert [record["outcome"] for record in desk.records] == ["done"]
    assert desk.meter.of("key", "ann", "requests") == (1,)


# --- upstreams that may finish after their caller left


async def answer(*, length: float = 0.05) -> Events:
    yield Text("so ")
    await asyncio.sleep(length)
    yield Text("it is")
    yield Stop("stop")
    yield Usage(100, 50)


async def left(desk: Desk, events: Events) -> Tally:
    """A caller leaves after the first word; what was said until then is counted."""
    tally = desk.tally()
    speaker = spoke(tally, "east", "one")
    drained = draining(events, tally, speaker)
    await anext(drained)
    await drained.aclose()
    tally.usage = Usage(90, 1, measured=False)
    tally.close("hung_up")
    return tally


async def test_what_an_upstream_measured_after_its_caller_left_is_what_counts(desk: Desk) -> None:
    await left(desk, answer())
    assert not desk.records
    await asyncio.sleep(0.15)
    assert desk.records[0]["usage"]["source"] == "measured"
    assert desk.records[0]["ms"] < 50  # the caller's part of it
    assert desk.meter.of("key", "ann", "prompt", "completion", "estimated_completion", "cost") == (100, 50, 0, 600)


async def test_a_gateway_that_stops_enters_what_is_known_by_then(desk: Desk) -> None:
    await left(desk, answer(length=60))
    await end_drains()
    assert desk.records[0]["usage"] == {
        "prompt": 90, "completion": 1, "cached": 0, "reasoning": 0, "source": "estimated",
    }  # fmt: skip
    assert desk.meter.of("key", "ann", "requests", "estimated_completion") == (1, 1)


async def test_what_who_lost_a_race_used_is_with_its_upstream(desk: Desk) -> None:
    tally = desk.tally()
    loser, winner = tried(tally, "east", "one"), spoke(tally, "west", "two")
    loser.usage, tally.usage = Usage(100, 5), Usage(100, 50)
    tally.close("done")
    assert desk.meter.of("upstream", "east", "requests", "completion", "cost") == (1, 5, 150)
    assert desk.meter.of("upstream", "west", "requests", "completion", "cost") == (1, 50, 0)
    assert desk.meter.of("key", "ann", "completion") == (50,)
    assert winner.usage is None


# --- Prometheus


async def test_figures_have_the_names_of_the_conventions(desk: Desk) -> None:
    tally = desk.tally()
    tried(tally, "east", "one", Throttled("slow"))
    spoke(tally, "east", "one")
    tally.usage, tally.withheld = Usage(1000, 201, cached=400, reasoning=50), True
    tally.close("done")
    tally.ended = None
    found = desk.samples()
    place = "gcp.gemini", "east", "m"
    assert found["gen_ai_server_request_duration_seconds_count", "m"] == 1
    assert found["gen_ai_server_time_to_first_token_seconds_sum", "m"] == pytest.approx(1.2)
    assert found["gen_ai_server_time_per_output_token_seconds_count", "m"] == 1
    assert found["gen_ai_client_operation_duration_seconds_count", *place, "throttled"] == 1
    assert found["gen_ai_client_operation_duration_seconds_sum", *place] == pytest.approx(0.5)
    assert found["gen_ai_client_token_usage_sum", *place, "input", "measured"] == 1000
    assert found["gen_ai_client_token_usage_sum", *place, "output", "measured"] == 201
    assert found["parley_cached_tokens_total", *place] == 400
    assert found["parley_reasoning_tokens_total", *place] == 50
    assert found["parley_cost_total", *place, "EUR"] == pytest.approx(0.00281)
    assert found["parley_retries_withheld_total",] == 1
    assert found["parley_requests_in_progress",] == 0
    assert found["parley_leases",] == 3
    assert found["parley_redis_up",] == 0
    assert found["parley_usage_untold",] == 3
    assert found["parley_info", "1.2"] == 1


async def test_models_that_never_answered_have_no_name(desk: Desk) -> None:
    for number in range(500):
        tally = desk.tally(model=f"made-up-{number}")
        tally.failure = BadRequest("no such model")
        tried(tally, "east", "one", tally.failure).model = tally.model
        tally.close("refused")
    tally = desk.tally(model="real")
    spoke(tally, "east", "one").model = "real-at-east"
    tally.close("done")
    found = desk.samples()
    assert found["gen_ai_server_request_duration_seconds_count", "other", "refused"] == 500
    assert found["gen_ai_server_request_duration_seconds_count", "real"] == 1
    assert found["gen_ai_client_operation_duration_seconds_count", "gcp.gemini", "east", "real-at-east"] == 1
    assert len(desk.figures.page().splitlines()) < 200


async def test_no_key_and_no_credential_is_a_label(desk: Desk) -> None:
    tally = desk.tally(caller="caller-name")
    spoke(tally, "east", "credential-alias")
    tally.close("done")
    page = desk.figures.page()
    assert b"caller-name" not in page
    assert b"credential-alias" not in page


# --- the page


async def hello(prompt: object, tally: Tally) -> Events:
    tally.speaks(tally.attempt("one", "plain"))
    yield Text("hi")
    yield Stop("stop")
    tally.usage = Usage(1, 2)
    yield tally.usage


def test_the_page_is_for_the_inside() -> None:
    with Front(hello, key="sk-parley-1") as front:
        asked = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
        httpx.post(f"{front.url}/v1/chat/completions", json=asked, headers={"authorization": "Bearer sk-parley-1"})
        page = httpx.get(f"{front.url}/metrics")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat"' in page.text
        through_a_proxy = httpx.get(f"{front.url}/metrics", headers={"x-forwarded-for": "203.0.113.9"})
        assert through_a_proxy.status_code == 404
        assert through_a_proxy.json()["error"]["code"] == "unknown_url"
        assert "/metrics" not in httpx.get(f"{front.url}/openapi.json").text
        # Of looks at it there is no line, but of the one that was refused.
        assert [record.get("path", "") for record in front.records(3)] == ["", "/metrics", "/openapi.json"]
