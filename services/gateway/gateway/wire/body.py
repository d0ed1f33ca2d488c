"""An Answer becomes a `chat.completion` object (`upstreams/openai.md` section 2.2)."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from gateway.wire.shapes import logprobs_shape, usage_shape
from parley.chat.answer import Answer, Called, Choice
from parley.errors import UpstreamTruncated


def completion(answer: Answer, model: str, *, legacy: bool = False) -> bytes:
    """The whole answer as JSON. Raises UpstreamTruncated when a choice has not ended: half an answer is none."""
    if not answer.complete:
        raise UpstreamTruncated("The upstream's answer ended without a finish reason.")
    shape: dict[str, Any] = {
        "id": f"chatcmpl-{os.urandom(16).hex()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [_choice(index, answer.choices[index], legacy) for index in sorted(answer.choices)],
    }
    if answer.usage is not None:
        shape["usage"] = usage_shape(answer.usage)
    return msgspec.json.encode(shape)


def _choice(index: int, choice: Choice, legacy: bool) -> dict[str, Any]:
    finish = "function_call" if legacy and choice.finish == "tool_calls" else choice.finish
    return {
        "index": index,
        "message": _message(choice, legacy),
        "logprobs": logprobs_shape(choice.logprobs),
        "finish_reason": finish,
    }


def _message(choice: Choice, legacy: bool) -> dict[str, Any]:
    text = "".join(choice.text)
    silent = bool(choice.calls or choice.refusal or choice.extra.get("audio"))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not silent else None,
        "refusal": "".join(choice.refusal) or None,
        "annotations": [],
        **choice.extra,
    }
    if choice.thought:
        message["reasoning_content"] = "".join(choice.thought)
    if choice.calls and legacy:  # the old shape has room for one call
        message["function_call"] = {"name": choice.calls[0].name, "arguments": "".join(choice.calls[0].arguments)}
    elif choice.calls:
        message["tool_calls"] = [_call(call) for call in choice.calls]
    return message


def _call(call: Called) -> dict[str, Any]:
    words = "input" if call.kind == "custom" else "arguments"
    extra = {"extra_content": call.extra_content} if call.extra_content else {}
    return {"id": call.id, "type": call.kind, call.kind: {"name": call.name, words: "".join(call.arguments)}, **extra}
