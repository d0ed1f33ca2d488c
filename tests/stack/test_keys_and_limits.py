"""Keys and limits through nginx, four gateways and a real Redis: exact, shared, and told as OpenAI tells them.

The last test waits for the end of a minute that the first begins, so other files' tests come between (`conftest.py`
of all tests), and the stack lives as long as they do.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.stack.running import KEY, Stack, until

ALICE, BOB, CAROL, DAVE, ERIN, FAR, OLD = (f"key-of-{name}-for-these-tests" for name in
    ("alice", "bob", "carol", "dave", "erin", "far", "old"))  # fmt: skip

FILE = f"""
keys:
  - {{name: alice, key: {ALICE}, limits: {{requests_per_minute: 60}}}}
  - name: bob
    hash: {hashlib.sha256(BOB.encode()).hexdigest()}
    limits: {{budgets: [{{unit: tokens, amount: 1000, period: total}}]}}
  - {{name: carol, key: {CAROL}, models: [nothing-of-ours]}}
  - {{name: dave, key: {DAVE}, limits: {{tokens_per_minute: 500, requests_per_day: 1000}}}}
  - {{name: erin, key: {ERIN}, limits: {{concurrency: 2}}, contents: true}}
  - {{name: far, key: {FAR}, networks: [203.0.113.0/24]}}
  - {{name: old, key: {OLD}, expires: 2020-01-01T00:00:00Z}}
upstreams:
  - name: loud
    provider: echo
    models: [loud]
    credentials: [{{value: the-first-of-loud, alias: one}}, {{value: the-second-of-loud, alias: two}},
                  {{value: the-third-of-loud, alias: three, limits: {{requests_per_day: 1}}}}]
    limits: {{requests_per_minute: 4}}
routes:
  - {{model: small, targets: [echo/echo]}}
limits:
  - {{model: small, requests_per_minute: 5}}
"""


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Behind a trusted proxy, so that a test can come from any address."""
    # What is exact here is so while Redis answers; that it does not is another file's matter (without_redis).
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "REDIS_PATIENCE_SECONDS": "2"}
    with Stack(settings, files={"parley.yaml": FILE}) as stack:
        yield stack


def ask(stack: Stack, key: str, text: str = "hello", **more: Any) -> httpx.Response:
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(
        f"{stack.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=60
    )


def crowd(stack: Stack, key: str, count: int, at_once: int = 32, **more: Any) -> list[httpx.Response]:
    with httpx.Client(
        base_url=stack.url, headers={"authorization": f"Bearer {key}"}, timeout=60,
        limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
    ) as client, ThreadPoolExecutor(at_once) as pool:  # fmt: skip
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}], **more}
        return list(pool.map(lambda _: client.post("/v1/chat/completions", json=body), range(count)))


def recorded(stack: Stack, answer: httpx.Response) -> dict[str, Any]:
    """The log's record of a request, which comes a moment after its answer."""
    request_id = answer.headers["x-request-id"]
    until(lambda: bool(stack.records(request_id)), why="the record never came")
    return stack.records(request_id)[0]


SERVED: list[float] = []
"""When alice's requests were admitted, roughly; the last test looks at what follows a minute later."""


def test_a_thousand_requests_at_a_limit_of_sixty_are_sixty(stack: Stack) -> None:
    SERVED.append(time.monotonic())
    answers = crowd(stack, ALICE, 1000)
    SERVED.append(time.monotonic())
    assert sum(answer.status_code == 200 for answer in answers) == 60
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 940
    one = refused[-1]
    assert one.json()["error"]["code"] == "rate_limit_exceeded" and "alice" in one.json()["error"]["message"]
    assert 0 < int(one.headers["retry-after"]) <= 60
    assert one.headers["x-ratelimit-limit-requests"] == "60" and one.headers["x-ratelimit-remaining-requests"] == "0"
    good = next(answer for answer in answers if answer.status_code == 200)
    assert good.headers["x-ratelimit-limit-requests"] == "60" and good.headers["x-ratelimit-reset-requests"]


def test_parallel_requests_cannot_overspend_a_budget(stack: Stack) -> None:
    """200 at once on a budget for 10: as many as could all take their worst are served, and what is left is settled."""
    answers = crowd(stack, BOB, 200, at_once=200, max_tokens=90, metadata={"echo_first_ms": "5000"})
    fine = [answer for answer in answers if answer.status_code == 200]
    assert len(fine) == 10
    refused = next(answer for answer in answers if answer.status_code == 429).json()["error"]
    assert refused["code"] == "insufficient_quota" and "tokens total" in refused["message"]
    time.sleep(0.2)
    again = ask(stack, BOB, max_tokens=800)
    assert again.status_code == 200, "what they did not take came back"


