"""Tools, and how they may be chosen (`upstreams/anthropic.md` sections 2.1, 4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from parley.chat.prompt import Prompt
from parley.dialects.anthropic.schemas import strict

_ANYTHING: Final = {"type": "object", "properties": {}}


class Toolbox(NamedTuple):
    """What a question says of tools."""

    tools: list[dict[str, Any]]
    choice: dict[str, Any] | None

    @property
    def forced(self) -> bool:
        """Whether the model must call one: then it may not think."""
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def toolbox(prompt: Prompt, called: Iterable[str], *, schemas: bool) -> Toolbox:
    """The tools of a prompt; `called` are the names that its history calls, `schemas` as in `Abilities`."""
    wish = prompt.tool_choice
    given = prompt.tools or []
    if isinstance(wish, dict) and wish.get("type") == "allowed_tools":
        # There is no such choice here: what may not be called is not told.
        allowed = {tool["function"]["name"] for tool in wish["allowed_tools"]["tools"]}
        given = [tool for tool in given if tool["function"]["name"] in allowed]
        wish = wish["allowed_tools"]["mode"]
    if not given:
        # A conversation with calls in it is refused without any tool: those of the history are told, for nobody's use.
        return Toolbox(
            [{"name": name, "input_schema": _ANYTHING} for name in called], {"type": "none"} if called else None
        )
    choice: dict[str, Any] | None
    match wish:
        case None | "auto":
            choice = None
        case "none":
            choice = {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case _:
            choice = {"type": "tool", "name": wish["function"]["name"]}
    if prompt.parallel_tool_calls is False and wish != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return Toolbox([_tool(tool, schemas) for tool in given], choice)


def with_answer(box: Toolbox, schema: dict[str, Any], description: str) -> tuple[Toolbox, str | None]:
    """The tools and one more, whose input is the answer, and its name; None where another tool must be called.

    For models that do not keep to a schema by themselves: they do in the input of a tool.
    """
    offered = bool(box.tools) and (box.choice is None or box.choice["type"] == "auto")
    if box.forced:
        return box, None
    name = "answer"
    while any(tool["name"] == name for tool in box.tools):
        name += "_"
    tool = {"name": name, "description": description, "input_schema": schema}
    if offered:
        return Toolbox([*box.tools, tool], {**(box.choice or {}), "type": "any"}), name
    choice = {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    return Toolbox([*box.tools, tool], choice), name


def _tool(tool: dict[str, Any], schemas: bool) -> dict[str, Any]:
    function = tool["function"]
    schema = {"type": "object", **(function.get("parameters") or _ANYTHING)}
    new: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        new["description"] = function["description"]
    closed = strict(schema) if schemas and function.get("strict") else None
    new["input_schema"] = closed or schema
    if closed:
        new["strict"] = True
    cache = tool.get("cache_control") or function.get("cache_control")
    if isinstance(cache, dict):
        new["cache_control"] = cache
    return new
