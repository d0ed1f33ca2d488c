"""Every provider in every scene, streaming and not, through the real front: one contract, whoever answers.

Who is under contract is in `subjects/`, one file each; nothing here knows anybody's name. The judge is the official
client; every body and chunk is checked against OpenAI's published shapes on the way (`tests/stack/listening.py`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley.state import keys
from tests.providers.subjects import SCENES, Family, Mishap, cases, everybody, id_of, one_of_each, stood_in
from tests.providers.world import LONG, World
from tests.stack.listening import Heard
from tests.stack.running import until

MULTILINGUAL = "Grüße, 世界! 👩‍👩‍👧‍👦 e\u0301 \u2028 \u0085 مرحبا 𝔘𝔫𝔦"
"""Characters of one to four bytes, joined, combining, and those at which a careless reader splits lines."""

streaming = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def playing(scene: str) -> pytest.MarkDecorator:
    """Every subject's mishaps of a scene."""
    found = [
        pytest.param(family, one.name, mishap, id=f"{id_of(family, one)}-{mishap}")
        for family, one, mishap in cases(scene)
    ]
    return pytest.mark.parametrize(("family", "name", "mishap"), found)


@stood_in
def test_nobody_is_excused_from_a_scene(family: Family, name: str) -> None:
    (subject,) = (one for one in family.subjects if one.name == name)
    played = [scene for scene in SCENES if any(one is subject for one, _ in family.cases(scene))]
    assert sorted([*played, *subject.excused]) == sorted(SCENES)


# --- what goes well -----------------------------------------------------------------------------------------------


@everybody
def test_hello(world: World, name: str) -> None:
    world.begin(name)
    text = "Hello, is anybody there?"
    whole, streamed = (world.listen(name, text, stream) for stream in (False, True))
    assert whole.answer == streamed.answer == (text, [], "stop")
    for heard in (whole, streamed):
        assert heard.headers["x-parley-upstream"] == name
        assert heard.headers["x-parley-attempts"] == "1"
        assert heard.usage and heard.usage["prompt_tokens"] > 0 and heard.usage["completion_tokens"] > 0
        record = world.record(heard)
        assert (record["outcome"], record["status"]) == ("done", 200)
        assert record["usage"]["completion"] == heard.usage["completion_tokens"]
    assert whole.headers["content-type"] == "application/json"
    assert streamed.headers["content-type"].startswith("text/event-stream")


@everybody
def test_several_turns(world: World, name: str) -> None:
    world.begin(name)
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "You speak in riddles."},
        {"role": "user", "content": "What has keys and opens nothing?"},
        {"role": "assistant", "content": "A piano, of course."},
        {"role": "user", "content": [{"type": "text", "text": "!report"}]},
    ]
    subject = world.subjects[name]
    for stream in (False, True):
        heard = world.listen(name, turns, stream)
        assert heard.finish == "stop"
        if subject.stand_in is None:
            assert heard.text == "!report"
        else:
            said = [str(turn["content"]) for turn in turns[:3]]
            in_order(subject.told(json.loads(heard.text)), [*said, "!report"])


@everybody
@pytest.mark.parametrize(
    "turns",
    [
        ["user: Three questions in a row.", "user: The second one."],
        ["developer: Be brief about bells.", "user: And bright."],
        ["system: Rules come first.", "user: What rules?", "assistant: None.", "assistant: Well, one.", "user: Which?"],
        ["assistant: It is I who begins.", "user: Go on."],
        ["user: Sing.", "assistant: La.", "system: Now be silent.", "user: Why?"],
    ],
    ids=["users", "developer", "assistants", "assistant-first", "later-system"],
)
def test_turns_that_are_not_told_in_turn(world: World, name: str, turns: list[str]) -> None:
    """Services that want strict turns are told what was said all the same, or the caller is told what they refuse."""
    world.begin(name)
    subject = world.subjects[name]
    said = [dict(zip(("role", "content"), turn.split(": "), strict=True)) for turn in turns]
    heard = world.listen(
        name, [*said, {"role": "assistant", "content": "So."}, {"role": "user", "content": "!report"}], False
    )
    if subject.stand_in is None:
        assert heard.text == "!report"
    elif heard.error is not None:
        assert heard.status == 400 and (heard.error.param or "").startswith("messages")
    else:
        told = subject.told(json.loads(heard.text))
        assert [told.count(turn["content"]) for turn in said] == [1] * len(said), told


def in_order(told: str, words: list[str]) -> None:
    """All the words are told, each once, one after the other."""
    places = [told.find(word) for word in words]
    assert -1 not in places and places == sorted(places), told
    assert [told.count(word) for word in words] == [1] * len(words), told


@everybody
def test_text_that_comes_byte_by_byte(world: World, name: str) -> None:
    world.begin(name)
    world.crumble(name)
    text = f"!say:{MULTILINGUAL}" if world.subjects[name].stand_in else MULTILINGUAL
    whole, streamed = (world.listen(name, text, stream) for stream in (False, True))
    assert whole.answer == streamed.answer == (MULTILINGUAL, [], "stop")


# --- what does not ------------------------------------------------------------------------------------------------


