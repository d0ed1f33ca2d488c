"""The HTTP API: OpenAI's, but for its oddities (section 2.3).

Its answers have no finish reason, so their end is `[DONE]`, or the count of tokens on their last chunk. A stream that
just stops is no answer.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from parley.chat.events import Event, FinishReason, Stop, Text, Thought, ToolCall, Usage
from parley.chat.prompt import Assistant, Developer, Function, Message, Prompt, System, Tool, text_of
from parley.dialects import openai
from parley.dialects.spark.question import search_of, top_k_of
from parley.dialects.spark.refusals import OutputBlocked, failure_in
from parley.dialects.spark.told import spoken
from parley.dialects.spark.versions import version
from parley.errors import BadRequest, Failure, UpstreamEmpty, UpstreamTruncated

BASE_URL: Final = "https://spark-api-open.xf-yun.com"
PREVIEW_URL: Final = "https://spark-api-open-preview.xf-yun.com"
MODELS: Final = ("lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra", "x1", "spark-x")
_FOLDERS: Final = {"x1": "v2", "x1-preview": "v2", "spark-x": "x2"}
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
_NO_THOUGHT: Final = frozenset({"none", "minimal"})


def address(model: str, base_url: str) -> str:
    """Where a model is asked. A base URL that names its folder (`.../v2`) is kept as it is."""
    base = base_url or (PREVIEW_URL if model.endswith("-preview") else BASE_URL)
    named = urlsplit(base).path.rpartition("/")[2] in ("v1", "v2", "x2")
    return f"{base if named else f'{base}/{_folder(model)}'}/chat/completions"


def _folder(model: str) -> str:
    return _FOLDERS.get(model, "v1")


def most_tokens(prompt: Prompt) -> int | None:
    """How many tokens the answer may have, if anybody said."""
    known = version(prompt.model)
    return min(prompt.limit, known.most_tokens) if prompt.limit and known else prompt.limit


def encode(prompt: Prompt) -> bytes:
    """The body to send. Always a stream: the unary answer is its fold. Raises BadRequest."""
    body: dict[str, Any] = {"model": prompt.model, "messages": _messages(prompt.messages), "stream": True}
    reasons = prompt.model in _FOLDERS
    optional = {
        "max_tokens": most_tokens(prompt),
        "temperature": prompt.temperature,
        "top_p": prompt.top_p or None,  # its range begins above zero
        "top_k": top_k_of(prompt),
        "presence_penalty": prompt.presence_penalty if reasons else None,
        "frequency_penalty": prompt.frequency_penalty if reasons else None,
        "user": prompt.user or prompt.safety_identifier,
        "thinking": _thinking(prompt) if reasons else None,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if prompt.response_format is not None and prompt.response_format.type == "json_object":
        body["response_format"] = {"type": "json_object"}
    tools = [_tool(tool, position) for position, tool in enumerate(prompt.tools or ())]
    if tools:
        body["tool_calls_switch"] = True  # calls come as a list, as everywhere else
        if prompt.tool_choice is not None:
            tools, body["tool_choice"] = _chosen(tools, prompt.tool_choice)
    if (search := search_of(prompt)) is not None:
        tools.append(search)
    if tools:
        body["tools"] = tools
    return msgspec.json.encode(body)


def _thinking(prompt: Prompt) -> dict[str, str] | None:
    if prompt.reasoning_effort is None:
        return None
    return {"type": "disabled" if prompt.reasoning_effort in _NO_THOUGHT else "enabled"}


def _tool(tool: dict[str, Any], position: int) -> dict[str, Any]:
    function = tool["function"]
    if not _NAME.fullmatch(function["name"]):
        raise BadRequest(
            "With this model a function's name has 1 to 32 letters, digits and underscores.",
            param=f"tools[{position}].function.name",
            code="invalid_value",
        )
    return {"type": "function", "function": {name: value for name, value in function.items() if name != "strict"}}


def _chosen(tools: list[dict[str, Any]], choice: str | dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """OpenAI's choice among some of the tools is told as a choice among those alone."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return tools, choice
    allowed = {tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]}
    return [tool for tool in tools if tool["function"]["name"] in allowed], choice["allowed_tools"]["mode"]


