"""Guessing keys: ten wrong ones a minute from one address, over all replicas; nobody else is affected."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.stack.running import KEY, Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Behind a trusted proxy, so that a test can come from any address."""
    with Stack({"TRUSTED_PROXIES": "127.0.0.1"}) as stack:
        yield stack


def test_guesses_are_counted_by_address_over_all_replicas(stack: Stack) -> None:
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
