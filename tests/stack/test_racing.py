"""A route that asks two upstreams at once, through the real front: one is heard, and the other is hung up on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from tests.stack.listening import listen
from tests.stack.rests import forget_rests
from tests.stack.running import Stack, until
from tests.upstreams.running import Emulator

LONG = "!say:" + " ".join(f"word{n}" for n in range(40))


class Course:
    def __init__(self, stack: Stack, east: Emulator, west: Emulator):
        self.stack, self.east, self.west = stack, east, west

    def record(self, request_id: str) -> dict[str, Any]:
        until(lambda: bool(self.stack.records(request_id)))
        return self.stack.records(request_id)[0]


@pytest.fixture(scope="module")
def running() -> Iterator[Course]:
    with ExitStack() as things:
        east, west = (things.enter_context(Emulator("openai")) for _ in range(2))
        upstreams = [
            {"name": name, "provider": "openai", "base_url": f"{at.url}/v1", "credentials": ["sk-upstream-1"]}
            for name, at in (("east", east), ("west", west))
        ]
        route = {"model": "either", "targets": ["east/demo-mini", "west/demo-mini"], "strategy": "parallel"}
        file = {"parley.yaml": json.dumps({"upstreams": upstreams, "routes": [route]})}
        yield Course(things.enter_context(Stack({"ATTEMPTS": "1"}, gateways=2, files=file)), east, west)


@pytest.fixture
def course(running: Course) -> Course:
    for at in (running.east, running.west):
        at.reset()
    with running.stack.store() as store:
        for name in ("east", "west"):
            forget_rests(store, name)
    return running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_quicker_one_is_heard_and_the_slower_one_hung_up_on(course: Course, stream: bool) -> None:
    course.east.set(first_delay=5.0)
    began = time.monotonic()
    heard = listen(course.stack, LONG, model="either", stream=stream)
    assert heard.text == LONG.removeprefix("!say:") and heard.finish == "stop"
    assert time.monotonic() - began < 3
    assert heard.headers["x-parley-upstream"] == "west"
    assert heard.headers["x-parley-attempts"] == "2"
    course.east.until(lambda stats: stats["counts"].get("hangup", 0) == 1)
    record = course.record(heard.headers["x-request-id"])
    assert [(a["upstream"], a.get("lost", False)) for a in record["attempts"]] == [("east", True), ("west", False)]
    assert "failure" not in record["attempts"][0]


@pytest.mark.parametrize("fault", ["invalid_api_key", "rate_limit", "hang", "empty_body", "not_json"])
def test_a_fault_of_one_before_its_first_token_is_not_the_callers(course: Course, fault: str) -> None:
    course.east.fault(fault, times=None)
    heard = listen(course.stack, LONG, model="either", stream=True)
    assert heard.text == LONG.removeprefix("!say:") and heard.headers["x-parley-upstream"] == "west"


def test_when_both_fail_the_caller_is_told_once_and_truly(course: Course) -> None:
    course.east.fault("rate_limit", times=None, retry_after=9)
    course.west.fault("rate_limit", times=None, retry_after=9)
    with pytest.raises(openai.RateLimitError) as refused:
        course.stack.client(max_retries=0).chat.completions.create(
            model="either", messages=[{"role": "user", "content": "hi"}]
        )
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 9
