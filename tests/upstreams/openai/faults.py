"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.openai` explains each.

`errors.py` refuses; BODIES replace the answer; `twists.py` changes what chunks and completions say; `frames.py` how a
stream is framed; DELIVERIES how its bytes travel.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .. import plan
from ..plan import Page, Params, deliveries, raw
from .accent_errors import ACCENTED
from .errors import ENVELOPES, OTHERS, refusal
from .frames import FRAMES
from .refusal import HTML
from .twists import CHUNK_TWISTS, UNARY_TWISTS


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


BODIES: dict[str, Callable[[Params], Page]] = {
    "raw": raw,
    "empty_body": lambda p: Page(p.get("status", 200), p.get("content_type", "application/json"), b""),
    "error_in_200": lambda p: Page(
        200, "application/json", _json({"error": p.get("error", refusal("server_error", p).error())})
    ),
    "html_in_200": lambda _: Page(200, "text/html; charset=utf-8", HTML.format(status=200).encode()),
    "not_json": lambda p: Page(200, p.get("content_type", "application/json"), b"upstream said what?"),
    "truncated_json": lambda _: Page(200, "application/json", b'{"id":"chatcmpl-1","object":"chat.completion","cho'),
    "no_choices": lambda p: Page(
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
    "redirect": lambda p: Page(p.get("status", 307), "text/plain", b"", {"Location": p["location"]}),
}


DELIVERIES = {
    **deliveries(),
    "slow_headers": lambda p: {"framing": "close", "head_drip": p.get("pause", 0.01)},
}

# These change the answer as a whole and are done by the service itself.
WHOLE = {"wrong_content_type", "json_for_stream", "stream_for_json", "hf_other_provider"}

NAMES = frozenset({*ENVELOPES, *OTHERS, *ACCENTED, *BODIES, *DELIVERIES, *FRAMES, *CHUNK_TWISTS, *UNARY_TWISTS, *WHOLE})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages = BODIES
    deliveries = DELIVERIES

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in ENVELOPES or name in OTHERS or name in ACCENTED:
                raise refusal(name, self.params)