def test_tokens_are_reserved_and_settled(stack: Stack) -> None:
    first = ask(stack, DAVE, max_tokens=300)
    assert first.status_code == 200 and first.headers["x-ratelimit-limit-tokens"] == "500"
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 200
    time.sleep(0.2)
    second = ask(stack, DAVE, max_tokens=300)
    assert second.status_code == 200, "what the first did not use came back"
    assert int(second.headers["x-ratelimit-remaining-tokens"]) > 100
    large = ask(stack, DAVE, max_tokens=600)
    assert large.status_code == 429 and large.json()["error"]["type"] == "tokens"
    assert "retry-after" in large.headers


def test_a_key_reaches_its_models_alone(stack: Stack) -> None:
    answer = ask(stack, CAROL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    listed = httpx.get(f"{stack.url}/v1/models", headers={"authorization": f"Bearer {CAROL}"}).json()
    assert listed["data"] == []


def test_answers_at_a_time(stack: Stack) -> None:
    answers = crowd(stack, ERIN, 6, at_once=6, metadata={"echo_first_ms": "3000"})
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]
    time.sleep(0.2)
    assert ask(stack, ERIN).status_code == 200


def test_a_model_has_a_limit_for_all_keys_together(stack: Stack) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(stack, (KEY, DAVE)[i % 2], model="small", max_tokens=5), range(12)))
    assert sum(answer.status_code == 200 for answer in answers) == 5
    assert ask(stack, KEY).status_code == 200, "the same upstream by its own name is another model"


def test_keys_that_do_not_count_here_or_any_more(stack: Stack) -> None:
    far, old = ask(stack, FAR), ask(stack, OLD)
    assert (far.status_code, far.json()["error"]["code"]) == (403, "address_not_allowed")
    assert (old.status_code, old.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "expired" in old.json()["error"]["message"]


def test_contents_are_logged_for_the_key_that_is_marked_and_no_other(stack: Stack) -> None:
    marked, other = ask(stack, ERIN, "a word to be logged"), ask(stack, KEY, "a word to be kept")
    found = recorded(stack, marked)
    assert found["contents"]["messages"][0]["content"] == "a word to be logged"
    assert found["contents"]["answer"][0]["text"] == "a word to be logged"
    assert "a word to be kept" not in str(recorded(stack, other))


def test_each_credential_has_limits_of_its_own(stack: Stack) -> None:
    """4 + 4 + 1 a minute in turn, over four gateways; who finds none is told when there will be one."""
    answers = crowd(stack, KEY, 30, model="loud")
    assert sum(answer.status_code == 200 for answer in answers) == 9
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    served = [answer for answer in answers if answer.status_code == 200]
    used = [recorded(stack, answer)["attempts"][-1]["credential"] for answer in served]
    assert sorted(used) == ["one"] * 4 + ["three"] + ["two"] * 4


def test_guesses_are_counted_by_address_over_all_replicas(stack: Stack) -> None:
    """Ten wrong keys a minute from one address; nobody else is affected."""
    with httpx.Client(base_url=stack.url, timeout=30) as client:

        def models(key: str, address: str) -> httpx.Response:
            headers = {"authorization": f"Bearer {key}", "x-forwarded-for": address}
            return client.get("/v1/models", headers=headers)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: models(f"guess-{i}", "203.0.113.7"), range(40)))
        assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 30
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert models(KEY, "203.0.113.7").status_code == 200, "a valid key from that address still works"
        assert models("a-guess", "203.0.113.8").status_code == 401, "others are not affected"
        whole_network = [models(f"guess-{i}", f"2001:db8::{i:x}").status_code for i in range(12)]
        assert whole_network == [401] * 10 + [429] * 2, "a client of IPv6 has a whole network"
        chat = client.post("/v1/chat/completions", json={"messages": []},
                           headers={"authorization": "Bearer wrong", "x-forwarded-for": "203.0.113.7"})  # fmt: skip
        assert chat.status_code == 429
        nameless = client.get("/v1/models", headers={"x-forwarded-for": "203.0.113.7"})
        assert nameless.status_code == 401, "no key at all is no guess"


@pytest.mark.late
def test_a_minute_later_there_is_room_again_and_not_before(stack: Stack) -> None:
    """Across the edge of the minute: asked all the time, there is nothing until 60 s after the first, then sixty."""
    began, full = SERVED
    if time.monotonic() > began + 58:  # so slow a machine that the minute is over: another one begins
        time.sleep(max(full + 61 - time.monotonic(), 0))
        began = time.monotonic()
        assert sum(answer.status_code == 200 for answer in crowd(stack, ALICE, 100)) == 60
        full = time.monotonic()
    time.sleep(max(began + 58 - time.monotonic(), 0))
    served, first = 0, 0.0
    while time.monotonic() < full + 62 or served < 60:
        assert time.monotonic() < full + 75, served
        more = sum(answer.status_code == 200 for answer in crowd(stack, ALICE, 8, at_once=8))
        first = first or (time.monotonic() if more else 0)
        served += more
    assert first > began + 59.5
    assert served == 60
