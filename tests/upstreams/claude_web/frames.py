"""An answer as server-sent events, and how its frames are twisted (`upstreams/claude-web.md` 1.6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

Event = dict[str, Any]


class Answer(msgspec.Struct):
    """What is to be said."""

    human: str
    uuid: str
    text: str
    thoughts: str = ""
    calls: list[tuple[str, str]] = []
    stop: str = "end_turn"


LIMIT: Event = {
    "type": "message_limit",
    "message_limit": {
        "type": "within_limit",
        "resetsAt": None,
        "remaining": None,
        "perModelLimit": None,
        "representativeClaim": "five_hour",
        "windows": {
            "5h": {"status": "within_limit", "resets_at": 1767225600, "utilization": 0.32},
            "7d": {"status": "within_limit", "resets_at": 1767600000, "utilization": 0.29},
        },
    },
}
_UNKNOWN: list[Event] = [
    {"type": "compaction_status", "status": "none"},
    {"type": "model_update", "model": "x"},
    {"type": "tool_approval", "tools": []},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "citation_start_delta", "citation": {"uuid": "c"}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "delta_of_tomorrow", "text": {"not": "text"}}},
]


def events(answer: Answer, piece: int) -> list[Event]:
    """A healthy answer."""
    message = {
        "id": "chatcompl_01",
        "type": "message",
        "role": "assistant",
        "model": "",
        "parent_uuid": answer.human,
        "uuid": answer.uuid,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "trace_id": "t",
        "request_id": "r",
    }
    told: list[Event] = [{"type": "conversation_ready"}, {"type": "message_start", "message": message}]
    blocks: list[tuple[Event, list[Event]]] = []
    if answer.thoughts:
        deltas = [{"type": "thinking_delta", "thinking": words} for words in _pieces(answer.thoughts, piece)]
        summary = {"type": "thinking_summary_delta", "summary": {"summary": "thought about it"}}
        blocks.append(({"type": "thinking", "thinking": "", "summaries": []}, [*deltas, summary]))
    for name, arguments in answer.calls:
        delta = {"type": "input_json_delta", "partial_json": arguments}
        blocks.append(({"type": "tool_use", "name": name, "input": {}}, [delta]))
    if answer.text:
        deltas = [{"type": "text_delta", "text": words} for words in _pieces(answer.text, piece)]
        blocks.append(({"type": "text", "text": "", "citations": []}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        times = {"start_timestamp": "2026-01-01T00:00:00Z", "stop_timestamp": None, "flags": None}
        told.append({"type": "content_block_start", "index": index, "content_block": {**times, **block}})
        for position, delta in enumerate(deltas):
            told.append({"type": "content_block_delta", "index": index, "delta": delta})
            if position == 0:
                told.append({"type": "ping"})
        told.append({"type": "content_block_stop", "index": index, "stop_timestamp": "2026-01-01T00:00:01Z"})
    told.append({"type": "message_delta", "delta": {"stop_reason": answer.stop, "stop_sequence": None}})
    return [*told, LIMIT, {"type": "message_stop"}]


def _pieces(text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


def twisted(told: list[Event], name: str, params: dict[str, Any]) -> list[Event]:
    """The events of an answer with which something is wrong, or odd."""
    match name:
        case "empty_body":
            return []
        case "only_pings":
            return [{"type": "ping"}] * 3
        case "thinking_only":
            return [event for event in told if event.get("delta", {}).get("type") != "text_delta"]
        case "error_event":
            at = params.get("at", 2)
            deltas = [i for i, event in enumerate(told) if event["type"] == "content_block_delta"]
            cut = deltas[at] if at < len(deltas) else len(told) - 3
            kind, message = params.get("type", "overloaded_error"), params.get("message", "Overloaded")
            return [*told[:cut], {"type": "error", "error": {"type": kind, "message": message}}]
        case "no_message_stop":
            return [event for event in told if event["type"] != "message_stop"]
        case "no_stop_reason":
            return [event for event in told if event["type"] != "message_delta"]
        case "unknown_events":
            return [odd for event in told[:-1] for odd in (event, *_UNKNOWN)] + told[-1:]
        case "limit_last":
            return [*(event for event in told if event["type"] != "message_limit"), LIMIT]
        case "old_form":
            words = [event["delta"]["text"] for event in told if event.get("delta", {}).get("type") == "text_delta"]
            facts = {"type": "completion", "id": "chatcompl_01", "model": "claude", "stop": None}
            pieces: list[Event] = [{**facts, "completion": word, "stop_reason": None} for word in words]
            return [*pieces[:-1], {**pieces[-1], "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}]
    return told


def frame(event: Event) -> bytes:
    """One event as it travels."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def spelled(frames: list[bytes], name: str) -> list[bytes]:
    """The same events in other spellings of the format, or in none."""
    match name:
        case "garbage_frame":
            return [*frames[: len(frames) // 2], b"data: {not json\n\n", *frames[len(frames) // 2 :]]
        case "not_object":
            return [*frames[: len(frames) // 2], b"data: [1, 2]\n\n", *frames[len(frames) // 2 :]]
        case "crlf":
            return [one.replace(b"\n", b"\r\n") for one in frames]
        case "cr":
            return [one.replace(b"\n", b"\r") for one in frames]
        case "comments":
            return [b": keep-alive\n\n" + one for one in frames]
        case "multi_line":
            return [one.replace(b'", "', b'",\ndata: "') for one in frames]
        case "last_unterminated":
            return [*frames[:-1], frames[-1].rstrip(b"\n")]
    return frames


TWISTS = (
    "empty_body",
    "only_pings",
    "thinking_only",
    "error_event",
    "no_message_stop",
    "no_stop_reason",
    "unknown_events",
    "limit_last",
    "old_form",
)
SPELLINGS = ("garbage_frame", "not_object", "crlf", "cr", "comments", "multi_line", "last_unterminated")
