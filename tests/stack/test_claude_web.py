"""claude.ai through the real front: accounts in turn, one answer at a time each, and no conversation left behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from parley.state import keys
from tests.stack.rests import forget_rests
from tests.stack.running import KEY, Stack
from tests.upstreams.running import Emulator

KEYS = [f"sk-ant-sid01-{name}" for name in ("one", "two", "three")]
MODEL = "claude-sonnet-4-5-20250929"
DOOMED = f"{keys.prefix('claude-web')}doomed"
LONG = "!say:" + " ".join(f"word{n}" for n in range(60))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Emulator, Stack]]:
    with Emulator("claude_web") as emulator:
        settings = {
            "CLAUDE_WEB_COOKIE": KEYS[0],
            "CLAUDE_WEB_CREDENTIALS": json.dumps([{"cookie": f"lang=en; sessionKey={KEYS[1]}", "alias": "b"}, KEYS[2]]),
            "CLAUDE_WEB_BASE_URL": emulator.url,
            "LEASE_SECONDS": "2",
            "ATTEMPTS": "3",
        }
        with Stack(settings, gateways=2) as stack:
            yield emulator, stack


@pytest.fixture
def site(running: tuple[Emulator, Stack], stack: Stack) -> Emulator:
    emulator = running[0]
    delete_now(stack)
    emulator.until(nothing_left, 5)
    emulator.reset()
    with stack.store() as store:
        forget_rests(store, "claude-web")
    return emulator


@pytest.fixture
def stack(running: tuple[Emulator, Stack]) -> Stack:
    return running[1]


def delete_now(stack: Stack) -> None:
    """What could not be deleted comes up again after half a minute; here that is now."""
    with stack.store() as store:
        if waiting := store.zrange(DOOMED, 0, -1):
            store.zadd(DOOMED, dict.fromkeys(waiting, 0), xx=True)


def nothing_left(stats: dict[str, Any]) -> bool:
    return not any(account["live"] for account in stats["conversations"].values())


def made(stats: dict[str, Any]) -> int:
    return sum(account["created"] for account in stats["conversations"].values())


def ask(stack: Stack, text: str) -> str:
    answer = stack.client().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def test_accounts_take_turns_and_each_answers_one_at_a_time(stack: Stack, site: Emulator) -> None:
    site.set(most_streams=1, piece_delay=0.02)  # a second answer at once would be a 429
    with ThreadPoolExecutor(9) as asking:
        told = list(asking.map(lambda n: ask(stack, f"!say:answer number {n}"), range(9)))
    assert told == [f"answer number {n}" for n in range(9)]
    stats = site.until(nothing_left)
    assert "status:429" not in stats["counts"], "an account was asked twice at once"
    assert made(stats) == 9 and stats["conversations"].keys() == {"one", "two", "three"}
    assert stats["counts"]["delete"] == 9, "each is deleted once"


def test_an_expired_account_is_not_asked_again_and_another_one_answers(stack: Stack, site: Emulator) -> None:
    site.set(expired=KEYS[:1])
    assert [ask(stack, "hello") for _ in range(6)] == ["hello"] * 6
    stats = site.until(nothing_left)
    assert stats["again"] == 0
    assert sum(entry["account"] == "one" for entry in stats["log"]) == 1


def test_all_accounts_expired_is_the_operators_matter_and_a_challenge_is_something_else(
    stack: Stack, site: Emulator
) -> None:
    site.set(expired=KEYS)
    with pytest.raises(openai.APIStatusError) as caught:
        ask(stack, "hello")
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_authentication_error")
    with stack.store() as store:
        forget_rests(store, "claude-web")
    site.set(expired=[], refuse_agents=["Mozilla"])
    with pytest.raises(openai.APIStatusError) as caught:
        ask(stack, "hello")
    assert (caught.value.status_code, caught.value.code) == (503, "upstream_challenge")


def test_a_usage_limit_says_when_to_come_back(stack: Stack, site: Emulator) -> None:
    for name, left in (("one", 1000), ("two", 3000), ("three", 900_000)):
        site.fault("quota", None, route="completion", credential=name, resets_in=left)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(stack, "hello")
    assert 990 <= int(caught.value.response.headers["retry-after"]) <= 1000, "the nearest of the three"
    assert site.stats()["counts"]["chat"] == 3
    with pytest.raises(openai.RateLimitError):
        ask(stack, "hello")
    assert site.stats()["counts"]["chat"] == 3, "it was asked again while all rest"


@pytest.mark.parametrize("fault", ["error_event", "garbage_frame", "blank"])
def test_after_a_failure_the_conversation_is_deleted(stack: Stack, site: Emulator, fault: str) -> None:
    site.fault(fault, None)
    with pytest.raises(openai.APIStatusError):
        ask(stack, LONG)
    stats = site.until(nothing_left)
    assert made(stats) >= 1


def test_after_a_hang_up_the_answer_is_stopped_and_the_conversation_deleted(stack: Stack, site: Emulator) -> None:
    site.set(piece_delay=0.2, finish_after=60)
    left(stack)
    stats = site.until(lambda told: told["hangups"] and nothing_left(told))
    assert made(stats) == stats["counts"]["stop"] == 1


def test_a_conversation_that_cannot_be_deleted_now_is_deleted_later(stack: Stack, site: Emulator) -> None:
    site.fault("server_error", 1, route="delete")
    assert ask(stack, "hello") == "hello"
    site.until(lambda told: told["counts"].get("fault:server_error"))
    delete_now(stack)
    site.until(nothing_left, 5)


def test_what_the_site_says_back_of_a_key_is_said_on_to_nobody(stack: Stack, site: Emulator) -> None:
    told = json.dumps({"type": "error", "error": {"type": "api_error", "message": f"no {' '.join(KEYS)}"}})
    site.fault("raw", 3, route="completion", status=500, text=told)
    site.fault("error_event", 3, route="completion", type=KEYS[0], message=f"{KEYS[0]} {KEYS[1]} {KEYS[2]}")
    site.fault("raw", 1, route="delete", status=500, text=told)
    heard = [stack.ask(LONG, model=MODEL, stream=stream) for stream in (False, True)]
    site.until(lambda stats: stats["counts"].get("fault:raw") == 4)
    assert [answer.status_code for answer in heard] == [502, 200] and "error" in heard[1].text
    logs = [file.read_text() for file in (stack.folder / "state" / "logs").glob("*.log")]
    assert any("close claude-web: " in log for log in logs), "the keeper's complaint is among them"
    for text in (*(answer.text for answer in heard), *logs):
        assert not any(key in text for key in KEYS)


def test_a_killed_gateway_leaves_no_conversation_behind(stack: Stack, site: Emulator) -> None:
    site.set(piece_delay=0.5)
    asking = threading.Thread(target=left, args=(stack, 8.0))
    asking.start()
    site.until(lambda told: told["counts"].get("chat"))
    for gateway in stack.gateways:
        stack.kill(gateway)
    stats = site.until(nothing_left, 10)
    assert made(stats) >= 1
    asking.join()


def left(stack: Stack, after: float = 0.0) -> None:
    """Read the beginning of a streamed answer, and go."""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": LONG}]}
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        with httpx.stream("POST", f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=20) as stream:
            over = time.monotonic() + after
            for chunk in stream.iter_bytes():
                if b"word" in chunk and time.monotonic() >= over:
                    return
    except httpx.HTTPError:
        pass
