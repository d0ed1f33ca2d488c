"""What a question on the socket must look like. Stricter than the service: a slip of ours should not pass unseen."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.upstreams.h2ogpte.accounts import Account
from tests.upstreams.h2ogpte.chats import Chat
from tests.upstreams.h2ogpte.model import Asked

NEEDED = frozenset(
    ["t", "mode", "session_id", "correlation_id", "body", "llm", "llm_args", "self_reflection_config", "rag_config"]
)
KNOWN = NEEDED | frozenset(
    [
        "include_chat_history",
        "tags",
        "system_prompt",
        "pre_prompt_query",
        "prompt_query",
        "pre_prompt_summary",
        "prompt_summary",
        "prompt_template_id",
        "metadata_filter",
        "image_batch_image_prompt",
        "image_batch_final_prompt",
    ]
)
RAG_TYPES = frozenset(
    [
        "auto",
        "llm_only",
        "agent_only",
        "agentic_rag",
        "rlm_rag",
        "rag",
        "hyde1",
        "hyde2",
        "rag+",
        "all_data",
        "graph_rag",
    ]
)
MOST_NEW_TOKENS = 32768


def complaint(query: Any, account: Account) -> str | None:
    """What is wrong with this query frame, or None."""
    if not isinstance(query, dict) or query.get("t") != "cq":
        return "expected an object with t = cq"
    if missing := NEEDED - query.keys():
        return f"missing: {', '.join(sorted(missing))}"
    if unknown := query.keys() - KNOWN:
        return f"unknown: {', '.join(sorted(unknown))}"
    return (
        _wrong_kinds(query)
        or _wrong_strings(query)
        or _wrong_template(query.get("prompt_template_id"), account)
        or wrong_args(json.loads(query["llm_args"]) or {}, json.loads(query["rag_config"]) or {})
    )


def wrong_args(llm_args: dict[str, Any], rag_config: dict[str, Any]) -> str | None:
    """What is wrong with model arguments, on the socket and over REST."""
    temperature = llm_args.get("temperature", 0)
    if not _number(temperature) or not 0 <= temperature <= 1:
        return f"llm_args.temperature must be between 0 and 1, not {temperature!r}"
    most = llm_args.get("max_new_tokens", 1)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_NEW_TOKENS:
        return f"llm_args.max_new_tokens must be between 1 and {MOST_NEW_TOKENS}, not {most!r}"
    effort = llm_args.get("reasoning_effort", 0)
    if not isinstance(effort, int) or effort < 0:
        return f"llm_args.reasoning_effort must be a number of tokens, not {effort!r}"
    kind = llm_args.get("response_format", "text")
    if kind not in {"text", "json_object", "json_code"}:
        return f"llm_args.response_format must be text, json_object or json_code, not {kind!r}"
    rag = rag_config.get("rag_type", "auto")
    return None if rag in RAG_TYPES else f"rag_config.rag_type: {rag!r} is not known"


def asked(query: dict[str, Any], chat: Chat, system_prompt: str | None) -> Asked:
    """The question as it reaches the model."""
    wanted = query.get("include_chat_history", "auto")
    return Asked(
        door="ws",
        body=query["body"],
        system_prompt=system_prompt,
        llm=query["llm"],
        llm_args=json.loads(query["llm_args"]) or {},
        rag_config=json.loads(query["rag_config"]),
        include_chat_history=wanted,
        history=chat.history() if wanted in {"auto", "on", True} else [],
        tags=query.get("tags"),
        prompt_template_id=query.get("prompt_template_id"),
        session_template_id=chat.template_id,
    )


def _wrong_kinds(query: dict[str, Any]) -> str | None:
    if query["mode"] not in {"s", "l", "h"}:
        return f"mode must be s, l or h, not {query['mode']!r}"
    for name in ("session_id", "correlation_id", "body"):
        if not isinstance(query[name], str) or not query[name]:
            return f"{name} must be a string with something in it"
    if isinstance(query["llm"], bool) or not isinstance(query["llm"], str | int | None):
        return "llm must be a name, an index or null"
    wanted = query.get("include_chat_history", "auto")
    if wanted is not None and not isinstance(wanted, bool) and wanted not in {"auto", "on", "off"}:
        return f"include_chat_history must be auto, on, off or a boolean, not {wanted!r}"
    if not isinstance(query.get("tags"), list | dict | None):
        return "tags must be a list, an object or null"
    if not isinstance(query.get("system_prompt"), str | None):
        return "system_prompt must be a string or null"
    return None


def _wrong_strings(query: dict[str, Any]) -> str | None:
    for name in ("llm_args", "rag_config", "self_reflection_config"):
        if not isinstance(query[name], str):
            return f"{name} must be a string that holds JSON"
        try:
            value = json.loads(query[name])
        except ValueError:
            return f"{name} must be a string that holds JSON"
        if not isinstance(value, dict | None):
            return f"{name} must hold an object or null"
    return None


def _wrong_template(template_id: Any, account: Account) -> str | None:
    if template_id is None:
        return None
    try:
        uuid.UUID(template_id)
    except (ValueError, AttributeError, TypeError):
        return "prompt_template_id must be a UUID or null"
    return "prompt templates are not available to guests" if account.is_guest else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
