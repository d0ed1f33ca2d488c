"""Faults in what an answer says: each takes the chunks of a stream, or one completion, and returns odd ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
Paced = tuple[float, Body]
Params = dict[str, Any]
Twist = Callable[[list[Paced], Params], list[Paced]]


def _said(chunks: list[Paced]) -> Iterator[Body]:
    """Every delta, or message."""
    for _, chunk in chunks:
        for choice in chunk["choices"]:
            yield choice.get("delta") or choice["message"]


def _each_call(change: Callable[[Body, int], None]) -> Twist:
    """`change(call, place)`: its place among all pieces of calls."""

    def twist(chunks: list[Paced], _: Params) -> list[Paced]:
        calls = [call for said in _said(chunks) for call in said.get("tool_calls", ())]
        for place, call in enumerate(calls):
            change(call, place)
        return chunks

    return twist


def _without_id(call: Body, _: int) -> None:
    del call["id"]


def _same_id(call: Body, _: int) -> None:
    call["id"] = "call_-83"


def _once(call: Body, place: int) -> None:
    if place:
        del call["id"], call["function"]["name"]


def _twice(call: Body, _: int) -> None:
    call["function"]["arguments"] = json.dumps(call["function"]["arguments"])


def _empty(call: Body, _: int) -> None:
    call["function"]["arguments"] = ""


def _loose(call: Body, _: int) -> None:
    call["function"]["arguments"] = json.dumps(json.loads(call["function"]["arguments"]), indent=2, ensure_ascii=False)


def _finish(chunks: list[Paced], params: Params) -> list[Paced]:
    for _, chunk in chunks:
        for choice in chunk["choices"]:
            if "finish_reason" in choice:
                choice["finish_reason"] = params.get("reason", "sensitive")
    return chunks


def _no_finish(chunks: list[Paced], _: Params) -> list[Paced]:
    return [paced for paced in chunks if not any("finish_reason" in choice for choice in paced[1]["choices"])]


def _web_search(chunks: list[Paced], _: Params) -> list[Paced]:
    found = {"title": "Basel", "link": "https://example.com/", "content": "…", "refer": "ref_1"}
    odd = {name: value for name, value in chunks[0][1].items() if name != "choices"}
    return [(0.0, {**odd, "web_search": [found]}), (0.0, {**odd, "choices": [], "web_search": [found]}), *chunks]


def _levels(chunks: list[Paced], _: Params) -> list[Paced]:
    chunks[-1][1]["content_filter"] = [{"role": "assistant", "level": 3}]
    return chunks


def _newline(chunks: list[Paced], _: Params) -> list[Paced]:
    first = next((said for said in _said(chunks) if said.get("content")), None)
    if first is not None:
        first["content"] = "\n" + first["content"]
    return chunks


def _object(chunks: list[Paced], _: Params) -> list[Paced]:
    for _wait, chunk in chunks:
        whole = any("message" in choice for choice in chunk["choices"])
        chunk["object"] = "chat.completion" if whole else "chat.completion.chunk"
    return chunks


def _error_frame(chunks: list[Paced], params: Params) -> list[Paced]:
    error = {"code": params.get("code", "1301"), "message": params.get("message", "说明")}
    return [*chunks[: params.get("chunks", 2)], (0.0, {"error": error})]


BOTH: dict[str, Twist] = {
    "finish": _finish,
    "content_filter": _levels,
    "leading_newline": _newline,
    "ids_missing": _each_call(_without_id),
    "ids_equal": _each_call(_same_id),
    "arguments_twice": _each_call(_twice),
    "arguments_empty": _each_call(_empty),
    "arguments_loose": _each_call(_loose),
    "object": _object,
}
STREAM: dict[str, Twist] = {
    **BOTH,
    "web_search": _web_search,
    "ids_once": _each_call(_once),
    "no_finish": _no_finish,
    "error_frame": _error_frame,
}
