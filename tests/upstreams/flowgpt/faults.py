"""Every fault of this stand-in; `tests.upstreams.flowgpt` explains each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from .. import cloudflare, plan
from ..cloudflare import HTML
from ..plan import Page, Params, deliveries, raw_bytes

Lines = list[bytes]

WAF_PAGE = """<!DOCTYPE html>
<html><head><title>Human Verification</title><script src="https://waf.invalid/awswaf/captcha.js"></script></head>
<body><div id="captcha-container"></div></body></html>
"""
PROXY_PAGE = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>\n"

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


def refused(status: int, text: str, **more: Any) -> Page:
    """A refusal as the backend words it."""
    return Page(status, JSON, json.dumps({"statusCode": status, "message": text, **more}))


PAGES = {
    "unauthorized": refused(401, "Unauthorized"),
    "forbidden": Page(403, JSON, '{"error":"Forbidden"}'),
    "suspended": refused(403, "Your account has been suspended"),
    "bad_signature": Page(401, JSON, '{"message":"invalid signature"}'),
    "cloudflare_block": cloudflare.BLOCK,
    "cloudflare_403": cloudflare.challenge(403),
    "cloudflare_503": cloudflare.challenge(503, marked=False),
    "cloudflare_200": cloudflare.challenge(200, marked=False),
    "waf_202": Page(202, HTML, "", {"x-amzn-waf-action": "challenge"}),
    "waf_405": Page(405, HTML, WAF_PAGE, {"x-amzn-waf-action": "captcha"}),
    "waf_403": Page(403, HTML, WAF_PAGE),
    "rate_limit": refused(429, "ThrottlerException: Too Many Requests"),
    "rate_limit_ip": Page(429, JSON, '{"data":"too many requests from your ip"}'),
    "rate_limit_ip_text": Page(429, TEXT, "Too many requests from your IP, please try again later."),
    "quota": refused(402, "You have no credits left"),
    "prompt_gone": refused(404, "Prompt not found"),
    "prompt_gone_400": refused(400, "promptId does not exist"),
    "conversation_gone": refused(404, "Conversation not found"),
    "bad_request": refused(400, "question must be a string"),
    "too_long": refused(400, "question is too long"),
    "too_large": Page(413, TEXT, "Payload Too Large"),
    "server_error": refused(500, "Internal server error"),
    "bad_gateway_html": cloudflare.gateway(502),
    "unavailable": refused(503, "Service unavailable"),
    "gateway_timeout": cloudflare.gateway(504),
    "page_200": Page(200, HTML, PROXY_PAGE),
    "no_id": Page(200, JSON, '{"promptId":"uzNcMUGo4sOwl4GFvRpm8"}'),
}


def line(**facts: Any) -> bytes:
    """One line of an answer. Nothing is escaped that need not be, as the service does it."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _raw(_: Lines, params: Params) -> Lines:
    return [raw_bytes(params)]


def _in_between(odd: Callable[[Params], bytes]) -> Callable[[Lines, Params], Lines]:
    def twist(lines: Lines, params: Params) -> Lines:
        at = params.get("at", 3)
        return [*lines[:at], odd(params), *lines[at:]]

    return twist


# What the answer's lines become.
TWISTS: dict[str, Callable[[Lines, Params], Lines]] = {
    "empty": lambda _, __: [],
    "blank_lines": lambda _, __: [b"\n", b"\r\n", b"\n"],
    "no_words": lambda _, __: [line(event="ping"), line(event="title", data="Nothing")],
    "raw": _raw,
    "odd_data": lambda lines, _: [
        line(event="text", data=None),
        line(event="text"),
        line(event="text", data=""),
        line(data="x"),
        *lines,
    ],
    "error_event": _in_between(lambda p: line(event=p.get("event", "error"), data=p.get("data", "model is down"))),
    "error_object": _in_between(lambda p: p.get("text", '{"message":"Internal error","code":500}').encode() + b"\n"),
    "not_json": _in_between(lambda _: b"oops: not JSON\n"),
    "not_object": _in_between(lambda _: b'["not", "an", "object"]\n'),
    "invalid_utf8": _in_between(lambda _: b'{"event":"text","data":"\xff\xc3\x28"}\n'),
    "half_line": lambda lines, _: [*lines, b'{"event":"text","da'],
}

DELIVERIES = deliveries(80)

NAMES = frozenset({*PAGES, *TWISTS, *DELIVERIES, "revoke"})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages: ClassVar = {name: page.changed for name, page in PAGES.items()}
    deliveries = DELIVERIES

    def lines(self, lines: Lines) -> Lines:
        """What becomes of the answer's lines."""
        for name in self.names:
            lines = TWISTS[name](lines, self.params) if name in TWISTS else lines
        return lines
