"""The vendor's own look-alike of OpenAI's API: its requests in Gemini's words, and the answers back in OpenAI's.

Its oddities are kept: errors are one-element arrays, tool deltas of a stream all say index 0 and come whole, a stream
ends with `stop` although tools were called, usage has no details, ids of models begin with `models/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .answer import Candidate
from .reading import Body
from .refusal import invalid
from .shapes import Frame, usage

KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "user",
        "extra_body",
    }
)
_FINISH = {"MAX_TOKENS": "length", "SAFETY": "content_filter"}


def native(body: Body) -> Body:
    """A chat completion's request as Gemini's. Raises Refused for what this face does not know."""
    for name in body.keys() - KNOWN:
        raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.', name)
    names: dict[str, str] = {}
    made: Body = {"contents": []}
    rules = [_words(one) for one in body["messages"] if one["role"] in ("system", "developer")]
    if rules:
        made["systemInstruction"] = {"parts": [{"text": "\n".join(rules)}]}
    for message in body["messages"]:
        if message["role"] not in ("system", "developer"):
            _add(made["contents"], "model" if message["role"] == "assistant" else "user", _parts(message, names))
    if body.get("tools"):
        functions = [{**one["function"]} for one in body["tools"]]
        for one in functions:
            one.pop("strict", None)
            one["parametersJsonSchema"] = one.pop("parameters", {})
        made["tools"] = [{"functionDeclarations": functions}]
    told = {
        "temperature": body.get("temperature"),
        "topP": body.get("top_p"),
        "maxOutputTokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "candidateCount": body.get("n"),
    }
    google = ((body.get("extra_body") or {}).get("google") or {}).get("thinking_config")
    made["generationConfig"] = {name: value for name, value in told.items() if value is not None}
    if google:
        made["generationConfig"]["thinkingConfig"] = {
            "includeThoughts": bool(google.get("include_thoughts")),
            "thinkingBudget": google.get("thinking_budget", -1),
        }
    return made


def _words(message: Body) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _parts(message: Body, names: dict[str, str]) -> list[Body]:
    if message["role"] == "tool":
        known = message["tool_call_id"]
        return [
            {"functionResponse": {"id": known, "name": names.get(known, ""), "response": {"result": _words(message)}}}
        ]
    parts: list[Body] = [{"text": text}] if (text := _words(message)) else []
    for call in message.get("tool_calls") or ():
        names[call["id"]] = call["function"]["name"]
        arguments = json.loads(call["function"]["arguments"] or "{}")
        part: Body = {"functionCall": {"id": call["id"], "name": call["function"]["name"], "args": arguments}}
        signed = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
        parts.append({**part, "thoughtSignature": signed} if signed else part)
    return parts


def _add(contents: list[Body], role: str, parts: list[Body]) -> None:
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"] += parts
    else:
        contents.append({"role": role, "parts": parts})


def completion(frame: Frame, said: list[Candidate]) -> Body:
    """The unary answer."""
    choices = []
    for index, one in enumerate(said):
        message: Body = {"role": "assistant", "content": _thought(one) + "".join(one.pieces)}
        if one.calls:
            message |= {"content": None, "tool_calls": list(_calls(frame, one))}
        finish = _FINISH.get(one.finish, "tool_calls" if one.calls else "stop")
        choices.append({"index": index, "message": message, "finish_reason": finish})
    return {**_top(frame, "chat.completion"), "choices": choices, "usage": _bill(frame, said)}


def chunks(frame: Frame, said: list[Candidate], *, billed: bool) -> Iterator[tuple[float, Any]]:
    """The streamed answer, without its `[DONE]`."""
    for index, one in enumerate(said):
        deltas: list[Body] = [{"content": piece} for piece in ([_thought(one)] if _thought(one) else []) + one.pieces]
        deltas += [{"tool_calls": [{"index": 0, **call}]} for call in _calls(frame, one)]
        for delta in deltas or [{"content": ""}]:
            choice = {"index": index, "delta": {"role": "assistant", **delta}, "finish_reason": None}
            yield frame.piece_delay, {**_top(frame, "chat.completion.chunk"), "choices": [choice]}
        last = {"index": index, "delta": {"role": "assistant"}, "finish_reason": _FINISH.get(one.finish, "stop")}
        bill = {"usage": _bill(frame, said)} if billed and index == len(said) - 1 else {}
        yield 0.0, {**_top(frame, "chat.completion.chunk"), "choices": [last], **bill}


def _thought(one: Candidate) -> str:
    return f"<thought>{''.join(one.thoughts)}</thought>" if one.thoughts and one.shows_thoughts else ""


def _calls(frame: Frame, one: Candidate) -> Iterator[Body]:
    for place, (name, arguments) in enumerate(one.calls):
        function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        call: Body = {"id": f"function-call-{frame.number}{place}", "type": "function", "function": function}
        if frame.signature and not place:
            call["extra_content"] = {"google": {"thought_signature": frame.signature}}
        yield call


def _top(frame: Frame, kind: str) -> Body:
    return {"id": f"r-{frame.number}", "object": kind, "created": 1700000000, "model": frame.model}


def _bill(frame: Frame, said: list[Candidate]) -> Body:
    told = usage(frame, said, whole=True)
    prompt, total = told["promptTokenCount"], told["totalTokenCount"]
    return {"prompt_tokens": prompt, "completion_tokens": told.get("candidatesTokenCount", 0), "total_tokens": total}
