"""What gptomni.ai is asked and says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.events import Event, Stop, Text
from parley.chat.prompt import Assistant, Prompt, System, User
from parley.dialects.gptomni import Decoder, encode, refusal, signed_in

SCENES = Path(__file__).parents[2] / "transcripts" / "gptomni"
TYPES = {".txt": "text/plain; charset=utf-8", ".json": "application/json", ".html": "text/html; charset=utf-8"}

ANSWERS = {
    "hello.txt": "A monad is a monoid in the category of endofunctors.\n",
    "chinese.txt": "单子是自函子范畴上的幺半群。🌍\r\n\r\n  好的\n",
    "bom.txt": "Hello",
    "leading-blanks.txt": "\n\n    indented code\n",
    "tag.txt": "<think>hm</think> The answer is 42.",
    "just-a-word.txt": "Just a moment, I will explain: 42.",
    "json-answer.txt": '{"error": "is what you asked me to write"}',
    "json-answer.json": '{"city": "Paris"}',
}
FAILURES: dict[str, tuple[type[errors.Failure], str]] = {
    "empty.txt": (errors.UpstreamEmpty, ""),
    "blank.txt": (errors.UpstreamEmpty, ""),
    "cut-character.txt": (errors.UpstreamTruncated, "你"),
    "not-utf8.txt": (errors.UpstreamMalformed, "good so far "),
    "challenge.html": (errors.Challenged, ""),
    "challenge-as-text.txt": (errors.Challenged, ""),
    "blocked.html": (errors.Challenged, ""),
    "sign-in.html": (errors.CredentialRejected, ""),
    "sign-in-as-text.txt": (errors.CredentialRejected, ""),
    "error.json": (errors.UpstreamBroken, ""),
    "signed-out.json": (errors.CredentialRejected, ""),
    "no-credits.json": (errors.QuotaExhausted, ""),
    "slow-down.json": (errors.Throttled, ""),
}
ALL = sorted(ANSWERS.keys() | FAILURES.keys())


def read(chunks: Iterable[bytes], headers: Mapping[str, str]) -> tuple[str, list[Event], errors.Failure | None]:
    decoder = Decoder(headers)
    events: list[Event] = []
    failed = None
    try:
        for chunk in chunks:
            for event in decoder.feed(chunk):
                events.append(event)  # noqa: PERF402 - what came before a failure counts
        for event in decoder.close():
            events.append(event)  # noqa: PERF402
    except errors.Failure as failure:
        failed = failure
    return "".join(e.text for e in events if isinstance(e, Text)), events, failed


def scene(name: str) -> tuple[bytes, dict[str, str]]:
    path = SCENES / name
    return path.read_bytes(), {"content-type": TYPES[path.suffix]}


def test_every_scene_is_expected_to_come_to_something():
    assert sorted(path.name for path in SCENES.iterdir() if path.suffix in TYPES) == ALL


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_byte_by_byte(name: str):
    body, headers = scene(name)
    text, events, failed = read((body[i : i + 1] for i in range(len(body))), headers)
    assert (text, failed) == (ANSWERS[name], None)
    assert events[-1] == Stop("stop")


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_is_told_as_what_it_is(name: str):
    kind, before = FAILURES[name]
    text, events, failed = read([scene(name)[0]], scene(name)[1])
    assert type(failed) is kind
    assert text == before
    assert not any(isinstance(event, Stop) for event in events)


@pytest.mark.parametrize("name", ALL)
def test_bytes_mean_the_same_wherever_they_are_cut(name: str):
    body, headers = scene(name)
    text, _, failed = read([body], headers)
    for cut in range(len(body) + 1):
        cut_text, _, cut_failed = read([body[:cut], b"", body[cut:]], headers)
        assert (cut_text, type(cut_failed)) == (text, type(failed))


TRICKY = [b"<", b"!doctype", b"html", b"Just a moment...", b" ", b"\xef\xbb\xbf", b"\xe4\xb8\xad", b"\xff"]
TRICKY += [b"{", b'"error":1}', b"a" * 300]


@given(
    st.lists(st.sampled_from(TRICKY), max_size=8).map(b"".join),
    st.sampled_from(list(TYPES.values())),
    st.lists(st.integers(1, 40), min_size=1, max_size=50),
)
def test_any_bytes_mean_the_same_however_they_are_cut(body: bytes, kind: str, sizes: list[int]):
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    headers = {"content-type": kind}
    whole, cut = read([body], headers), read([*pieces, body[at:]], headers)
    assert (whole[0], type(whole[2])) == (cut[0], type(cut[2]))


@pytest.mark.parametrize("beginning", [b"A", "单".encode(), b"\n\nA", b"Justice", b"{", b"# <html"])
def test_the_first_word_does_not_wait(beginning: bytes):
    assert list(Decoder({"content-type": "text/plain"}).feed(beginning)) == [Text(beginning.decode())]


def test_the_first_word_goes_out_as_soon_as_it_cannot_be_a_page():
    decoder = Decoder({})
    assert list(decoder.feed(b"Just a moment")) == []
    assert list(decoder.feed(b", ")) == [Text("Just a moment, ")]
    decoder = Decoder({})
    assert list(decoder.feed(b"<svg>" + b"x" * 506)) == []
    assert list(decoder.feed(b"xx")) == [Text("<svg>" + "x" * 508)]


def test_a_page_that_says_who_it_is_in_a_header_is_a_challenge():
    headers = {"content-type": "text/html", "cf-mitigated": "challenge"}
    assert isinstance(read([b"<html>"], headers)[2], errors.Challenged)


PAGE = (SCENES / "sign-in.html").read_bytes()
CHALLENGE = (SCENES / "challenge.html").read_bytes()
HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (401, JSON, b'{"error":"Unauthorized"}', errors.CredentialRejected),
        (401, {}, b"", errors.CredentialRejected),
        (403, JSON, b'{"error":"Forbidden"}', errors.CredentialRejected),
        (403, HTML, PAGE, errors.CredentialRejected),
        (302, {"location": "/api/auth/signin"}, b"", errors.CredentialRejected),
        (307, {"location": "/zh/login"}, b"", errors.CredentialRejected),
        (403, HTML, CHALLENGE, errors.Challenged),
        (503, HTML, CHALLENGE, errors.Challenged),
        (429, HTML | {"server": "cloudflare"}, PAGE, errors.Challenged),
        (403, {"cf-mitigated": "challenge"}, b"", errors.Challenged),
        (403, {}, CHALLENGE, errors.Challenged),
        (503, HTML, PAGE, errors.UpstreamOverloaded),
        (429, HTML, PAGE, errors.Throttled),
        (429, JSON, b'{"error":"Rate limit reached"}', errors.Throttled),
        (429, {}, b"", errors.Throttled),
        (429, JSON, b'{"error":"You have no credits left"}', errors.QuotaExhausted),
        (402, {}, b"", errors.QuotaExhausted),
        (403, JSON, b'{"message":"daily limit reached"}', errors.QuotaExhausted),
        (413, {}, b"", errors.ContextTooLong),
        (400, JSON, b'{"error":"prompt is required"}', errors.BadRequest),
        (500, {}, b"oops", errors.UpstreamBroken),
        (502, HTML, b"<html>Bad gateway</html>", errors.UpstreamBroken),
        (522, HTML, b"", errors.UpstreamBroken),
        (503, {}, b"", errors.UpstreamOverloaded),
        (404, {}, b"\xff", errors.UpstreamBroken),
    ],
)
def test_refusals_are_told_apart(status: int, headers: dict[str, str], body: bytes, kind: type[errors.Failure]):
    refused = refusal(status, headers, body)
    assert type(refused) is kind
    assert refused.upstream_status == status
    assert len(refused.message) < 400


def test_a_limit_says_when_to_come_back():
    assert refusal(429, {"retry-after": "30"}, b"").retry_after == 30
    assert refusal(429, {"retry-after": "soon"}, b"").retry_after is None


def test_a_challenge_is_not_tried_again_and_blames_no_cookie():
    challenged = refusal(403, HTML, CHALLENGE)
    assert (challenged.blames, challenged.try_next) == ("upstream", False)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (200, JSON, b"{}", errors.CredentialRejected),
        (200, JSON, b"null", errors.CredentialRejected),
        (200, HTML, CHALLENGE, errors.Challenged),
        (200, HTML, PAGE, errors.CredentialRejected),
        (200, {}, b"oops", errors.UpstreamMalformed),
        (500, {}, b"", errors.UpstreamBroken),
    ],
)
def test_a_session_page_tells_who_is_not_signed_in(
    status: int, headers: dict[str, str], body: bytes, kind: type[errors.Failure]
):
    with pytest.raises(kind):
        signed_in(status, headers, body)


def test_a_session_page_tells_who_is_signed_in():
    signed_in(200, JSON, b'{"user":{"name":"somebody"},"expires":"2030-01-01T00:00:00.000Z"}')


TALK = Prompt(messages=[System("Be terse."), User("Hi"), Assistant("Hello."), User("Bye 单")])


def test_the_whole_history_is_asked_as_one_prompt():
    told = "System: Be terse.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: Bye 单\n\nAssistant:"
    assert json.loads(encode(TALK)) == {"prompt": told}


def test_only_the_last_words_are_asked_where_that_is_wished():
    assert json.loads(encode(TALK, history="last_only")) == {"prompt": "Bye 单"}


def test_a_lone_question_is_asked_as_it_stands():
    assert json.loads(encode(Prompt(messages=[User("Hi")]))) == {"prompt": "Hi"}


def test_nothing_is_asked_without_words():
    for history in ("transcript", "last_only"):
        with pytest.raises(errors.BadRequest):
            encode(Prompt(messages=[User("")]), history=history)  # type: ignore[arg-type]
