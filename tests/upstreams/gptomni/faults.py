"""Every fault of this stand-in; `tests.upstreams.gptomni` explains each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import ClassVar

from .. import cloudflare, plan
from ..cloudflare import HTML
from ..plan import Page, Params, deliveries, raw_bytes

LOGIN_PAGE = """<!DOCTYPE html>
<html lang="zh"><head><title>Sign in</title></head><body><form action="/api/auth/signin"></form></body></html>
"""
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

PAGES = {
    "unauthorized_json": Page(401, JSON, '{"error":"Unauthorized"}'),
    "unauthorized_empty": Page(401, "", ""),
    "forbidden_json": Page(403, JSON, '{"error":"Forbidden"}'),
    "redirect_login": Page(302, "", "", {"Location": "/zh/login"}),
    "error_json_200": Page(200, JSON, '{"error":"Unauthorized"}'),
    "message_json_200": Page(200, JSON, '{"message":"Please sign in"}'),
    "login_html_200": Page(200, HTML, LOGIN_PAGE),
    "cloudflare_403": cloudflare.challenge(403),
    "cloudflare_503": cloudflare.challenge(503),
    "cloudflare_429": cloudflare.challenge(429),
    "cloudflare_200": cloudflare.challenge(200),
    "cloudflare_block": cloudflare.BLOCK,
    "rate_limit": Page(429, JSON, '{"error":"Too many requests"}'),
    "rate_limit_text": Page(429, TEXT, "Too many requests"),
    "quota": Page(402, JSON, '{"error":"You have used up your credits for today"}'),
    "too_large": Page(413, TEXT, "Payload Too Large"),
    "bad_request": Page(400, JSON, '{"error":"prompt is required"}'),
    "server_error": Page(500, JSON, '{"error":"Internal Server Error"}'),
    "bad_gateway_html": cloudflare.gateway(502),
}

BAD_COOKIE = {
    "401": "unauthorized_json",
    "401_empty": "unauthorized_empty",
    "403": "forbidden_json",
    "redirect": "redirect_login",
    "json_200": "error_json_200",
    "html_200": "login_html_200",
}


def _raw(_: bytes, params: Params) -> bytes:
    return raw_bytes(params)


def _in_the_middle(odd: bytes) -> Callable[[bytes, Params], bytes]:
    return lambda body, _: body[: len(body) // 2] + odd + body[len(body) // 2 :]


# What the body's bytes become.
TEXTS: dict[str, Callable[[bytes, Params], bytes]] = {
    "empty": lambda _, __: b"",
    "whitespace": lambda _, __: b" \n\t\r\n",
    "raw": _raw,
    "invalid_utf8": _in_the_middle(b"\xff\xc3\x28"),
    "half_character": lambda body, _: body + "\u4e2d".encode()[:2],
    "bom": lambda body, _: b"\xef\xbb\xbf" + body,
    "long": lambda _, params: b"0123456789abcde\n" * (params.get("bytes", 4 << 20) // 16),
    "json_text": lambda _, __: json.dumps({"error": "is a word", "answer": 42}).encode(),
}

HEADERS: dict[str, str] = {"no_content_type": "", "event_stream_type": "text/event-stream"}

DELIVERIES = {
    **deliveries(12),
    "slow_drip": lambda p: {"piece": p.get("size", 1), "pause": p.get("pause", 0.05)},
}

NAMES = frozenset({*PAGES, *TEXTS, *HEADERS, *DELIVERIES, "roll"})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages: ClassVar = {name: page.changed for name, page in PAGES.items()}
    deliveries = DELIVERIES

    def text(self, body: bytes) -> bytes:
        """What becomes of the answer's bytes."""
        for name in self.names:
            body = TEXTS[name](body, self.params) if name in TEXTS else body
        return body

    def content_type(self, right: str) -> str:
        """What the answer is declared as."""
        return next((HEADERS[name] for name in self.names if name in HEADERS), right)