@streaming
@playing("refused")
def test_a_refused_credential_is_the_operators_matter(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (502, "upstream_authentication_error")
    assert heard.error and heard.error.type == "server_error"
    assert "www-authenticate" not in heard.headers
    again = world.listen(name, "hello", stream)
    assert again.status in (502, 503) and int(again.headers["retry-after"]) > 0
    assert knocks(world, name, mishap, again) == 0, "a refused credential was shown again while it rests"


@streaming
@playing("expired")
def test_a_sign_in_that_ran_out_is_renewed(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap, times=1)
    guests = world.guests(name)
    heard = world.listen(name, "!say:here I am again", stream)
    assert heard.answer == ("here I am again", [], "stop")
    assert heard.headers["x-parley-attempts"] == "2"
    assert world.stand_in(name).stats()["counts"]["renewals"] >= 1
    assert world.guests(name) == guests, "renewed is not replaced"
    first = world.record(heard)["attempts"][0]
    assert (first["failure"], first["blames"]) == ("upstream_credential_expired", "credential")


@streaming
@playing("throttled")
def test_a_throttled_credential_rests_as_long_as_it_was_told(
    world: World, name: str, mishap: Mishap, stream: bool
) -> None:
    world.begin(name, mishap)
    guests = world.guests(name)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (429, "rate_limit_exceeded")
    assert 4 <= int(heard.headers["retry-after"]) <= 7
    assert 3000 < int(heard.headers["retry-after-ms"]) <= 7000
    assert "x-should-retry" not in heard.headers
    again = world.listen(name, "hello", stream)
    assert again.status == 429 and 1 <= int(again.headers["retry-after"]) <= 7
    assert knocks(world, name, mishap, again) == 0, "it was asked again while it rests"
    assert world.guests(name) == guests, "a new guest was made to escape a limit"


@streaming
@playing("challenge page")
def test_a_challenge_page_costs_one_request(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (503, "upstream_challenge")
    assert heard.headers["x-parley-attempts"] == "1"
    assert heard.headers["x-should-retry"] == "false"
    again = world.listen(name, "hello", stream)
    assert again.status == 503 and int(again.headers["retry-after"]) > 60
    assert knocks(world, name, mishap, again) == 0, "somebody knocked again at a door that asks for a human"


@streaming
@playing("broken off")
def test_an_answer_that_breaks_off_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, LONG, stream)
    assert heard.code == "upstream_truncated"
    assert heard.finish is None
    assert heard.status == (200 if stream else 502)
    if stream:
        assert heard.text and LONG.startswith(f"!say:{heard.text[:-1]}"), "what came before is still said"
    record = world.record(heard)
    assert (record["outcome"], record["failure"]) == ("failed", "upstream_truncated")
    assert record["attempts"][-1]["blames"] == "upstream"


@streaming
@playing("empty")
def test_an_empty_answer_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (502, "upstream_empty")
    assert int(heard.headers["x-parley-attempts"]) == world.struck(name, mishap) == 2, "it is worth another try"


@streaming
@playing("garbled")
def test_an_answer_that_nobody_can_read_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, LONG, stream)
    assert heard.code == "upstream_malformed"
    assert heard.finish is None
    assert heard.status == 502 or (stream and heard.text)


def knocks(world: World, name: str, mishap: Mishap, again: Heard) -> int:
    """How often the door was knocked at after the first time: for another answer, or by anybody at all.

    Where sessions are made they are deleted, too, in the background and at the same door: there only answers count.
    """
    shown = sum(bool(attempt["credential"]) for attempt in world.record(again)["attempts"])
    return shown if world.subjects[name].greets else max(shown, world.struck(name, mishap) - 1)


# --- who keeps us waiting -----------------------------------------------------------------------------------------


@streaming
@playing("silent")
def test_silence_from_the_start_is_a_time_out(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    heard = world.silences["silent", name, stream]
    assert (heard.status, heard.code) == (504, "upstream_timeout")
    assert heard.headers["x-parley-attempts"] == "2"


@streaming
@playing("silent midway")
def test_silence_midway_is_a_stall(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    heard = world.silences["silent midway", name, stream]
    assert heard.finish is None
    if stream:
        assert heard.text and heard.status == 200 and heard.code == "upstream_stalled"
    else:
        assert heard.status == 504 and heard.code in ("upstream_stalled", "upstream_timeout")


# --- who leaves ---------------------------------------------------------------------------------------------------


@streaming
@one_of_each
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_hang_up_reaches_the_upstream_within_100_ms(world: World, name: str, moment: str, stream: bool) -> None:
    for turn in range(3):  # a machine that stands still is late, too, but not three times in a row
        world.begin(name)
        world.slow_down(name, 5.0 if moment == "before" else 0.0, 0.2)
        request_id = f"hang-up-{name}-{moment}-{stream}-{turn}"
        left = world.hang_up(name, stream, after_words=moment == "after", request_id=request_id)
        if not world.subjects[name].stand_in:
            break
        upstream = world.stand_in(name)
        upstream.until(lambda stats: stats["hangups"], 5)
        if (took := upstream.stats()["hangups"][-1]["at"] - left) < 0.1:
            break
    else:
        pytest.fail(f"it took {took} s, the last of three times")
    record = world.record_of(request_id)
    assert record["outcome"] == "hung_up"
    if moment == "after" and stream:
        assert record["usage"]["source"] == "estimated"
    counts = f"{keys.prefix(name)}counts"
    with world.stack.store() as store:
        until(lambda: store.hget(counts, "taken") == store.hget(counts, "returned"), 5)
