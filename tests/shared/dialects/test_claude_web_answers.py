"""Every recorded stream of claude.ai comes to the right events, however its bytes are cut; and what is kept of one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley import errors
from parley.chat.answer import fold
from parley.chat.events import Event, FinishReason, Stop, Text, Thought
from parley.dialects.claude_web import Decoder
from parley.providers.claude_web.reading import Reading

SCENES = Path(__file__).parents[2] / "transcripts" / "claude-web"
UNFINISHED: Final = "unfinished"
"""The service did not say that this was all: the rest is looked for, and else it is a failure."""

HELLO = [Text("Hel"), Text("lo"), Stop("stop")]
Told = list[Event | type[errors.Failure] | str]


def ended(reason: FinishReason) -> Told:
    return [Text("Hello"), Stop(reason)]


EXPECTED: dict[str, Told] = {
    "chinese": [Text("你好，"), Text("世界 🌍\u2028"), Stop("stop")],
    "thinking": [Thought("hm"), Thought("m"), Text("Hello"), Stop("stop")],
    "thinking-only": [Thought("hmm"), Stop("stop")],
    "leading-blanks": [Text("\n Hello"), Stop("stop")],
    "max-tokens": ended("length"),
    "refusal": [Stop("content_filter")],
    **dict.fromkeys(("limit-behind-the-end", "near-the-limit", "a-tool-of-its-own"), ended("stop")),
    **dict.fromkeys(
        (
            "hello",
            "text-in-the-block",
            "citations",
            "events-of-tomorrow",
            "old-form",
            "old-form-beside-blocks",
            "crlf",
            "lone-cr",
            "comments",
            "multi-line-data",
            "no-final-blank-line",
            "bom",
            "no-event-lines",
        ),
        HELLO,
    ),
    **{key: [*HELLO[:2], UNFINISHED] for key in ("no-message-stop", "no-stop-reason")},
    **{key: [Text("Hel"), UNFINISHED] for key in ("broken-off", "broken-off-within-an-event")},
    **{key: [UNFINISHED] for key in ("only-pings", "nothing", "ready-and-no-more")},
    **{key: [errors.UpstreamEmpty] for key in ("empty", "blanks")},
    "overloaded": [Text("Hel"), errors.UpstreamOverloaded],
    "overloaded-at-once": [errors.UpstreamOverloaded],
    "limit-reached-at-once": [errors.QuotaExhausted],
    "too-fast": [errors.Throttled],
    "signed-out": [errors.CredentialRejected],
    "error-of-tomorrow": [errors.UpstreamBroken],
    "user-canceled": [Text("Hel"), errors.UpstreamBroken],
    "stopped-by-an-error": [Text("Hel"), errors.UpstreamBroken],
    "reason-of-tomorrow": [Text("Hello"), errors.UpstreamMalformed],
    **{
        key: [Text("Hel"), errors.UpstreamMalformed]
        for key in ("not-json", "not-an-object", "not-utf8", "wrong-shapes")
    },
    "text-that-is-no-text": [errors.UpstreamMalformed],
}


def body_of(scene: str) -> bytes:
    return (SCENES / f"{scene}.sse").read_bytes()


def read(*chunks: bytes) -> Told:
    """Everything that comes of these bytes, to the end or to a failure."""
    reading = Reading()
    told: Told = []
    try:
        for chunk in chunks:
            for event in reading.feed(chunk):
                told.append(event)
        for event in reading.finish():
            told.append(event)
    except errors.Failure as failed:
        return [*told, type(failed)]
    return told if reading.decoder.done else [*told, UNFINISHED]


def test_every_scene_is_expected_to_come_to_something():
    assert {path.stem for path in SCENES.glob("*.sse")} == EXPECTED.keys()


@pytest.mark.parametrize("scene", EXPECTED)
def test_a_recorded_answer_comes_to(scene: str):
    assert read(body_of(scene)) == EXPECTED[scene]


@pytest.mark.parametrize("scene", EXPECTED)
def test_two_pieces_of_it_come_to_the_same_wherever_it_is_cut(scene: str):
    body = body_of(scene)
    for cut in range(len(body)):
        assert read(body[:cut], body[cut:]) == EXPECTED[scene], cut


@pytest.mark.parametrize("scene", EXPECTED)
@settings(max_examples=20)
@given(data=st.data())
def test_any_pieces_of_it_come_to_the_same(scene: str, data: st.DataObject):
    body = body_of(scene)
    cuts = data.draw(st.sets(st.integers(0, len(body))))
    assert read(*(body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)]))) == EXPECTED[scene]


def test_a_stream_cut_off_at_any_byte_has_no_end_that_the_service_did_not_say():
    body = body_of("hello")
    end = body.index(b'"message_stop"}') + len(b'"message_stop"}')
    for cut in range(len(body)):
        told = read(body[:cut])
        assert (told[-1] == Stop("stop")) == (cut >= end), cut
        assert told[-1] == UNFINISHED or cut >= end


# --- what is kept ---------------------------------------------------------------------------------------------------


def kept(*answers: dict[str, Any]) -> dict[str, Any]:
    question = {"uuid": "H1", "sender": "human", "text": "Hi", "stop_reason": None}
    return {"uuid": "C1", "chat_messages": [question, *answers], "current_leaf_message_uuid": "A1"}


def answer(text: str = "Hello", **facts: Any) -> dict[str, Any]:
    content = [
        {"type": "thinking", "thinking": "hmm"},
        {"type": "text", "text": text[:2]},
        {"type": "text", "text": text[2:]},
    ]
    return {"uuid": "A1", "sender": "assistant", "text": "", "content": content, "stop_reason": "end_turn", **facts}


def begun() -> Decoder:
    reading = Reading()
    list(reading.feed(body_of("broken-off")))
    return reading.decoder


@pytest.mark.parametrize(
    "stored", [answer(), {"uuid": "A1", "sender": "assistant", "text": "Hello", "stop_reason": "end_turn"}]
)
def test_the_rest_of_an_answer_is_read_where_it_is_kept(stored: dict[str, Any]):
    decoder = begun()
    assert decoder.recover(kept(stored), "A1") == [Text("lo"), Stop("stop")]
    assert decoder.done


def test_all_of_an_answer_is_read_where_nothing_of_it_came():
    events = Decoder().recover(kept(answer()), "A1")
    assert events and "".join(fold(events).choices[0].text) == "Hello"


def test_an_answer_of_which_only_the_end_was_missing_is_ended():
    reading = Reading()
    list(reading.feed(body_of("no-message-stop")))
    assert reading.decoder.recover(kept(answer()), "A1") == [Stop("stop")]


@pytest.mark.parametrize(
    "conversation",
    [
        kept(),
        kept(answer(uuid="A2")),
        kept(answer("Howdy")),
        kept(answer(stop_reason=None)),
        {},
        {"chat_messages": None},
        {"chat_messages": ["A1"]},
        [],
        None,
    ],
)
def test_what_is_not_kept_whole_or_is_something_else_is_no_answer(conversation: Any):
    decoder = begun()
    assert decoder.recover(conversation, "A1") is None
    assert not decoder.done


def test_a_kept_answer_that_was_given_up_is_a_failure():
    with pytest.raises(errors.UpstreamBroken):
        begun().recover(kept(answer(stop_reason="user_canceled")), "A1")


def test_a_kept_answer_with_nothing_in_it_is_empty():
    with pytest.raises(errors.UpstreamEmpty):
        Decoder().recover(kept(answer("")), "A1")
