"""Strict mode: what the service refuses with a 400, so that nobody sends garbage unnoticed.

Every rule is a generator of sentences over the whole body; the first one found is the answer.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from .errors import Refused, invalid
from .settings import Model, Settings
from .thoughts import is_ours

Body = dict[str, Any]
VERSIONS = ("2023-06-01", "2026-10-21")
GENERATION = {"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"}
# fmt: off
KNOWN = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "inference_geo", "speed", "container", "context_management", "mcp_servers", "diagnostics", *GENERATION,
})
# fmt: on
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "max_tokens": (int,),
    "system": (str, list),
    "stream": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "stop_sequences": (list,),
    "metadata": (dict,),
    "tools": (list,),
    "tool_choice": (dict,),
    "thinking": (dict,),
    "output_config": (dict,),
    "cache_control": (dict,),
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ID = re.compile(r"[a-zA-Z0-9_-]+")
MEDIA = ("image/jpeg", "image/png", "image/gif", "image/webp")
BLOCKS: dict[str, tuple[set[str], set[str]]] = {  # type: what it must have, what it may have
    "text": ({"text"}, {"cache_control", "citations"}),
    "image": ({"source"}, {"cache_control"}),
    "document": ({"source"}, {"title", "context", "citations", "cache_control"}),
    "tool_use": ({"id", "name", "input"}, {"cache_control"}),
    "tool_result": ({"tool_use_id"}, {"content", "is_error", "cache_control"}),
    "thinking": ({"thinking", "signature"}, set()),
    "redacted_thinking": ({"data"}, set()),
}
PLACES = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking", "document"},
}
BOUNDS = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
}


def parse(raw: bytes, content_type: str) -> Body:
    """The JSON object in a request's body; this much is checked even when not strict."""
    if content_type != "application/json":
        raise invalid(f"content-type: {content_type!r} is not application/json")
    try:
        body = json.loads(raw)
    except (ValueError, UnicodeDecodeError):
        raise invalid("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise invalid("The request body is not an object")
    return body


def check(body: Body, settings: Settings, version: str, *, counting: bool = False) -> None:
    """Raise the first refusal, if there is one."""
    for sentence in _shape(body, counting):
        raise invalid(sentence)
    model = settings.models.get(body["model"])
    if model is None and not settings.any_model:
        raise Refused(404, "not_found_error", f"model: {body['model']}")
    for sentence in _rules(body, model or Model(), version):
        raise invalid(sentence)
    for sentence in _alternation(body["messages"]) if settings.alternate else ():
        raise invalid(sentence)


def _shape(body: Body, counting: bool) -> Iterator[str]:
    known = KNOWN - GENERATION if counting else KNOWN
    for name in sorted(body.keys() - known):
        yield f"{name}: Extra inputs are not permitted"
    for name in ("model", "messages", *(() if counting else ("max_tokens",))):
        if name not in body:
            yield f"{name}: Field required"
    for name, kinds in TYPES.items():
        if name in body and (not isinstance(body[name], kinds) or (isinstance(body[name], bool) and bool not in kinds)):
            yield f"{name}: Input should be a valid {kinds[-1].__name__}"


def _rules(body: Body, model: Model, version: str) -> Iterator[str]:
    if body.get("max_tokens", 1) < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    if body.get("max_tokens", 1) > model.longest:
        yield (
            f"max_tokens: {body['max_tokens']} > {model.longest}, which is the maximum allowed number of output tokens "
            f"for {body['model']}"
        )
    yield from _sampling(body, model, version)
    for stop in body.get("stop_sequences", ()):
        if not isinstance(stop, str) or not stop.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"
    for name in body.get("metadata", {}).keys() - {"user_id"}:
        yield f"metadata.{name}: Extra inputs are not permitted"
    if len(body.get("metadata", {}).get("user_id") or "") > 256:
        yield "metadata.user_id: String should have at most 256 characters"
    if isinstance(body.get("system"), list):
        yield from _blocks(body["system"], "system", {"text"})
    elif body.get("system") == "":
        yield "system: text content blocks must be non-empty"
    yield from _tools(body, model)
    yield from _thinking(body, model)
    yield from _output(body, model)
    yield from _messages(body, model, version)
    marks = json.dumps(body).count('"cache_control": {')
    if marks > 4:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."


def _sampling(body: Body, model: Model, version: str) -> Iterator[str]:
    given = [name for name in ("temperature", "top_p", "top_k") if name in body]
    if version == "2026-10-21":
        for name in given:
            yield f"{name}: Extra inputs are not permitted"
    for name in given:
        if name != "top_k" and not 0 <= body[name] <= 1:
            yield f"{name}: range: 0..1"
        if model.sampling == "none" and body[name] != 1:
            yield f"{name}: this model accepts only the default value"
    if model.sampling == "one" and {"temperature", "top_p"} <= body.keys():
        yield "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


def _tools(body: Body, model: Model) -> Iterator[str]:
    names: list[str] = []
    for index, tool in enumerate(body.get("tools", ())):
        at = f"tools.{index}"
        if "type" in tool and tool["type"] != "custom":
            continue  # a tool of the service itself
        allowed = {"name", "description", "input_schema", "type", "strict", "cache_control", "input_examples"}
        for name in sorted(tool.keys() - allowed - {"eager_input_streaming", "defer_loading"}):
            yield f"{at}.custom.{name}: Extra inputs are not permitted"
        if not NAME.fullmatch(str(tool.get("name"))):
            yield f"{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        names.append(str(tool.get("name")))
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            yield f"{at}.custom.input_schema: Field required"
        elif schema.get("type") != "object":
            yield f"{at}.custom.input_schema.type: Input should be 'object'"
        elif tool.get("strict"):
            if not model.schemas:
                yield f"{at}.custom.strict: Extra inputs are not permitted"
            yield from _strict(schema, f"{at}.custom.input_schema")
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        yield "tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
    if not body.get("tools"):
        yield "tool_choice: may only be specified while providing tools"
    if choice.get("type") == "tool" and choice.get("name") not in names:
        yield f"tool_choice.tool.name: Tool '{choice.get('name')}' not found in provided tools"
    extra = choice.keys() - {"type", "name", "disable_parallel_tool_use"}
    if extra or (choice.get("type") == "none" and "disable_parallel_tool_use" in choice):
        yield "tool_choice.disable_parallel_tool_use: Extra inputs are not permitted"


def _thinking(body: Body, model: Model) -> Iterator[str]:
    wish = body.get("thinking")
    if wish is None:
        return
    kind = wish.get("type")
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        yield "thinking: Input tag does not match any of the expected tags"
    if kind == "disabled":
        return
    if model.thinking == "none":
        yield "thinking: this model does not support thinking"
    if (kind == "adaptive") != (model.thinking == "adaptive"):
        yield f"thinking.type: '{kind}' is not supported by this model"
    if kind == "enabled":
        budget = wish.get("budget_tokens")
        if not isinstance(budget, int):
            yield "thinking.enabled.budget_tokens: Field required"
        elif budget < 1024:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        elif budget >= body.get("max_tokens", budget + 1):
            yield "`max_tokens` must be greater than `thinking.budget_tokens`."
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if body.get("temperature", 1) != 1:
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if body.get("top_p", 1) < 0.95 or "top_k" in body:
        yield "`top_p` must be at least 0.95 and `top_k` unset when thinking is enabled."
    if body["messages"] and body["messages"][-1].get("role") == "assistant":
        yield "messages: the final message may not be the assistant's when thinking is enabled"
    yield from _loop(body["messages"])


def _loop(messages: list[Body]) -> Iterator[str]:
    """Within a round of tools, each turn of the assistant begins with the thought that led to it."""
    for index in range(len(messages) - 1, -1, -1):
        content = messages[index].get("content")
        kinds = [block.get("type") for block in content] if isinstance(content, list) else ["text"]
        if messages[index].get("role") == "user":
            if "tool_result" not in kinds:
                return
        elif "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
            yield (
                f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. "
                "When `thinking` is enabled, a final `assistant` message must start with a thinking block."
            )


def _output(body: Body, model: Model) -> Iterator[str]:
    wish = body.get("output_config")
    if wish is None:
        return
    for name in sorted(wish.keys() - {"effort", "format"}):
        yield f"output_config.{name}: Extra inputs are not permitted"
    if "effort" in wish and (
        wish["effort"] not in ("low", "medium", "high", "xhigh", "max") or model.thinking != "adaptive"
    ):
        yield "output_config.effort: this model does not support the effort parameter"
    if "format" not in wish:
        return
    if not model.schemas:
        yield "output_config.format: this model does not support structured outputs"
    shape = wish["format"]
    if shape.get("type") != "json_schema" or not isinstance(shape.get("schema"), dict):
        yield "output_config.format: Input should be a json_schema with its schema"
    else:
        yield from _strict(shape["schema"], "output_config.format.schema")


def _strict(schema: Any, at: str) -> Iterator[str]:
    """What a schema may not say where the model must keep to it."""
    if isinstance(schema, list):
        for one in schema:
            yield from _strict(one, at)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to false"
    for name in sorted(schema.keys() & BOUNDS):
        if not isinstance(schema[name], dict):
            yield f"{at}: For '{schema.get('type')}' type, property '{name}' is not supported"
    if "oneOf" in schema:
        yield f"{at}: 'oneOf' is not supported"
    for name, inner in schema.items():
        if name in ("properties", "$defs", "definitions"):
            yield from _strict(list(inner.values()), at)
        elif name in ("items", "anyOf", "allOf"):
            yield from _strict(inner, at)


def _messages(body: Body, model: Model, version: str) -> Iterator[str]:
    messages = body["messages"]
    if not messages:
        yield "messages: at least one message is required"
    ids: set[str] = set()
    waiting: list[str] = []
    tools_spoken = False
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        role = message.get("role")
        if role not in PLACES:
            yield f"{at}.role: Input should be 'user' or 'assistant'"
        for name in sorted(message.keys() - {"role", "content"}):
            yield f"{at}.{name}: Extra inputs are not permitted"
        if index == 0 and role != "user":
            yield 'messages: first message must use the "user" role'
        content = message.get("content")
        last = index == len(messages) - 1
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or (not content and not (last and role == "assistant")):
            yield f"{at}.content: Input should be a valid list with something in it"
            return
        yield from _blocks(content, f"{at}.content", PLACES[str(role)])
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        first = [block["type"] == "tool_result" for block in content[: len(results)]]
        for place, result in enumerate(results):
            if result not in waiting:
                yield (
                    f"{at}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        if len(set(results)) < len(results):
            yield f"{at}: each `tool_use` must have a single result"
        if (missing := [one for one in waiting if one not in results]) or not all(first):
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        waiting = [block["id"] for block in content if block["type"] == "tool_use"]
        tools_spoken |= bool(waiting or results)
        if ids & set(waiting) or len(set(waiting)) < len(waiting):
            yield f"{at}: `tool_use` ids must be unique"
        ids |= set(waiting)
        if role == "assistant":
            yield from _said(content, f"{at}.content", last, model, version)
        elif any(block.get("citations") for block in content if block["type"] == "text") and version == "2026-10-21":
            yield f"{at}.content: citations are not permitted in a user message"
    if waiting:
        yield f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after"
    if tools_spoken and not body.get("tools"):
        yield "Requests which have `tool_use` or `tool_result` blocks in messages must define tools"


def _alternation(messages: list[Body]) -> Iterator[str]:
    for before, message in pairwise(messages):
        if before["role"] == message["role"]:
            yield (
                'messages: roles must alternate between "user" and "assistant", '
                f'but found multiple "{message["role"]}" roles in a row'
            )


def _said(content: list[Body], at: str, last: bool, model: Model, version: str) -> Iterator[str]:
    """What the assistant is said to have said."""
    for place, block in enumerate(content):
        if block["type"] == "thinking" and not is_ours(block):
            yield f"{at}.{place}: Invalid `signature` in `thinking` block"
        if block["type"] == "document" and version == "2026-10-21":
            yield f"{at}.{place}: a document is not permitted in an assistant message"
    if last:
        if not model.prefill:
            yield "This model does not support assistant message prefill."
        if content and content[-1]["type"] == "text" and content[-1]["text"] != content[-1]["text"].rstrip():
            yield "messages: final assistant content cannot end with trailing whitespace"


def _blocks(blocks: list[Any], at: str, allowed: set[str]) -> Iterator[str]:
    for place, block in enumerate(blocks):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in BLOCKS or kind not in allowed:
            yield f"{at}.{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            return
        must, may = BLOCKS[kind]
        for name in sorted(must - block.keys()):
            yield f"{at}.{place}.{kind}.{name}: Field required"
        for name in sorted(block.keys() - must - may - {"type"}):
            yield f"{at}.{place}.{kind}.{name}: Extra inputs are not permitted"
        yield from _block(block, f"{at}.{place}")


def _block(block: Body, at: str) -> Iterator[str]:
    match block["type"]:
        case "text":
            if not isinstance(block["text"], str):
                yield f"{at}.text.text: Input should be a valid string"
            elif not block["text"].strip():
                yield "messages: text content blocks must be non-empty"
        case "tool_use":
            if not ID.fullmatch(str(block["id"])):
                yield f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            if not isinstance(block["input"], dict):
                yield f"{at}.tool_use.input: Input should be a valid dictionary"
        case "tool_result":
            content = block.get("content", "")
            if isinstance(content, list):
                yield from _blocks(content, f"{at}.tool_result.content", {"text", "image", "document"})
            elif not isinstance(content, str):
                yield f"{at}.tool_result.content: Input should be a valid string"
        case "image" | "document":
            yield from _source(block["source"], at, MEDIA if block["type"] == "image" else ("application/pdf",))


def _source(source: Body, at: str, media: tuple[str, ...]) -> Iterator[str]:
    match source.get("type"):
        case "base64":
            if source.get("media_type") not in media:
                yield f"{at}.source.base64.media_type: Input should be {' or '.join(media)}"
            try:
                if not base64.b64decode(source["data"], validate=True):
                    yield f"{at}.source.base64: image cannot be empty"
            except (binascii.Error, KeyError, TypeError):
                yield f"{at}.source.base64.data: invalid base64 data"
        case "url":
            if not str(source.get("url")).startswith("https://"):
                yield f"{at}.source.url.url: Only HTTPS URLs are supported."
        case "text":
            if source.get("media_type") != "text/plain" or not source.get("data"):
                yield f"{at}.source.text: Input should be text/plain"
        case _:
            yield f"{at}.source: Input tag does not match any of the expected tags"
