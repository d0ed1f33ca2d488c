"""The frames of h2oGPTe's chat socket, asked and read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.answer import fold
from parley.chat.events import Event, Stop, Text, Usage
from parley.chat.prompt import Assistant, Message, Prompt, ResponseFormat, System, User
from parley.dialects.h2ogpte import Decoder, Manner, encode, failure

SCENES = Path(__file__).parents[2] / "transcripts" / "h2ogpte"

ANSWERS: dict[str, tuple[str, Usage | None]] = {
    "hello": ("Hello", Usage(9, 2)),
    "chinese": ("你好，世界 🌍", Usage(3, 4)),
    "one-message": ("Hello", Usage(9, 2)),
    "foreign": ("Hello", None),
    "unknown-kinds": ("Hello", None),
    "only-ca": ("Hello", Usage(9, 2)),
    "ca-says-more": ("Hello", None),
    "ca-differs": ("Hello", None),
    "ca-empty": ("Hello", None),
    "banner": ("Hello", None),
    "banner-within-a-piece": ("#### LLM Only (no RAG):\nHello", None),
    "heading-of-its-own": ("#### Steps:\nOne.", None),
    "piece-before-cx": ("Hello", None),
    "no-cx": ("Hello", None),
    "cr-then-cd": ("Hello", None),
    "ca-then-cd": ("Hello", None),
    "cr-twice": ("Hello", None),
    "separators": ("one\u2028two\u2029three\u0085four", None),
    "crlf-and-blank-lines": ("Hello", None),
    "at-the-limit": ("one two", Usage(9, 5)),
    "several-calls": ("Hello", Usage(13, 3)),
    "old-server": ("Hello", None),
}
FAILURES: dict[str, tuple[type[errors.Failure], str]] = {
    "empty": (errors.UpstreamEmpty, ""),
    "broken-off": (errors.UpstreamTruncated, "Hel"),
    "error-before-cx": (errors.UpstreamBroken, ""),
    "error-after-cx": (errors.UpstreamBroken, "Hel"),
    "error-in-body": (errors.UpstreamBroken, ""),
    "error-of-an-old-server": (errors.UpstreamBroken, ""),
    "piece-with-error": (errors.UpstreamBroken, "Hel"),
    "rate-limit": (errors.Throttled, ""),
    "cost": (errors.QuotaExhausted, ""),
    "too-long": (errors.ContextTooLong, ""),
    "model-timeout": (errors.FirstTokenTimeout, ""),
    "unknown-model": (errors.ModelNotFound, ""),
    "unknown-session": (errors.SessionLost, ""),
    "not-json": (errors.UpstreamMalformed, "Hel"),
}


def messages_of(scene: str) -> list[str]:
    text = (SCENES / f"{scene}.frames").read_bytes().decode()
    return text.removesuffix("\n").split("\n---\n")


def read(messages: list[str], **how: Any) -> tuple[list[Event], errors.Failure | None]:
    """Everything that comes of these messages, to the end or to a failure."""
    decoder = Decoder("S1", "C1", **how)
    events: list[Event] = []
    try:
        for message in messages:
            for event in decoder.feed(message):
                events.append(event)  # noqa: PERF402 - what came before a failure counts
        for event in decoder.close():
            events.append(event)  # noqa: PERF402
    except errors.Failure as failed:
        return events, failed
    return events, None


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def test_every_scene_is_expected_to_come_to_something():
    assert {path.stem for path in SCENES.glob("*.frames")} == ANSWERS.keys() | FAILURES.keys()


@pytest.mark.parametrize("scene", ANSWERS)
def test_an_answer_is_read_to_its_end(scene: str):
    text, usage = ANSWERS[scene]
    events, failed = read(messages_of(scene), most_tokens=5)
    assert failed is None
    answer = fold(events)
    assert "".join(answer.choices[0].text) == text
    assert answer.usage == usage
    assert answer.choices[0].finish == ("length" if scene == "at-the-limit" else "stop")
    assert isinstance(events[-1], Stop)


@pytest.mark.parametrize("scene", FAILURES)
def test_a_failure_is_told_as_what_it_is(scene: str):
    kind, before = FAILURES[scene]
    events, failed = read(messages_of(scene))
    assert type(failed) is kind
    assert said(events) == before
    assert not any(isinstance(event, Stop) for event in events)


@pytest.mark.parametrize("scene", [*ANSWERS, *FAILURES])
def test_an_answer_cut_off_after_any_frame_is_never_complete(scene: str):
    lines = [line for message in messages_of(scene) for line in message.split("\n")]
    whole, _ = read(lines)
    for cut in range(len(lines)):
        events, failed = read(lines[:cut])
        if said(events) != said(whole) or not any(isinstance(event, Stop) for event in whole):
            assert failed is not None
        if failed is None:  # only frames after the end were cut off
            assert events == whole
        else:
            assert not any(isinstance(event, Stop) for event in events)


@pytest.mark.parametrize("scene", [*ANSWERS, *FAILURES])
@given(data=st.data())
def test_frames_mean_the_same_however_they_share_messages(scene: str, data: st.DataObject):
    lines = [line for message in messages_of(scene) for line in message.split("\n")]
    cuts = data.draw(st.sets(st.integers(1, max(1, len(lines) - 1))))
    marks = [0, *sorted(cuts), len(lines)]
    grouped = ["\n".join(lines[a:b]) for a, b in itertools.pairwise(marks)]
    together, failed = read(grouped)
    apart, failed_apart = read(lines)
    assert (together, type(failed)) == (apart, type(failed_apart))


@pytest.mark.parametrize("scene", ANSWERS)
def test_a_reader_who_waits_gets_the_whole_answer_in_one_piece(scene: str):
    text = {"ca-differs": "On second thought: bye"}.get(scene, ANSWERS[scene][0])
    events, failed = read(messages_of(scene), whole=True)
    assert failed is None
    assert [event.text for event in events if isinstance(event, Text)] == [text]


def test_a_whole_answer_that_differs_is_noticed():
    decoder = Decoder("S1", "C1")
    for message in messages_of("ca-differs"):
        list(decoder.feed(message))
    list(decoder.close())
    assert decoder.mismatch


def test_a_rate_limit_says_when_to_come_back():
    _, failed = read(messages_of("rate-limit"))
    assert failed is not None and failed.retry_after == 30


def test_an_error_for_another_question_is_not_ours():
    other = '{"t":"ce","session_id":"S1","error":"no","reply_to_id":"Q0"}'
    events, failed = read([messages_of("hello")[0], other, *messages_of("hello")[1:]])
    assert failed is None
    assert said(events) == "Hello"


def test_an_error_in_place_of_any_acknowledgement_is_ours():
    _, failed = read(['{"t":"cp","session_id":"S1","reply_to_id":"Q1","body":"","error":"the model went away"}'])
    assert isinstance(failed, errors.UpstreamBroken)


def test_a_question_that_changes_its_name_under_way_is_malformed():
    late = '{"t":"cx","session_id":"S1","correlation_id":"C1","message_id":"Q7"}'
    _, failed = read(['{"t":"cp","session_id":"S1","reply_to_id":"Q1","body":"Hel"}', late])
    assert isinstance(failed, errors.UpstreamMalformed)


@pytest.mark.parametrize("line", ['"cp"', "[1]", "{", "\x00", '{"t":"cp","body":"\\ud83d"}'])
def test_a_line_that_is_no_frame_is_malformed(line: str):
    _, failed = read([messages_of("hello")[0], line])
    assert isinstance(failed, errors.UpstreamMalformed)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda i: st.lists(i, max_size=3)))
def test_fields_of_any_type_are_survived(value: Any):
    for t in ("cx", "cs", "cp", "cm", "cr", "ce", value):
        for name in ("session_id", "message_id", "reply_to_id", "body", "error", "error_type", "retry_after", "meta"):
            frame = {"t": t, "session_id": "S1", "reply_to_id": "Q1", "correlation_id": "C1", name: value}
            _, failed = read([json.dumps(frame)])
            assert failed is not None  # nothing of this ends an answer
            assert not isinstance(failed, errors.UpstreamEmpty)


# --- recovery after a broken socket -------------------------------------------------------------------------------


def broken_off(**how: Any) -> Decoder:
    decoder = Decoder("S1", "C1", **how)
    for message in messages_of("broken-off")[:2]:
        list(decoder.feed(message))
    return decoder


STATS = [{"message_type": "usage_stats", "content": '{"usage":[{"input_tokens":9,"output_tokens":2}]}'}]


def stored(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"id": "A1", "reply_to": "Q1", "content": content, **more}, {"id": "Q1", "reply_to": None, "content": "hi"}]


def test_a_stored_answer_completes_a_broken_one():
    decoder = broken_off()
    assert decoder.recover(stored("Hello", type_list=STATS))
    assert list(decoder.close()) == [Text("lo"), Usage(9, 2), Stop("stop")]


def test_a_stored_answer_without_statistics_counts_when_it_no_longer_grows():
    decoder = broken_off()
    assert not decoder.recover([])
    assert not decoder.recover(stored(""))
    assert not decoder.recover(stored("Hell"))
    assert not decoder.recover(stored("Hello"))
    assert decoder.recover(stored("Hello"))
    assert list(decoder.close()) == [Text("lo"), Stop("stop")]


def test_a_stored_answer_that_does_not_go_on_from_what_was_said_is_no_help():
    with pytest.raises(errors.UpstreamTruncated):
        broken_off().recover(stored("Something else", type_list=STATS))
    assert broken_off(whole=True).recover(stored("Something else", type_list=STATS))


def test_a_stored_error_is_an_error():
    with pytest.raises(errors.QuotaExhausted):
        broken_off().recover(stored(None, error="LLM cost limit exceeded"))


@pytest.mark.parametrize("messages", [None, {}, "x", [None, 1, {"reply_to": "Q0", "content": "no"}]])
def test_stored_messages_that_are_not_ours_are_passed_over(messages: Any):
    assert not broken_off().recover(messages)


def test_nothing_is_recovered_for_a_question_without_a_name():
    assert not Decoder("S1", "C1").recover([{"reply_to": None, "content": "somebody's question"}])


def test_an_answer_without_statistics_asks_for_them():
    decoder = Decoder("S1", "C1", most_tokens=2)
    for message in messages_of("old-server"):
        list(decoder.feed(message))
    assert decoder.wants_usage and decoder.answer == "A1"
    decoder.learn_usage(STATS)
    assert list(decoder.close()) == [Usage(9, 2), Stop("length")]


# --- texts of errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Rate limit exceeded", errors.Throttled),
        ("Too many requests, slow down", errors.Throttled),
        ("daily limit reached", errors.QuotaExhausted),
        ("Guest usage quota exceeded", errors.QuotaExhausted),
        ("Estimated cost 0.07 is above max_cost 0.05", errors.QuotaExhausted),
        ("This model's maximum context length is 8192 tokens", errors.ContextTooLong),
        ("Error code: 400 - {'error': 'top_p must be positive'}", errors.BadRequest),
        ("LLM gpt-9 not found", errors.ModelNotFound),
        ("Model gpt-9 is not available to you", errors.ModelNotFound),
        ("Chat session 3f0c not found", errors.SessionLost),
        ("session A is not the session of this connection", errors.SessionLost),
        ("the server is overloaded", errors.UpstreamOverloaded),
        ("LLM timed out", errors.FirstTokenTimeout),
        ("Internal error", errors.UpstreamBroken),
    ],
)
def test_error_texts_are_understood(text: str, kind: type[errors.Failure]):
    assert type(failure(text)) is kind


def test_a_model_that_times_out_amid_its_words_has_stalled():
    assert type(failure("LLM timed out", said=True)) is errors.UpstreamStalled


def test_an_endless_error_text_is_cut():
    assert len(failure("model " * 1_000_000).message) < 400


# --- questions ----------------------------------------------------------------------------------------------------


def asked(prompt: Prompt, manner: Manner = Manner()) -> dict[str, Any]:  # noqa: B008 - frozen
    frame: dict[str, Any] = json.loads(encode(prompt, session="S1", correlation="C1", manner=manner))
    for name in ("llm_args", "rag_config", "self_reflection_config"):
        assert isinstance(frame[name], str)
        frame[name] = json.loads(frame[name])
    return frame


HI: list[Message] = [User("Hi")]


def test_a_question_is_one_frame():
    assert asked(Prompt(messages=HI, model="gpt-4o")) == {
        "t": "cq",
        "mode": "s",
        "session_id": "S1",
        "correlation_id": "C1",
        "body": "Hi",
        "llm": "gpt-4o",
        "llm_args": {"max_new_tokens": 32768, "use_agent": False, "reasoning_effort": 65_000},
        "self_reflection_config": None,
        "rag_config": {"rag_type": "llm_only"},
        "include_chat_history": "off",
        "tags": [],
        "system_prompt": None,
    }


def test_without_a_model_the_service_chooses():
    assert asked(Prompt(messages=HI))["llm"] == "auto"


def test_history_is_told_in_the_body_and_instructions_apart():
    frame = asked(Prompt(messages=[System("One."), User("Hi"), Assistant("Hello."), System("Two."), User("Bye")]))
    assert frame["body"] == "User: Hi\n\nAssistant: Hello.\n\nUser: Bye\n\nAssistant:"
    assert frame["system_prompt"] == "One.\n\nTwo."


@pytest.mark.parametrize(
    ("inject", "messages", "expected"),
    [
        ("Always.", HI, "Always."),
        ("Always.", [System("Terse."), *HI], "Always.\n\nTerse."),
        ("Always.", [System(""), *HI], "Always."),
        (None, [System(""), *HI], ""),
        (None, [System("auto"), *HI], "auto."),
        (None, [System(" Auto\n"), *HI], "Auto."),
        ("auto", HI, "auto."),
    ],
)
def test_the_operators_instructions_come_first(inject: str | None, messages: list[Message], expected: str):
    assert asked(Prompt(messages=messages), Manner(system_prompt_inject=inject))["system_prompt"] == expected


@pytest.mark.parametrize(("asked_for", "sent"), [(0, 0), (0.0, 0.0), (0.7, 0.7), (1.3, 1.0), (2, 1.0)])
def test_temperature_is_sent_even_when_it_is_zero_and_never_above_one(asked_for: float, sent: float):
    assert asked(Prompt(messages=HI, temperature=asked_for))["llm_args"]["temperature"] == sent


@pytest.mark.parametrize(("asked_for", "sent"), [(1, 1), (100, 100), (32768, 32768), (100_000, 32768)])
def test_the_limit_is_sent_within_what_the_service_takes(asked_for: int, sent: int):
    assert asked(Prompt(messages=HI, max_tokens=asked_for))["llm_args"]["max_new_tokens"] == sent
    newer = Prompt(messages=HI, max_tokens=7, max_completion_tokens=asked_for)
    assert asked(newer)["llm_args"]["max_new_tokens"] == sent


@pytest.mark.parametrize(
    ("word", "sent"), [("none", 0), ("low", 10_000), ("medium", 30_000), ("high", 65_000), (None, 7), ("odd", 7)]
)
def test_effort_is_a_number_of_tokens(word: str | None, sent: int):
    manner = Manner(reasoning_effort=7)
    assert asked(Prompt(messages=HI, reasoning_effort=word), manner)["llm_args"]["reasoning_effort"] == sent


def test_sampling_goes_along_and_no_seed_means_a_random_one():
    args = asked(Prompt(messages=HI, top_p=0.5, seed=0))["llm_args"]
    assert (args["top_p"], args["seed"]) == (0.5, 1)
    assert asked(Prompt(messages=HI, seed=42))["llm_args"]["seed"] == 42
    assert "seed" not in asked(Prompt(messages=HI))["llm_args"]


def test_json_is_asked_for_with_and_without_a_schema():
    def args(wanted: ResponseFormat) -> dict[str, Any]:
        found: dict[str, Any] = asked(Prompt(messages=HI, response_format=wanted))["llm_args"]
        return found

    assert "response_format" not in args(ResponseFormat("text"))
    assert args(ResponseFormat("json_object"))["response_format"] == "json_object"
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    guided = args(ResponseFormat("json_schema", {"name": "place", "schema": schema}))
    assert (guided["response_format"], guided["guided_json"]) == ("json_object", schema)


def test_costs_template_and_search_are_the_operators_choice():
    manner = Manner(max_cost=0.05, prompt_template="3f0c", rag_type="auto", reasoning_effort=0)
    frame = asked(Prompt(messages=HI), manner)
    assert frame["prompt_template_id"] == "3f0c"
    assert frame["rag_config"] == {"rag_type": "auto"}
    costs = {"max_cost": 0.05, "willingness_to_pay": 1.0, "willingness_to_wait": 60.0}
    assert frame["llm_args"]["cost_controls"] == costs


def test_nothing_is_asked_without_words():
    with pytest.raises(errors.BadRequest):
        asked(Prompt(messages=[User(" ")]))
