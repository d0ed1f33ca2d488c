"""The old platform: everything with status 200, plain text in its stream, and the bill in a field of its own."""

from __future__ import annotations

import json
from typing import Any

from ..openai.answer import Answer
from .errors import CODES

Body = dict[str, Any]
Paced = tuple[float, str]
Params = dict[str, Any]

FAULTS = {"interrupted", "error_event", "no_meta"}


def bill(prompt: int, answer: Answer) -> Body:
    """What it cost."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer.tokens,
        "total_tokens": prompt + answer.tokens,
    }


def unary(task: str, request_id: str, answer: Answer, usage: Body) -> Body:
    """The whole answer; its words are JSON in a string."""
    words = json.dumps("".join(answer.pieces), ensure_ascii=False)
    return {
        "code": 200,
        "msg": "操作成功",
        "success": True,
        "data": {
            "task_id": task,
            "request_id": request_id,
            "task_status": "SUCCESS",
            "choices": [{"role": "assistant", "content": words}],
            "usage": usage,
        },
    }


def frames(
    task: str,
    request_id: str,
    answer: Answer,
    usage: Body,
    faults: list[str],
    params: Params,
    *,
    incremental: bool,
    waits: tuple[float, float],
) -> list[Paced]:
    """The stream: `add` for every piece, then `finish`."""
    meta = {"task_status": "SUCCESS", "usage": usage, "task_id": task, "request_id": request_id}
    end = "" if "no_meta" in faults else f"meta: {json.dumps(meta)}\n"
    first, pace = waits
    if answer.pace is not None:
        pace = answer.pace
    made: list[Paced] = []
    for place, piece in enumerate(answer.pieces):
        words = piece if incremental else "".join(answer.pieces[: place + 1])
        made.append((first or pace if place == 0 else pace, event("add", task, words)))
    if "error_event" in faults:
        code = str(params.get("code", "1234"))
        said = {"code": int(code), "msg": CODES[code][1], "success": False}
        return [*made[: params.get("chunks", 2)], (0.0, event("error", task, json.dumps(said, ensure_ascii=False)))]
    if "interrupted" in faults:
        return [*made[: params.get("chunks", 2)], (0.0, event("interrupted", task, "", end))]
    return [*made, (0.0, event("finish", task, "", end))]


def event(name: str, task: str, words: str, meta: str = "") -> str:
    """One event; a line of words is a line of data."""
    data = "".join(f"data: {line}\n" for line in words.split("\n"))
    return f"event: {name}\nid: {task}\n{data}{meta}\n"
