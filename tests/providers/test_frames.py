"""Every frame boundary of an answer, through the real front: what an upstream did not finish is never a clean stop."""

from __future__ import annotations

import httpx
import pytest

from tests.providers.subjects import FAMILIES
from tests.providers.world import World
from tests.stack.listening import DONE
from tests.upstreams.running import Emulator

WORDS = "!say:one two three four five"


@pytest.mark.parametrize("family", [FAMILIES["openai"]], ids=["openai/"])
def test_no_finish_reason_is_said_that_the_upstream_did_not_say(world: World) -> None:
    """The stand-in's own stream, cut behind every frame, politely and not."""
    world.begin("openai")
    upstream = world.stand_in("openai")
    recorded = stream_of(upstream)
    frames = recorded.split(b"\n\n")[:-1]
    assert len(frames) > 6 and frames[-1] == b"data: [DONE]"
    finished = next(at for at, frame in enumerate(frames) if b'"finish_reason":"stop"' in frame)
    for many in range(len(frames) + 1):
        size = sum(len(frame) + 2 for frame in frames[:many])
        for fault in ("cut", "reset"):
            upstream.reset()
            upstream.fault(fault, times=None, bytes=size)
            for stream in (False, True):
                heard = world.listen("openai", WORDS, stream)
                place = f"{fault} behind {many} of {len(frames)} frames, stream={stream}"
                assert (heard.finish is None) or many > finished, f"invented: {place}"
                assert heard.error is not None or many > finished, f"half an answer passed for a whole: {place}"
                if heard.error is not None:
                    assert heard.code in ("upstream_truncated", "upstream_empty", "upstream_error"), place
                    assert not heard.wire.endswith(DONE), place
                else:
                    assert heard.answer == (WORDS.removeprefix("!say:"), [], "stop"), place


def stream_of(upstream: Emulator) -> bytes:
    """What the gateway gets to read: a stream whose length is the same every time."""
    ask = {
        "model": "demo-mini",
        "messages": [{"role": "user", "content": WORDS}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"authorization": "Bearer sk-upstream-1"}
    return httpx.post(f"{upstream.url}/v1/chat/completions", json=ask, headers=headers, timeout=10).content
