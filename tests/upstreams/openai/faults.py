"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.openai` explains each.

`errors.py` refuses; BODIES replace the answer; `twists.py` changes what chunks and completions say; `frames.py` how a
stream is framed; DELIVERIES how its bytes travel.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from ..delivery import FOREVER, Delivery
from .accent_errors import ACCENTED
from .errors import ENVELOPES, OTHERS, refusal
from .frames import FRAMES
from .refusal import HTML
from .twists import CHUNK_TWISTS, UNARY_TWISTS

Params = dict[str, Any]


class Replaced(msgspec.Struct):
    """A whole answer, in the place of the right one."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = {}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _raw(params: Params) -> Replaced:
    body = bytes.fromhex(params["hex"]) if "hex" in params else params.get("text", "").encode()
    return Replaced(
        params.get("status", 200), params.get("content_type", "text/event-stream"), body, params.get("headers", {})
    )


BODIES: dict[str, Callable[[Params], Replaced]] = {
    "raw": _raw,
    "empty_body": lambda p: Replaced(p.get("status", 200), p.get("content_type", "application/json"), b""),
    "error_in_200": lambda p: Replaced(
        200, "application/json", _json({"error": p.get("error", refusal("server_error", p).error())})
    ),
    "html_in_200": lambda _: Replaced(200, "text/html; charset=utf-8", HTML.format(status=200).encode()),
    "not_json": lambda p: Replaced(200, p.get("content_type", "application/json"), b"upstream said what?"),
    "truncated_json": lambda _: Replaced(
        200, "application/json", b'{"id":"chatcmpl-1","object":"chat.completion","cho'
    ),
    "no_choices": lambda p: Replaced(
        200,
        "application/json",
        _json(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "demo-mini",
                "choices": p.get("choices", []),
            }
        ),
    ),
    "redirect": lambda p: Replaced(p.get("status", 307), "text/plain", b"", {"Location": p["location"]}),
}


DELIVERIES: dict[str, Callable[[Params], dict[str, Any]]] = {
    "bytewise": lambda p: {"piece": p.get("size", 1), "pause": p.get("pause", 0.0)},
    "reset": lambda p: {"reset_after": p.get("bytes", 200)},
    "stall": lambda p: {"stall_after": p.get("bytes", 200)},
    "cut": lambda p: {"cut_after": p.get("bytes", 200)},
    "gzip": lambda _: {"gzip": True},
    "hang": lambda p: {"before_head": p.get("seconds", FOREVER)},
    "slow_headers": lambda p: {"framing": "close", "head_drip": p.get("pause", 0.01)},
    "slow_first_byte": lambda p: {"after_head": p.get("seconds", 1.0)},
    "close_delimited": lambda _: {"framing": "close"},
    "fixed_length": lambda _: {"framing": "length"},
}

# These change the answer as a whole and are done by the service itself.
WHOLE = {"wrong_content_type", "json_for_stream", "stream_for_json", "hf_other_provider"}

NAMES = frozenset({*ENVELOPES, *OTHERS, *ACCENTED, *BODIES, *DELIVERIES, *FRAMES, *CHUNK_TWISTS, *UNARY_TWISTS, *WHOLE})


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    names: list[str] = []
    params: Params = {}

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in ENVELOPES or name in OTHERS or name in ACCENTED:
                raise refusal(name, self.params)

    def replaced(self) -> Replaced | None:
        """What to answer instead, if this plan says so."""
        return next((BODIES[name](self.params) for name in self.names if name in BODIES), None)

    def delivery(self, framing: str) -> Delivery:
        """How the bytes travel, `framing` unless a fault says otherwise."""
        facts: dict[str, Any] = {"framing": framing}
        for name in self.names:
            facts |= DELIVERIES[name](self.params) if name in DELIVERIES else {}
        return msgspec.convert(facts, Delivery)

    def has(self, name: str) -> bool:
        """Whether this goes wrong."""
        return name in self.names
