"""A prompt for the legacy API (`upstreams/baidu-qianfan.md` A2 and its mapping)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from parley.chat.demands import KNOBS
from parley.chat.prompt import Prompt
from parley.dialects import plain
from parley.dialects.qianfan.legacy.turns import turns
from parley.errors import UnsupportedParameter

DROPS: Final = frozenset(KNOBS) - {"temperature", "top_p", "user", "safety_identifier"}
"""What merely tunes, and is not sent."""

_OWN: Final = ("penalty_score", "disable_search", "enable_citation")
"""The API's own fields, passed on where a caller writes them."""
_TEMPERATURE: Final = (0.01, 1.0)
_FEWEST_TOKENS: Final = 2
_MOST_STOPS: Final = 4
_LONGEST_STOP: Final = 20


def encode(prompt: Prompt) -> bytes:
    """The body to send. Always a stream: the unary answer is its fold. Raises BadRequest, UnsupportedParameter."""
    body: dict[str, Any] = {"messages": turns(prompt.messages)}
    rules = plain.instructions(prompt.messages)
    if rules and rules.strip():
        body["system"] = rules
    if prompt.temperature is not None:
        least, most = _TEMPERATURE
        body["temperature"] = min(max(prompt.temperature, least), most)
    if prompt.top_p is not None:
        body["top_p"] = prompt.top_p
    if prompt.limit is not None:
        body["max_output_tokens"] = max(prompt.limit, _FEWEST_TOKENS)
    # The gateway keeps all of them; those that the API takes end the answer there, too.
    if stops := [stop for stop in prompt.stops if len(stop) <= _LONGEST_STOP][:_MOST_STOPS]:
        body["stop"] = stops
    if prompt.response_format is not None and prompt.response_format.type == "json_object":
        body["response_format"] = "json_object"
    if user := prompt.user or prompt.safety_identifier:
        body["user_id"] = user
    body.update(_functions(prompt))
    body.update({name: value for name in _OWN if (value := prompt.raw.get(name)) is not None})
    body["stream"] = True
    return msgspec.json.encode(body)


def _functions(prompt: Prompt) -> dict[str, Any]:
    """The functions, and which of them is to be called. The API knows no other demand than for a named one."""
    choice, tools = prompt.tool_choice, [tool["function"] for tool in prompt.tools or ()]
    if choice == "none" or not tools:
        return {}
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {tool["function"]["name"] for tool in allowed["tools"]}
        tools = [tool for tool in tools if tool["name"] in names]
        choice = allowed["mode"]
    made: dict[str, Any] = {"functions": [_function(tool) for tool in tools]}
    if choice == "required":
        if len(tools) != 1:
            raise UnsupportedParameter(
                "'tool_choice' cannot be 'required' with several tools here; name the one to call.",
                param="tool_choice",
            )
        choice = {"type": "function", "function": {"name": tools[0]["name"]}}
    if isinstance(choice, dict):
        made["tool_choice"] = {"type": "function", "function": {"name": choice["function"]["name"]}}
    return made


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    parameters = dict(tool.get("parameters") or {"type": "object"})
    parameters.setdefault("properties", {})  # needed, even where there are none
    return {"name": tool["name"], "description": tool.get("description") or tool["name"], "parameters": parameters}
