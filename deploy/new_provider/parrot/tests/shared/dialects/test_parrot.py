"""Parrot's answers come to the right events however they are cut, and its refusals to the right failures."""

from __future__ import annotations

import msgspec
import pytest
from parley.dialects.parrot import Decoder, encode, failure_of, voices

from parley.chat.events import Event, Stop, Text
from parley.chat.prompt import Prompt
from parley.errors import (
    BadRequest,
    Challenged,
    CredentialRejected,
    Failure,
    Throttled,
    UpstreamBroken,
    UpstreamEmpty,
    UpstreamMalformed,
    UpstreamTruncated,
)
from parley.transports.framing import Lines

ANSWER = '{"text": "Grüße, "}\n{"text": "世界 👩‍👩‍👧"}\n{"done": true}\n'.encode()


def events(*chunks: bytes) -> list[Event]:
    lines, decoder = Lines(), Decoder()
    said = [event for chunk in chunks for line in lines.feed(chunk) for event in decoder.feed(line)]
    return [*said, *decoder.finish()]


def test_any_cutting_gives_the_same_events() -> None:
    whole = events(ANSWER)
    assert whole == [Text("Grüße, "), Text("世界 👩‍👩‍👧"), Stop("stop")]
    assert all(events(ANSWER[:at], ANSWER[at:]) == whole for at in range(len(ANSWER)))
    assert events(*(bytes([byte]) for byte in ANSWER)) == whole


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", UpstreamEmpty),
        (b'{"done": true}\n', UpstreamEmpty),
        (b'{"text": "Pretty "}\n', UpstreamTruncated),
        (b'{"text": "Pretty "}\n{"text": "po', UpstreamTruncated),
        (b'{"text": "Pretty "}\nsquawk\n', UpstreamMalformed),
        (b'{"text": "\xff"}\n', UpstreamMalformed),
    ],
)
def test_what_is_no_answer(body: bytes, failure: type[Failure]) -> None:
    with pytest.raises(failure):
        events(body)


def test_turns_are_told_as_one_text() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who is pretty?"}]
    prompt = msgspec.convert({"model": "pretty", "messages": turns}, Prompt)
    told = "System: Be brief.\n\nUser: Who is pretty?\n\nAssistant:"
    assert msgspec.json.decode(encode(prompt)) == {"voice": "pretty", "text": told}


@pytest.mark.parametrize(
    ("status", "failure"),
    [(400, BadRequest), (401, CredentialRejected), (403, CredentialRejected), (429, Throttled), (500, UpstreamBroken)],
)
def test_refusals(status: int, failure: type[Failure]) -> None:
    assert isinstance(failure_of(status, {}, b"{}"), failure)


def test_when_to_come_back_and_who_wants_a_human() -> None:
    assert failure_of(429, {"retry-after": "7"}, b"").retry_after == 7
    page = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"
    assert isinstance(failure_of(403, {"content-type": "text/html"}, page), Challenged)


def test_voices() -> None:
    assert voices(b'{"voices": ["pretty"]}') == ["pretty"]
    with pytest.raises(UpstreamMalformed):
        voices(b"[]")
