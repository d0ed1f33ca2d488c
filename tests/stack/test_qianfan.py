"""Baidu Qianfan through the real front: a token is bought once for the whole fleet, however many ask for it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack.running import Stack
from tests.upstreams.running import Emulator

CREDENTIALS = ["demoapikey1|demosecretkey1", {"ak": "demoapikey2", "sk": "demosecretkey2", "alias": "second"}]
MODEL = "qianfan-legacy/ERNIE-4.0-8K"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Emulator, Stack]]:
    with Emulator("qianfan") as emulator:
        settings = {"QIANFAN_CREDENTIALS": json.dumps(CREDENTIALS), "QIANFAN_LEGACY_BASE_URL": emulator.url}
        with Stack(settings, gateways=2) as stack:
            yield emulator, stack


def test_each_token_is_bought_once_and_once_more_when_it_is_refused(running: tuple[Emulator, Stack]) -> None:
    emulator, stack = running
    asked = [f"!say:answer number {n}" for n in range(24)]

    def ask(text: str) -> str:
        answer = stack.ask(text, model=MODEL)
        return str(answer.json()["choices"][0]["message"]["content"]) if answer.status_code == 200 else answer.text

    first = stack.ask("!say:first of all", model=MODEL)
    assert first.headers["x-parley-attempts"] == "1", "its token was bought before it was asked"

    def everybody() -> dict[str, Any]:
        with ThreadPoolExecutor(12) as asking:
            assert list(asking.map(ask, asked)) == [text.removeprefix("!say:") for text in asked]
        return emulator.stats()

    bought = 0
    # The first answers may all share one credential's token, while the other's is still being bought.
    for _ in range(5):
        emulator.reset()
        shared = everybody()
        if not (tokens := shared["counts"].get("token", 0)):
            break
        bought += tokens
    assert "token" not in shared["counts"]
    assert bought <= 4, "one for each, and perhaps one more that a probe bought"
    assert [shared["credentials"][f"demoapikey{n}"]["requests"] for n in (1, 2)] == [12, 12]
    emulator.reset()
    emulator.set(era=1)  # every token that was sold is of no use any more
    everybody()
    # Answers may all go on with the first new token; the second is bought when it is wanted, or by the keeper.
    anew = emulator.until(lambda stats: stats["counts"].get("token", 0) >= 2, 10)
    assert anew["counts"]["token"] == 2
    paths = [entry.get("path", "") for entry in emulator.stats()["log"]]
    token = next(path for path in reversed(paths) if "access_token=" in path).partition("access_token=")[2]
    for secret in (token, "demosecretkey1", "demosecretkey2"):
        assert secret and secret not in stack.logs()
