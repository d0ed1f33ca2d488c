"""Faults in what an answer says: each takes the chunks of a stream (or one completion) and returns odd ones.

All of them were met in the wild; the chunks around the oddity stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Body = dict[str, Any]
Paced = tuple[float, Body]
Params = dict[str, Any]
Twist = Callable[[list[Paced], Params], list[Paced]]


def _each_choice(change: Callable[[Body, int], None]) -> Twist:
    """A twist that changes every choice; `change(choice, place)` gets its place among the choices of the stream."""

    def twist(chunks: list[Paced], _: Params) -> list[Paced]:
        place = 0
        for _wait, chunk in chunks:
            for choice in chunk["choices"]:
                change(choice, place)
                place += 1
        return chunks

    return twist


def _each_chunk(change: Callable[[Body, Params], None]) -> Twist:
    def twist(chunks: list[Paced], params: Params) -> list[Paced]:
        for _, chunk in chunks:
            change(chunk, params)
        return chunks

    return twist


def _each_call(change: Callable[[Body, bool], None]) -> Twist:
    """A twist that changes every tool-call delta; `change(call, opens)`."""

    def of_choice(choice: Body, _: int) -> None:
        for call in choice["delta"].get("tool_calls") or ():
            change(call, "id" in call)

    return _each_choice(of_choice)


def _empty_choices_first(chunks: list[Paced], _: Params) -> list[Paced]:
    first = {
        **chunks[0][1],
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    return [(0.0, first), *chunks]


def _bill(chunks: list[Paced]) -> Body:
    bills = [chunk["usage"] for _, chunk in chunks if chunk.get("usage")]
    return bills[-1] if bills else {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def _usage_every_chunk(chunks: list[Paced], _: Params) -> list[Paced]:
    """Cumulative, so that only the last one is right."""
    bill = _bill(chunks)
    for place, (_wait, chunk) in enumerate(chunks):
        if not chunk.get("usage"):
            so_far = min(place, bill["completion_tokens"])
            chunk["usage"] = {
                "prompt_tokens": bill["prompt_tokens"],
                "completion_tokens": so_far,
                "total_tokens": bill["prompt_tokens"] + so_far,
            }
    chunks[-1][1]["usage"] = bill
    return chunks


def _usage_on_last_content(chunks: list[Paced], _: Params) -> list[Paced]:
    bill = _bill(chunks)
    kept = [paced for paced in chunks if paced[1]["choices"]]
    for _, chunk in kept:
        chunk.pop("usage", None)
    kept[-1][1]["usage"] = bill
    return kept


def _missing_usage(chunks: list[Paced], _: Params) -> list[Paced]:
    kept = [paced for paced in chunks if paced[1]["choices"]]
    for _, chunk in kept:
        chunk.pop("usage", None)
    return kept


def _role_every(choice: Body, _: int) -> None:
    choice["delta"]["role"] = "assistant"


def _role_never(choice: Body, _: int) -> None:
    choice["delta"].pop("role", None)


def _no_index(call: Body, _: bool) -> None:
    del call["index"]


def _index_from_one(call: Body, _: bool) -> None:
    call["index"] += 1


def _repeat_id_and_name(chunks: list[Paced], _: Params) -> list[Paced]:
    seen: dict[tuple[int, int], tuple[str, str]] = {}

    def repeat(choice: Body, _: int) -> None:
        for call in choice["delta"].get("tool_calls") or ():
            key = (choice["index"], call["index"])
            if "id" in call:
                seen[key] = (call["id"], call["function"]["name"])
            call["id"], call["function"]["name"] = seen[key]
            call["type"] = "function"

    return _each_choice(repeat)(chunks, {})


def _null_name(call: Body, opens: bool) -> None:
    if not opens:
        call["id"] = None
        call["function"]["name"] = None


def _empty_name(call: Body, opens: bool) -> None:
    if not opens:
        call["id"] = ""
        call["function"]["name"] = ""


def _missing_id(call: Body, _: bool) -> None:
    call.pop("id", None)


def _whole_calls(chunks: list[Paced], *, as_object: bool, index: bool) -> list[Paced]:
    """Fold the deltas of every call into its first one."""
    opened: dict[tuple[int, int], Body] = {}
    kept: list[Paced] = []
    for wait, chunk in chunks:
        folded = False
        for choice in chunk["choices"]:
            for call in choice["delta"].get("tool_calls") or ():
                key = (choice["index"], call["index"])
                if key in opened:
                    opened[key]["function"]["arguments"] += call["function"]["arguments"]
                    folded = True
                else:
                    opened[key] = call
        if not folded:
            kept.append((wait, chunk))
    for call in opened.values():
        if as_object:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if not index:
            del call["index"]
    return kept


def _content_null(chunks: list[Paced], _: Params) -> list[Paced]:
    """A delta with `content: null` between the texts."""
    spoken = next((n for n, (_, chunk) in enumerate(chunks) if _content(chunk)), 0)
    odd = deepcopy(chunks[spoken][1])
    for choice in odd["choices"]:
        choice["delta"] = {"content": None}
    return [*chunks[: spoken + 1], (0.0, odd), *chunks[spoken + 1 :]]


def _content(chunk: Body) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def _finish_empty(choice: Body, _: int) -> None:
    choice["finish_reason"] = choice["finish_reason"] or ""


def _finish_with_text(chunks: list[Paced], _: Params) -> list[Paced]:
    """The last delta carries the finish reason; no chunk of its own."""
    last: dict[int, Body] = {}
    kept: list[Paced] = []
    for wait, chunk in chunks:
        ends = [choice for choice in chunk["choices"] if choice["finish_reason"]]
        for choice in ends:
            last[choice["index"]]["finish_reason"] = choice["finish_reason"]
        if not ends:
            last |= {choice["index"]: choice for choice in chunk["choices"]}
            kept.append((wait, chunk))
    return kept


def _finish_twice(chunks: list[Paced], _: Params) -> list[Paced]:
    twice: list[Paced] = []
    for wait, chunk in chunks:
        twice.append((wait, chunk))
        if any(choice["finish_reason"] for choice in chunk["choices"]):
            twice.append((0.0, deepcopy(chunk)))
    return twice


def _no_finish(chunks: list[Paced], _: Params) -> list[Paced]:
    return [paced for paced in chunks if not any(choice["finish_reason"] for choice in paced[1]["choices"])]


def _finish(reason: str) -> Callable[[Body, int], None]:
    def change(choice: Body, _: int) -> None:
        if choice["finish_reason"]:
            choice["finish_reason"] = reason

    return change


def _called_and_stopped(choice: Body, _: int) -> None:
    if choice["finish_reason"] == "tool_calls":
        choice["finish_reason"] = "stop"


def _no_delta(value: Any) -> Callable[[Body, int], None]:
    def change(choice: Body, _: int) -> None:
        if choice["finish_reason"]:
            if value is ...:
                del choice["delta"]
            else:
                choice["delta"] = value

    return change


def _tool_calls(value: Any) -> Callable[[Body, int], None]:
    def change(choice: Body, _: int) -> None:
        choice["delta"].setdefault("tool_calls", value)

    return change


def _choices(value: Any) -> Twist:
    """A chunk whose choices are null or missing, after the first one."""

    def twist(chunks: list[Paced], _: Params) -> list[Paced]:
        odd = {name: fact for name, fact in chunks[0][1].items() if name != "choices"}
        if value is not ...:
            odd["choices"] = value
        return [chunks[0], (0.0, odd), *chunks[1:]]

    return twist


def _put(**facts: Any) -> Twist:
    return _each_chunk(lambda chunk, _: chunk.update(facts))


def _obfuscation(chunk: Body, _: Params) -> None:
    chunk["obfuscation"] = "aZ09" * (1 + len(json.dumps(chunk)) % 5)


def _long_line(chunks: list[Paced], params: Params) -> list[Paced]:
    """One delta of 1 MiB (or `bytes`)."""
    for _, chunk in chunks:
        if _content(chunk):
            for choice in chunk["choices"]:
                choice["delta"]["content"] = "x" * params.get("bytes", 1 << 20)
            break
    return chunks


def _usage_in_choice(chunks: list[Paced], _: Params) -> list[Paced]:
    """Moonshot: in the last choice, too."""
    bill = _bill(chunks)
    for _wait, chunk in chunks:
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                choice["usage"] = bill
    return chunks


def _whole_index_0(chunks: list[Paced], _: Params) -> list[Paced]:
    """Every call in one piece, and each of them the first."""
    kept = _whole_calls(chunks, as_object=False, index=True)
    return _each_call(lambda call, _: call.update(index=0))(kept, {})


def _ids_by_function(chunks: list[Paced], _: Params) -> list[Paced]:
    def rename(call: Body, opens: bool) -> None:
        if opens:
            call["id"] = f"functions.{call[call['type']]['name']}:{call['index']}"

    return _each_call(rename)(chunks, {})


def _put_in_choices(**facts: Any) -> Twist:
    return _each_choice(lambda choice, _: choice.update(facts))


def _thoughts_null(choice: Body, _: int) -> None:
    choice["delta"].setdefault("reasoning_content", None)


def _timings(chunks: list[Paced], _: Params) -> list[Paced]:
    bill = _bill(chunks)
    cached = bill["prompt_tokens"] // 2
    timings = {"cache_n": cached, "prompt_n": bill["prompt_tokens"] - cached, "predicted_n": bill["completion_tokens"]}
    chunks[-1][1]["timings"] = timings
    return chunks


def _error_frame(chunks: list[Paced], params: Params) -> list[Paced]:
    """After `chunks` chunks (2 unless told) an error frame, then the stream ends."""
    error = params.get(
        "error", {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}
    )
    return [*chunks[: params.get("chunks", 2)], (0.0, {"error": error, **params.get("more", {})})]


CHUNK_TWISTS: dict[str, Twist] = {
    "empty_choices_first": _empty_choices_first,
    "usage_every_chunk": _usage_every_chunk,
    "usage_on_last_content": _usage_on_last_content,
    "missing_usage": _missing_usage,
    "role_every": _each_choice(_role_every),
    "role_never": _each_choice(_role_never),
    "tool_no_index": _each_call(_no_index),
    "tool_index_from_1": _each_call(_index_from_one),
    "tool_repeat_id_name": _repeat_id_and_name,
    "tool_null_name": _each_call(_null_name),
    "tool_empty_name": _each_call(_empty_name),
    "tool_missing_id": _each_call(_missing_id),
    "tool_object_arguments": lambda chunks, _: _whole_calls(chunks, as_object=True, index=True),
    "tool_whole": lambda chunks, _: _whole_calls(chunks, as_object=False, index=True),
    "tool_whole_no_index": lambda chunks, _: _whole_calls(chunks, as_object=False, index=False),
    "tool_calls_empty": _each_choice(_tool_calls([])),
    "tool_calls_null": _each_choice(_tool_calls(None)),
    "content_null": _content_null,
    "finish_empty": _each_choice(_finish_empty),
    "finish_with_text": _finish_with_text,
    "finish_twice": _finish_twice,
    "finish_stop": _each_choice(_called_and_stopped),
    "finish_eos_token": _each_choice(_finish("eos_token")),
    "no_finish": _no_finish,
    "delta_null": _each_choice(_no_delta(None)),
    "delta_missing": _each_choice(_no_delta(...)),
    "choices_null": _choices(None),
    "choices_missing": _choices(...),
    "created_text": _each_chunk(lambda chunk, _: chunk.update(created=str(chunk["created"]))),
    "created_float": _each_chunk(lambda chunk, _: chunk.update(created=chunk["created"] + 0.5)),
    "id_empty": _put(id=""),
    "model_empty": _put(model=""),
    "model_internal": _put(model="accounts/demo/models/demo-120b"),
    "obfuscation": _each_chunk(_obfuscation),
    "long_line": _long_line,
    "usage_in_choice": _usage_in_choice,
    "tool_whole_index_0": _whole_index_0,
    "tool_ids_by_function": _ids_by_function,
    "native_finish_reason": _put_in_choices(native_finish_reason=None),
    "stop_reason": _put_in_choices(stop_reason=None),
    "thoughts_null": _each_choice(_thoughts_null),
    "timings": _timings,
    "error_frame": _error_frame,
}


def _calls_of(completion: Body) -> list[Body]:
    return [call for choice in completion["choices"] for call in choice["message"].get("tool_calls") or ()]


def _unary_object_arguments(completion: Body, _: Params) -> None:
    for call in _calls_of(completion):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])


def _unary_missing_id(completion: Body, _: Params) -> None:
    for call in _calls_of(completion):
        del call["id"]


def _unary_finish(reason: str | None) -> Callable[[Body, Params], None]:
    def change(completion: Body, _: Params) -> None:
        for choice in completion["choices"]:
            choice["finish_reason"] = reason

    return change


def _unary_called_and_stopped(completion: Body, _: Params) -> None:
    for place, choice in enumerate(completion["choices"]):
        _called_and_stopped(choice, place)


def _unary_tool_calls(value: Any) -> Callable[[Body, Params], None]:
    def change(completion: Body, _: Params) -> None:
        for choice in completion["choices"]:
            choice["message"].setdefault("tool_calls", value)

    return change


def _unary_long(completion: Body, params: Params) -> None:
    for choice in completion["choices"]:
        choice["message"]["content"] = "x" * params.get("bytes", 1 << 20)


UNARY_TWISTS: dict[str, Callable[[Body, Params], None]] = {
    "missing_usage": lambda completion, _: completion.pop("usage"),
    "tool_object_arguments": _unary_object_arguments,
    "tool_missing_id": _unary_missing_id,
    "tool_calls_empty": _unary_tool_calls([]),
    "tool_calls_null": _unary_tool_calls(None),
    "finish_empty": _unary_finish(""),
    "no_finish": _unary_finish(None),
    "finish_stop": _unary_called_and_stopped,
    "finish_eos_token": _unary_finish("eos_token"),
    "created_text": lambda completion, _: completion.update(created=str(completion["created"])),
    "created_float": lambda completion, _: completion.update(created=completion["created"] + 0.5),
    "id_empty": lambda completion, _: completion.update(id=""),
    "model_empty": lambda completion, _: completion.update(model=""),
    "model_internal": lambda completion, _: completion.update(model="accounts/demo/models/demo-120b"),
    "long_line": _unary_long,
}
