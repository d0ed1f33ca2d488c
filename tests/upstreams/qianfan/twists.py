"""Faults in what an answer says: each takes the chunks of a stream, or one completion, and returns odd ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import CODES, NAMED

Body = dict[str, Any]
Paced = tuple[float, Body]
Params = dict[str, Any]
Twist = Callable[[list[Paced], Params], list[Paced]]

CANNED = "作为一个人工智能语言模型,我还没学习如何回答这个问题。"


# --- v2 -----------------------------------------------------------------------------------------------------------


def _flag(place: int) -> Twist:
    def twist(chunks: list[Paced], params: Params) -> list[Paced]:
        spoken = [chunk for _, chunk in chunks if chunk["choices"]]
        for choice in spoken[place]["choices"]:
            choice |= {"flag": params.get("value", 1), "ban_round": -1}
        return chunks

    return twist


def _normal(chunks: list[Paced], _: Params) -> list[Paced]:
    for _wait, chunk in chunks:
        for choice in chunk["choices"]:
            if "finish_reason" in choice:
                choice["finish_reason"] = "normal"
    return chunks


def _search_results(chunks: list[Paced], _: Params) -> list[Paced]:
    chunks[0][1]["search_results"] = [{"index": 1, "url": "https://example.com/", "title": "Basel"}]
    return chunks


def _no_finish(chunks: list[Paced], _: Params) -> list[Paced]:
    return [paced for paced in chunks if not any(choice.get("finish_reason") for choice in paced[1]["choices"])]


def _error_frame(chunks: list[Paced], params: Params) -> list[Paced]:
    _, code, kind, message = NAMED.get(params.get("code", ""), (0, params.get("code", "internal_error"), "", ""))
    error = {"code": code, "type": params.get("type", kind), "message": params.get("message", message)}
    return [*chunks[: params.get("chunks", 2)], (0.0, {"error": error, "id": "as-broken1"})]


V2_WHOLE: dict[str, Twist] = {"flag": _flag(-1), "normal": _normal, "search_results": _search_results}
V2: dict[str, Twist] = {**V2_WHOLE, "flag_first": _flag(0), "no_finish": _no_finish, "error_frame": _error_frame}


# --- the legacy API -----------------------------------------------------------------------------------------------


def _clear_history(chunks: list[Paced], _: Params) -> list[Paced]:
    wait, last = chunks[-1]
    return [(wait, {**last, "result": CANNED, "need_clear_history": True, "ban_round": -1})]


def _no_reason(chunks: list[Paced], _: Params) -> list[Paced]:
    for _wait, chunk in chunks:
        chunk.pop("finish_reason", None)
    return chunks


def _truncated(chunks: list[Paced], _: Params) -> list[Paced]:
    chunks[-1][1]["is_truncated"] = True
    return chunks


def _no_usage(chunks: list[Paced], _: Params) -> list[Paced]:
    for _wait, chunk in chunks:
        chunk.pop("usage", None)
    return chunks


def _finish(chunks: list[Paced], params: Params) -> list[Paced]:
    chunks[-1][1]["finish_reason"] = params.get("reason", "content_filter")
    return chunks


def _cut_off(chunks: list[Paced], _: Params) -> list[Paced]:
    return chunks[:-1]


def _coded_frame(chunks: list[Paced], params: Params) -> list[Paced]:
    code = int(params.get("code", 336000))
    said = {"error_code": code, "error_msg": params.get("message", CODES[code]), "id": "as-broken2"}
    return [*chunks[: params.get("chunks", 2)], (0.0, said)]


LEGACY_WHOLE: dict[str, Twist] = {
    "clear_history": _clear_history,
    "no_reason": _no_reason,
    "truncated": _truncated,
    "no_usage": _no_usage,
    "finish": _finish,
}
LEGACY: dict[str, Twist] = {**LEGACY_WHOLE, "cut_off": _cut_off, "error_frame": _coded_frame}
