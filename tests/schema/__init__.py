"""What OpenAI publishes about its answers, as checks: `assert`s that fail with the place and the reason.

    check_completion(body)      check_chunk(chunk)      check_error(body)
    check_models(body)          check_model(body)
    check_stream(chunks, include_usage=...)     the invariants between the chunks of one complete stream

The facts are in `published/*.json` (JSON Schema 2020-12, written for this project; closed objects, so that a key which
OpenAI does not have is refused; let in are the extensions `reasoning_content`, `thinking_blocks`, and `extra_content`
of a function call). Every object is also read by the types of the `openai` package itself, strictly: no coercion.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ValidationError
from referencing import Registry, Resource

from .stream import check_order, fitting

PUBLISHED = Path(__file__).parent / "published"

__all__ = ["check_chunk", "check_completion", "check_error", "check_model", "check_models", "check_stream"]


def check_completion(body: Any) -> None:
    """One unary chat completion."""
    _fits("chat.completion", body)
    _reads(ChatCompletion, body)
    for place, choice in enumerate(body["choices"]):
        at = f"choices[{place}]"
        message, reason = choice["message"], choice["finish_reason"]
        called = "tool_calls" in message
        assert choice["index"] == place, f"{at}.index is {choice['index']}"
        assert fitting(reason, called), f"{at}: finish_reason {reason!r} with tool calls {called}"
        silent = called or message["refusal"] is not None or "function_call" in message
        assert message["content"] is not None or silent, f"{at}.message says nothing"
    if "usage" in body:
        _adds_up(body["usage"])


def check_chunk(chunk: Any) -> None:
    """One chunk of a stream, by itself."""
    alike = _without_words(chunk)
    if alike and alike in _right:
        return
    _fits("chat.completion.chunk", chunk)
    _reads(ChatCompletionChunk, chunk)
    if chunk.get("usage"):
        _adds_up(chunk["usage"])
    if alike:
        _right.add(alike)


_right: set[str] = set()
"""Chunks that were found right, as `_without_words` gives them: a look takes a hundredth of a check."""


def _without_words(chunk: Any) -> str:
    """The chunk as text, but for the words in it: most chunks of a stream differ in nothing else. Empty: no telling."""
    try:
        choices = [{**choice, "delta": {**choice["delta"]}} for choice in chunk["choices"]]
        for choice in choices:
            for name in choice["delta"].keys() & {"content", "reasoning_content"}:
                if choice["delta"][name] and isinstance(choice["delta"][name], str):
                    choice["delta"][name] = "words"
        return json.dumps({**chunk, "choices": choices})
    except (TypeError, KeyError):
        return ""


def check_error(body: Any) -> None:
    """The error envelope."""
    _fits("error", body)


def check_models(body: Any) -> None:
    """The list of models."""
    _fits("list", body)
    for model in body["data"]:
        _reads(Model, model)
    names = [model["id"] for model in body["data"]]
    assert len(set(names)) == len(names), f"a model is listed twice: {sorted(names)}"


def check_model(body: Any) -> None:
    """One model."""
    _fits("model", body)
    _reads(Model, body)


def check_stream(chunks: list[Any], include_usage: bool) -> None:
    """A complete stream: every chunk, and what holds between them. `[DONE]` is the caller's to look for."""
    for chunk in chunks:
        check_chunk(chunk)
    check_order(chunks, include_usage)


def _adds_up(usage: Any) -> None:
    total = usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["total_tokens"] == total, f"usage.total_tokens is {usage['total_tokens']}, the parts give {total}"


def _fits(name: str, value: Any) -> None:
    faults = sorted(_validator(name).iter_errors(value), key=lambda fault: len(fault.json_path), reverse=True)
    if faults:
        said = "; ".join(f"{fault.json_path}: {fault.message[:300]}" for fault in faults[:5])
        raise AssertionError(f"not OpenAI's {name}: {said}\n{json.dumps(value, ensure_ascii=False)[:2000]}")


def _reads(kind: type[BaseModel], value: Any) -> None:
    try:
        kind.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise AssertionError(f"the openai package cannot read this as {kind.__name__}: {error}") from None


@cache
def _validator(name: str) -> Draft202012Validator:
    facts = {path.stem: json.loads(path.read_text()) for path in PUBLISHED.glob("*.json")}
    for schema in facts.values():
        Draft202012Validator.check_schema(schema)
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in facts.values()
    )
    return Draft202012Validator(facts[name], registry=registry)
