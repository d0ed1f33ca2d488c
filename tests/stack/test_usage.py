"""What was used, through nginx and four gateways: counted once, priced, told to Prometheus, not lost with a gateway."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from parley.sealed import Secret
from parley.state.line import Line
from parley.state.meter import Subject
from parley.state.readings import Amounts, Readings, Span
from tests.stack.running import KEY, Part, Stack, until

Ask = Callable[..., httpx.Response]

FILE = """
upstreams:
  - {name: gone, provider: openai, base_url: "http://127.0.0.1:%d/v1", models: [m], timeouts: {connect: 1}}
routes:
  - {model: sure, targets: [gone/m, echo/echo]}
prices:
  currency: EUR
  models: [{model: "echo/*", prompt: 1000, completion: 3000}]
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with socket.socket() as nobody:  # bound and not listening: whoever connects is refused
        nobody.bind(("127.0.0.1", 0))
        with Stack(files={"parley.yaml": FILE % nobody.getsockname()[1]}) as stack:
            yield stack


@pytest.fixture(scope="module")
def ask(stack: Stack) -> Iterator[Ask]:
    """One request over connections that are kept."""
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60) as client:

        def ask(text: str, **more: Any) -> httpx.Response:
            body = {"model": "echo", "messages": [{"role": "user", "content": text}], **more}
            return client.post("/v1/chat/completions", json=body)

        yield ask


def used(stack: Stack, subject: Subject) -> dict[str, Amounts]:
    """What every name used so far."""

    async def read() -> dict[str, Amounts]:
        line = Line(Secret(stack.redis_url), "test-reader", limit=2)
        await line.open()
        try:
            return await Readings(line).sums(subject, Span("day", 0, time.time() + 60))
        finally:
            await line.close()

    return asyncio.run(read())


def requests(stack: Stack) -> int:
    """Of the one key there is."""
    return (used(stack, "key").get("master") or Amounts()).requests


def figures(part: Part) -> dict[tuple[str, ...], float]:
    """By name and label values."""
    page = httpx.get(f"{part.url}/metrics").raise_for_status().text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def total(stack: Stack, *name: str) -> float:
    return sum(figures(gateway).get(name, 0) for gateway in stack.gateways)


def test_every_request_is_counted_once_for_its_key_model_upstream_and_credential(stack: Stack, ask: Ask) -> None:
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda i: ask("two words", stream=bool(i % 2)), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    words: dict[str, Any] = next(a for a in answers if not a.headers["content-type"].startswith("text/event")).json()
    prompt, completion = words["usage"]["prompt_tokens"], words["usage"]["completion_tokens"]
    cost = prompt * 1000 + completion * 3000
    until(lambda: requests(stack) >= 200, why="not all requests were counted")
    for subject, name in {"key": "master", "model": "echo", "upstream": "echo", "credential": "echo/open"}.items():
        amounts = used(stack, subject)[name]  # type: ignore[arg-type]
        told = amounts.requests, amounts.of("prompt"), amounts.of("completion"), amounts.cost
        assert told == (200, 200 * prompt, 200 * completion, 200 * cost), subject
        assert amounts.errors == {}
        assert (amounts.took.count, amounts.waited.count) == (200, 200)
    assert total(stack, "gen_ai_server_request_duration_seconds_count", "chat", "echo") == 200
    place = "chat", "echo", "echo", "echo"
    assert total(stack, "gen_ai_client_token_usage_sum", *place, "output", "measured") == 200 * completion
    assert total(stack, "parley_cost_total", *place, "EUR") == pytest.approx(200 * cost / 1e6)


def test_an_attempt_that_failed_counts_for_its_upstream_and_not_for_the_key(stack: Stack, ask: Ask) -> None:
    before = used(stack, "key")["master"]
    answer = ask("hello", model="sure")
    assert (answer.status_code, answer.headers["x-parley-upstream"]) == (200, "echo")
    until(lambda: stack.records(answer.headers["x-request-id"]), why="the record never came")  # type: ignore[arg-type, return-value]
    until(lambda: requests(stack) > before.requests, why="the request was not counted")
    key, upstreams, credentials = used(stack, "key")["master"], used(stack, "upstream"), used(stack, "credential")
    assert key.requests == before.requests + 1
    assert key.errors == {}
    assert upstreams["gone"].errors == {"unreachable": upstreams["gone"].requests}
    assert credentials["gone/open"].errors == upstreams["gone"].errors
    assert upstreams["gone"].tokens == 0
    [record] = stack.records(answer.headers["x-request-id"])
    assert record["route"] == "sure"
    assert record["currency"] == "EUR"
    assert record["cost"] == pytest.approx(record["usage"]["prompt"] / 1000 + record["usage"]["completion"] * 3 / 1000)
    assert "hello" not in str(record)


def test_metrics_are_for_the_inside(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/metrics").status_code == 404
    assert httpx.get(f"{stack.url}//metrics").status_code == 404
    for gateway in stack.gateways:
        assert figures(gateway)["parley_redis_up",] == 1
    keeper = figures(stack.keepers[0])
    assert keeper["parley_keeper_baton",] == 1
    assert keeper["parley_processes", "gateway"] == 4
    assert keeper["parley_credentials", "echo", "ok"] == 1
    assert keeper["parley_keeper_rounds_total", "renew", "echo", "done"] > 0


def test_a_killed_gateway_takes_no_count_along(stack: Stack, ask: Ask) -> None:
    """Whatever was answered a moment before is counted; what was under way was asked again, and may count twice."""
    before = requests(stack)
    answered: list[float] = []
    killed = 0.0

    def one(number: int) -> None:
        nonlocal killed
        if number == 150:
            killed = time.monotonic()
            stack.kill(stack.gateways[3])
        if ask(f"request {number}").status_code == 200:
            answered.append(time.monotonic())

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(one, range(300)))
    just_then = sum(killed - 0.1 < moment < killed + 0.1 for moment in answered)
    assert len(answered) >= 292
    until(lambda: requests(stack) - before >= len(answered) - just_then, why="answers were not counted")
    assert requests(stack) - before <= len(answered) + 8
