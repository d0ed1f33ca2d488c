"""Faults in what an answer says: each takes the events of a stream and returns odd ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Body = dict[str, Any]
Paced = tuple[float, Body]
Params = dict[str, Any]
Twist = Callable[[list[Paced], Params], list[Paced]]

PING: Paced = (0.0, {"type": "ping"})


def _without(*kinds: str) -> Twist:
    return lambda events, _: [paced for paced in events if paced[1]["type"] not in kinds]


def _error_event(events: list[Paced], params: Params) -> list[Paced]:
    """After `events` events an error, then the stream ends."""
    error = {
        "type": params.get("type", "overloaded_error"),
        "message": params.get("message", "Overloaded"),
        "details": None,
    }
    told = {"type": "error", "error": error, "request_id": "req_midway"}
    return [*events[: params.get("events", 4)], (0.0, told)]


def _between(odd: Body) -> Twist:
    """The odd event behind every other one."""
    return lambda events, _: [one for paced in events for one in (paced, (0.0, dict(odd)))]


def _unknown_deltas(events: list[Paced], _: Params) -> list[Paced]:
    odd = {"type": "mood_delta", "mood": "fine"}
    return [
        one
        for wait, event in events
        for one in (
            (wait, event),
            *([(0.0, {**event, "delta": odd})] if event["type"] == "content_block_delta" else []),
        )
    ]


def _shifted(events: list[Paced], by: int) -> list[Paced]:
    """The same events with later blocks."""
    return [(wait, {**event, "index": event["index"] + by} if "index" in event else event) for wait, event in events]


def _first(events: list[Paced], blocks: list[Body]) -> list[Paced]:
    """Further blocks, whole, before the others."""
    told = [
        event
        for index, block in enumerate(blocks)
        for event in (
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_stop", "index": index},
        )
    ]
    return [events[0], *((0.0, event) for event in told), *_shifted(events[1:], len(blocks))]


def _unknown_blocks(events: list[Paced], _: Params) -> list[Paced]:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    return _first(events, [search, found])


def _redacted(events: list[Paced], _: Params) -> list[Paced]:
    return _first(events, [{"type": "redacted_thinking", "data": "EmwKAhgB"}])


def _ping_for(events: list[Paced], params: Params) -> list[Paced]:
    """Nothing but pings for so many seconds, four in each."""
    pings = [(0.25, PING[1])] * int(params.get("seconds", 1.0) * 4)
    return [events[0], *pings, *events[1:]]


def _fragments(event: Body) -> bool:
    return bool(event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta")


def _no_partial_json(events: list[Paced], _: Params) -> list[Paced]:
    return [paced for paced in events if not _fragments(paced[1])]


def _whole_input(events: list[Paced], _: Params) -> list[Paced]:
    """The whole input where the block begins, and no fragment of it."""
    said: dict[int, str] = {}
    for _wait, event in events:
        if _fragments(event):
            said[event["index"]] = said.get(event["index"], "") + event["delta"]["partial_json"]
    for _wait, event in events:
        if event["type"] == "content_block_start" and event["index"] in said:
            event["content_block"]["input"] = json.loads(said[event["index"]] or "{}")
    return _no_partial_json(events, {})


def _usage_in_delta(events: list[Paced], _: Params) -> list[Paced]:
    """The last count has everything, and the first one nothing to be added to it."""
    bill = events[0][1]["message"]["usage"]
    for _wait, event in events:
        if event["type"] == "message_delta":
            event["usage"] = {**bill, **event["usage"]}
    events[0][1]["message"]["usage"] = {**bill, "input_tokens": 1, "cache_read_input_tokens": 0}
    return events


def _delta_usage_missing(events: list[Paced], _: Params) -> list[Paced]:
    for _wait, event in events:
        if event["type"] == "message_delta":
            del event["usage"]
    return events


def _usage_missing(events: list[Paced], params: Params) -> list[Paced]:
    del events[0][1]["message"]["usage"]
    return _delta_usage_missing(events, params)


def _stops(reason: str | None = None, **more: Any) -> Twist:
    def twist(events: list[Paced], params: Params) -> list[Paced]:
        for _, event in events:
            if event["type"] == "message_delta":
                event["delta"] = {**event["delta"], "stop_reason": reason or params.get("reason", "sleepy"), **more}
        return events

    return twist


def _interleaved(events: list[Paced], _: Params) -> list[Paced]:
    """Another text behind the last block."""
    ends = next(place for place, (_wait, event) in enumerate(events) if event["type"] == "message_delta")
    index = sum(event["type"] == "content_block_start" for _, event in events)
    more: list[Body] = [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": " More."}},
        {"type": "content_block_stop", "index": index},
    ]
    return [*events[:ends], *((0.0, event) for event in more), *events[ends:]]


def _refused(events: list[Paced], params: Params) -> list[Paced]:
    details = {"type": "refusal", "category": "bio", "explanation": params.get("explanation", "I will not.")}
    return _stops("refusal", stop_details=details)(events, params)


TWISTS: dict[str, Twist] = {
    "unknown_events": _between({"type": "weather_report", "sunny": True}),
    "unknown_deltas": _unknown_deltas,
    "unknown_blocks": _unknown_blocks,
    "redacted": _redacted,
    "interleaved": _interleaved,
    "pings": _between({"type": "ping"}),
    "ping_for": _ping_for,
    "no_partial_json": _no_partial_json,
    "whole_input": _whole_input,
    "usage_in_delta": _usage_in_delta,
    "usage_missing": _usage_missing,
    "delta_usage_missing": _delta_usage_missing,
    "no_content": _without("content_block_start", "content_block_delta", "content_block_stop"),
    "no_block_stop": _without("content_block_stop"),
    "refusal": _refused,
    "pause_turn": _stops("pause_turn"),
    "stop_reason": _stops(),
    "no_message_stop": _without("message_stop"),
    "no_message_delta": _without("message_delta"),
    "error_event": _error_event,
}


def twisted(events: list[Paced], names: list[str], params: Params) -> list[Paced]:
    """The events after every twist among these names."""
    events = [(wait, deepcopy(event)) for wait, event in events]
    for name in names:
        if name in TWISTS:
            events = TWISTS[name](events, params)
    return events
