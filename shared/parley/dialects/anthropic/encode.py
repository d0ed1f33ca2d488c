"""A prompt as a question to the Messages API (`upstreams/anthropic.md` sections 2.1, 4.1). Always a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import msgspec

from parley.chat.prompt import Prompt
from parley.dialects.anthropic.abilities import Abilities, abilities_of
from parley.dialects.anthropic.messages import conversation
from parley.dialects.anthropic.schemas import strict
from parley.dialects.anthropic.tools import toolbox, with_answer
from parley.errors import BadRequest, UnsupportedParameter

_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 24_576, "max": 30_720}
_LEAST: Final = 1024
"""Tokens: the smallest budget for thoughts, and what an answer gets beside them."""
_LONGEST_USER: Final = 256
_JSON: Final = "Answer with one valid JSON object and nothing else: no words before or behind it, no code fence."


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator decided where the API leaves it open."""

    sampling: bool | None = None
    """Whether models take `temperature` and its kin; None: by the model's name."""
    max_tokens: int | None = None
    """Tokens that an answer may have when the caller does not say; None: by the model's name."""
    hoist: bool = True
    """Whether instructions in the midst of a conversation go to its head."""
    opening: str = ""
    """What the user is made to say where a conversation begins with the assistant; empty: it is refused."""


class Question(NamedTuple):
    """What is sent, and how its answer is to be read."""

    body: bytes
    answer_tool: str | None
    """The tool whose input is the answer, if there is such a one."""
    signed: bool
    """Whether the caller will need the model's thoughts again, as signed."""


def encode(prompt: Prompt, rules: Rules) -> Question:
    """The question. Raises BadRequest, UnsupportedParameter."""
    if prompt.prediction is not None:
        raise UnsupportedParameter("'prediction' is not supported by this model.", param="prediction")
    model = abilities_of(prompt.model)
    said = conversation(prompt, opening=rules.opening, hoist=rules.hoist)
    box = toolbox(prompt, said.called, schemas=model.schemas)
    body: dict[str, Any] = {"model": prompt.model, "stream": True}
    answer_tool: str | None = None
    wanted, schema = _wanted(prompt)
    if wanted == "json_object":
        said.system.append({"type": "text", "text": _JSON})
    elif schema is not None:
        closed = strict(schema) if model.schemas else None
        if closed is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": closed}}
        else:
            box, answer_tool = with_answer(box, _object(schema), _described(prompt))
    if said.system:
        body["system"] = _system(said.system)
    body["messages"] = said.turns
    if box.tools:
        body["tools"] = box.tools
    if box.choice:
        body["tool_choice"] = box.choice
    thinks = _think(body, prompt, model, rules, may=said.may_think and not box.forced)
    if not thinks:
        body |= _sampling(prompt, model, rules)
    if stops := [stop for stop in prompt.stops if stop.strip()]:
        body["stop_sequences"] = stops
    if who := prompt.safety_identifier or prompt.user:
        body["metadata"] = {"user_id": who[:_LONGEST_USER]}
    if isinstance(cache := prompt.raw.get("cache_control"), dict):
        body["cache_control"] = cache
    return Question(msgspec.json.encode(body), answer_tool, signed=bool(prompt.tools))


# --- how the answer should look -----------------------------------------------------------------------------------


def _wanted(prompt: Prompt) -> tuple[str, dict[str, Any] | None]:
    """`text`, `json_object`, or `json_schema` and the schema; without one, any object will do."""
    wish = prompt.response_format
    if wish is None:
        return "text", None
    schema = (wish.json_schema or {}).get("schema") if wish.type == "json_schema" else None
    return ("json_object", None) if wish.type == "json_schema" and not schema else (wish.type, schema)


def _described(prompt: Prompt) -> str:
    wish = (prompt.response_format.json_schema if prompt.response_format else None) or {}
    return wish.get("description") or "Gives the answer, in the form that is wanted."


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type", "object") != "object":
        param = "response_format.json_schema.schema"
        raise BadRequest(f"'{param}' must be that of an object for this model.", param=param, code="invalid_value")
    return {"type": "object", **schema}


def _system(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One text; several only where what is before a mark is to be remembered."""
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


# --- thoughts and chance ------------------------------------------------------------------------------------------


def _think(body: dict[str, Any], prompt: Prompt, model: Abilities, rules: Rules, *, may: bool) -> bool:
    """Set how much the model thinks, and how long its answer may get; whether it thinks."""
    limit, effort = prompt.limit, prompt.reasoning_effort
    body["max_tokens"] = limit or rules.max_tokens or model.longest
    if effort is not None and effort != "none" and effort not in _BUDGETS:
        raise BadRequest(
            f"Invalid value for 'reasoning_effort': expected one of none, {', '.join(_BUDGETS)}.",
            param="reasoning_effort",
            code="invalid_value",
        )
    asked = prompt.raw.get("thinking")
    wish: dict[str, Any] | None
    if isinstance(asked, dict):
        wish = {"type": "adaptive", **asked}
    elif effort is None or model.thinking == "none":
        return False
    elif effort == "none":
        wish = {"type": "disabled"}
    elif model.thinking == "adaptive":
        body.setdefault("output_config", {})["effort"] = _effort(effort, model)
        wish = {"type": "adaptive"}
    else:
        wish = {"type": "enabled", "budget_tokens": _BUDGETS[effort]}
    if wish["type"] == "enabled":
        wish = _within(wish, body, limit)
    if wish is None or (not may and wish["type"] != "disabled"):
        return False
    body["thinking"] = wish
    return bool(wish["type"] != "disabled")


def _effort(effort: str, model: Abilities) -> str:
    if effort == "xhigh" and not model.xhigh:
        return "high"
    return "low" if effort == "minimal" else effort


def _within(wish: dict[str, Any], body: dict[str, Any], limit: int | None) -> dict[str, Any] | None:
    """The wish with a budget that leaves room for an answer; None where there is no room for both."""
    budget = wish.get("budget_tokens")
    if not isinstance(budget, int):
        raise BadRequest(
            "'thinking.budget_tokens' must be a number.", param="thinking.budget_tokens", code="invalid_type"
        )
    if limit is None:
        body["max_tokens"] = max(body["max_tokens"], budget + _LEAST)
        return wish
    budget = min(budget, limit - max(limit // 4, 1))
    return {**wish, "budget_tokens": budget} if budget >= _LEAST else None


def _sampling(prompt: Prompt, model: Abilities, rules: Rules) -> dict[str, Any]:
    """`temperature` and its kin, as far as the model takes them; the scale ends at 1 here."""
    takes: Literal["free", "one", "none"] = model.sampling
    if rules.sampling is not None:
        takes = ("free" if takes == "none" else takes) if rules.sampling else "none"
    if takes == "none":
        return {}
    said: dict[str, Any] = {}
    if prompt.temperature is not None:
        said["temperature"] = min(prompt.temperature, 1.0)
    if prompt.top_p is not None and not (said and takes == "one"):
        said["top_p"] = prompt.top_p
    top_k = prompt.raw.get("top_k")
    if isinstance(top_k, int) and not isinstance(top_k, bool):
        said["top_k"] = top_k
    return said
