"""The checks accept what is right and refuse each thing that is not."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.schema import check_chunk, check_completion, check_error, check_model, check_models, check_stream

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
TOP = {"id": "chatcmpl-1", "created": 1700000000, "model": "demo-mini"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def completion(**message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "hi", "refusal": None, **message}
    reason = "tool_calls" if "tool_calls" in said else "stop"
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    return {**TOP, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **top: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**TOP, "object": "chat.completion.chunk", "choices": [choice], **top}


def stream() -> list[dict[str, Any]]:
    return [chunk({"role": "assistant", "content": ""}), chunk({"content": "hi"}), chunk({}, "stop")]


def counted() -> list[dict[str, Any]]:
    bill = {**TOP, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return [*({**one, "usage": None} for one in stream()), bill]


def calling() -> list[dict[str, Any]]:
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    return [
        chunk({"role": "assistant", "content": None, "tool_calls": [begun]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{**begun, "index": 1, "id": "call_2"}]}),
        chunk({}, "tool_calls"),
    ]


def changed(value: Any, *path: Any, to: Any = ...) -> Any:
    """A copy with one place set, or without it."""
    made = deepcopy(value)
    *way, last = path
    at = made
    for step in way:
        at = at[step]
    if to is ...:
        del at[last]
    else:
        at[last] = to
    return made


def test_right_answers_pass() -> None:
    check_completion(completion())
    check_completion(completion(content=None, tool_calls=[CALL]))
    check_completion(completion(content=None, refusal="no"))
    check_completion(completion(reasoning_content="hm", annotations=[]))
    check_stream(stream(), include_usage=False)
    check_stream(counted(), include_usage=True)
    check_stream(calling(), include_usage=False)
    two = [
        chunk({"role": "assistant"}),
        chunk({"role": "assistant"}, index=1),
        chunk({}, "stop", 1),
        chunk({}, "length"),
    ]
    check_stream(two, include_usage=False)
    check_error({"error": {"message": "no", "type": "server_error", "param": None, "code": None}})
    check_models({"object": "list", "data": [{"id": "a/b:c", "object": "model", "created": 0, "owned_by": "us"}]})
    check_model({"id": "a/b:c", "object": "model", "created": 0, "owned_by": "us"})


MESSAGE = ("choices", 0, "message")


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("id",), ...),
        (("id",), ""),
        (("object",), "chat.completion.chunk"),
        (("created",), 1700000000.5),
        (("created",), "1700000000"),
        (("model",), None),
        (("choices",), []),
        (("choices",), None),
        (("surprise",), 1),
        (("system_fingerprint",), 7),
        (("choices", 0, "index"), 1),
        (("choices", 0, "finish_reason"), None),
        (("choices", 0, "finish_reason"), "eos_token"),
        (("choices", 0, "finish_reason"), "tool_calls"),
        (("choices", 0, "logprobs"), ...),
        (("choices", 0, "logprobs"), {"content": [{"token": "a"}], "refusal": None}),
        ((*MESSAGE, "role"), "user"),
        ((*MESSAGE, "content"), None),
        ((*MESSAGE, "content"), [{"type": "text", "text": "hi"}]),
        ((*MESSAGE, "refusal"), ...),
        ((*MESSAGE, "reasoning"), "hm"),
        ((*MESSAGE, "tool_calls"), []),
        ((*MESSAGE, "tool_calls"), None),
        ((*MESSAGE, "tool_calls"), [CALL]),
        (("usage", "total_tokens"), 12),
        (("usage", "prompt_tokens"), -1),
        (("usage", "estimated"), True),
        (("usage",), None),
    ],
)
def test_a_wrong_completion_is_refused(path: tuple[Any, ...], to: Any) -> None:
    with pytest.raises(AssertionError):
        check_completion(changed(completion(), *path, to=to))


@pytest.mark.parametrize(
    "call",
    [
        {**CALL, "id": ""},
        {**CALL, "index": 0},
        {**CALL, "type": "tool"},
        {**CALL, "function": {"name": "f", "arguments": {}}},
        {**CALL, "function": {"arguments": "{}"}},
    ],
)
def test_a_wrong_tool_call_is_refused(call: Any) -> None:
    with pytest.raises(AssertionError):
        check_completion(completion(content=None, tool_calls=[call]))


CHOICE = ("choices", 0)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("object",), "chat.completion"),
        (("choices",), None),
        (("choices",), ...),
        (("error",), {"message": "no"}),
        ((*CHOICE, "finish_reason"), ""),
        ((*CHOICE, "finish_reason"), ...),
        ((*CHOICE, "delta"), None),
        ((*CHOICE, "delta"), ...),
        ((*CHOICE, "delta", "tool_calls"), []),
        ((*CHOICE, "delta", "tool_calls"), None),
        ((*CHOICE, "delta", "tool_calls"), [{"function": {"arguments": ""}}]),
        ((*CHOICE, "delta", "tool_calls"), [{"index": 0, "function": {"name": None}}]),
        ((*CHOICE, "delta", "reasoning"), "hm"),
        ((*CHOICE, "delta", "role"), "user"),
    ],
)
def test_a_wrong_chunk_is_refused(path: tuple[Any, ...], to: Any) -> None:
    good = chunk({"content": "hi"})
    check_chunk(good)
    with pytest.raises(AssertionError):
        check_chunk(changed(good, *path, to=to))


def broken_streams() -> dict[str, tuple[list[Any], bool]]:
    plain, bill, tools = stream(), counted(), calling()
    return {
        "nothing": ([], False),
        "no finish": (plain[:2], False),
        "two finishes": ([*plain, plain[2]], False),
        "text after the finish": ([plain[0], plain[2], plain[1]], False),
        "finish beside text": ([plain[0], chunk({"content": "hi"}, "stop")], False),
        "no role": (plain[1:], False),
        "role twice": ([plain[0], *plain], False),
        "role late": ([plain[1], plain[0], plain[2]], False),
        "id changes": (changed(plain, 1, "id", to="chatcmpl-2"), False),
        "created changes": (changed(plain, 1, "created", to=1700000001), False),
        "model changes": (changed(plain, 2, "model", to="other"), False),
        "usage unasked": (bill, False),
        "null usage unasked": (changed(plain, 0, "usage", to=None), False),
        "empty choices unasked": ([changed(plain[0], "choices", to=[]), *plain], False),
        "usage missing": (plain, True),
        "usage null missing": (changed(bill, 1, "usage"), True),
        "usage early": (changed(bill, 1, "usage", to=USAGE), True),
        "usage twice": ([*bill, bill[-1]], True),
        "usage beside choices": ([*bill[:2], {**bill[2], "usage": USAGE}], True),
        "choice gap": ([*plain, *(changed(one, "choices", 0, "index", to=2) for one in plain)], False),
        "finish stop after calls": ([*tools[:3], chunk({}, "stop")], False),
        "finish calls without calls": ([*plain[:2], chunk({}, "tool_calls")], False),
        "call index from one": (
            [tools[0], changed(tools[2], "choices", 0, "delta", "tool_calls", 0, "index", to=2), tools[3]],
            False,
        ),
        "first call at one": ([chunk({"role": "assistant"}), tools[2], tools[3]], False),
        "call opened twice": ([tools[0], *tools[2:3], *tools[2:]], False),
        "call without id": (changed(tools, 0, "choices", 0, "delta", "tool_calls", 0, "id"), False),
        "call without name": (changed(tools, 0, "choices", 0, "delta", "tool_calls", 0, "function", "name"), False),
        "name told again": (
            changed(tools, 1, "choices", 0, "delta", "tool_calls", 0, "function", "name", to="f"),
            False,
        ),
        "earlier call goes on": ([*tools[:3], tools[1], tools[3]], False),
    }


@pytest.mark.parametrize("name", broken_streams())
def test_a_broken_stream_is_refused(name: str) -> None:
    chunks, include_usage = broken_streams()[name]
    with pytest.raises(AssertionError):
        check_stream(chunks, include_usage)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not Found"},
        {"error": "text"},
        {"error": {"message": "no", "type": "server_error"}},
        {"error": {"message": "no", "type": None, "param": None, "code": None}},
        {"error": {"message": "no", "type": "x", "param": None, "code": 429}},
        {"error": {"message": "no", "type": "x", "param": None, "code": None}, "detail": 1},
    ],
)
def test_a_wrong_error_is_refused(body: Any) -> None:
    with pytest.raises(AssertionError):
        check_error(body)


@pytest.mark.parametrize(
    "model",
    [
        {"id": "a", "object": "model", "created": 0},
        {"id": "a", "object": "model", "created": "0", "owned_by": "us"},
        {"id": "", "object": "model", "created": 0, "owned_by": "us"},
        {"id": "a", "object": "model", "created": 0, "owned_by": "us", "providers": []},
    ],
)
def test_a_wrong_model_is_refused(model: Any) -> None:
    with pytest.raises(AssertionError):
        check_model(model)
    with pytest.raises(AssertionError):
        check_models({"object": "list", "data": [model]})


def test_a_model_is_listed_once() -> None:
    model = {"id": "a", "object": "model", "created": 0, "owned_by": "us"}
    with pytest.raises(AssertionError, match="twice"):
        check_models({"object": "list", "data": [model, model]})