# --- messages -----------------------------------------------------------------------------------------------------


def _messages(messages: list[Message]) -> list[dict[str, Any]]:
    """Neighbours of one role are merged, and messages without words left out, which the service refuses."""
    made: list[dict[str, Any]] = []
    for message in messages:
        told = _message(message)
        if not told["content"].strip() and "tool_calls" not in told and told["role"] != "tool":
            continue
        before = made[-1] if made else None
        if before and before["role"] == told["role"] != "tool" and "tool_calls" not in before:
            joined = f"{before['content']}\n{told['content']}" if told["content"] else before["content"]
            made[-1] = {**told, "content": joined}
        else:
            made.append(told)
    if not made:
        raise BadRequest("'messages' must hold a message with some text in it.", param="messages")
    return made


def _message(message: Message) -> dict[str, Any]:
    match message:
        case System() | Developer():
            return {"role": "system", "content": text_of(message.content)}
        case Tool():
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": text_of(message.content)}
        case Function():
            return {"role": "user", "content": f"[{message.name}] {message.content or ''}"}
        case Assistant():
            calls = [
                {"id": call.id, "type": "function", "function": msgspec.to_builtins(call.function)}
                for call in message.tool_calls or ()
                if call.function
            ]
            told: dict[str, Any] = {"role": "assistant", "content": spoken(message)}
            return {**told, "tool_calls": calls} if calls else told
    return {"role": "user", "content": text_of(message.content)}


# --- answers ------------------------------------------------------------------------------------------------------


class Decoder:
    """Reads one answer: OpenAI's chunks with the service's own codes and end."""

    def __init__(self, most_tokens: int | None) -> None:
        self._inner = openai.Decoder(self._look)
        self._most_tokens = most_tokens
        self._spoke = False
        self._called = False
        self._blocked = False
        self._whole = False
        """The answer came in one piece, which is complete by itself."""
        self._stop: Stop | None = None

    @property
    def done(self) -> bool:
        """Whether the service said that this was all."""
        return self._inner.done or self._blocked

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        if self.done:
            return []
        try:
            said = self._inner.feed(payload)
        except OutputBlocked:
            self._blocked = True
            return []
        events: list[Event] = []
        for event in said:
            match event:
                case Stop():  # newer servers do say a reason; usage may still follow
                    self._stop = event
                case Text() | Thought() | ToolCall() if event.choice == 0:
                    self._called = self._called or isinstance(event, ToolCall)
                    events.append(event)
                case _:
                    continue
        self._spoke = self._spoke or bool(events)
        return events

    def finish(self) -> list[Event]:
        """The end of the body: usage, and why the answer stopped. Raises UpstreamTruncated, UpstreamEmpty."""
        try:
            usage = next((event for event in self._inner.finish() if isinstance(event, Usage)), None)
        except UpstreamEmpty:
            if not self._blocked:
                raise
            usage = None
        if not (self.done or usage or self._stop or self._whole):
            raise UpstreamTruncated("The upstream's answer broke off before it was complete.")
        if not (self._spoke or self._blocked or self._stop):
            raise UpstreamEmpty("The upstream's answer is empty.")
        return [*([usage] if usage else ()), Stop(self._reason(usage))]

    def _look(self, chunk: dict[str, Any]) -> Failure | None:
        self._whole = any("message" in choice for choice in chunk.get("choices") or ())
        return failure_in(chunk)

    def _reason(self, usage: Usage | None) -> FinishReason:
        if self._blocked:
            return "content_filter"
        if self._stop:
            return self._stop.reason
        if self._called:
            return "tool_calls"
        full = usage is not None and self._most_tokens is not None and usage.completion >= self._most_tokens
        return "length" if full else "stop"
