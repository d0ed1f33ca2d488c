"""Who is under contract, and how each one's stand-in is brought to play a scene.

A `Subject` is one way to reach one kind of service, with two upstreams in `parley.yaml`: NAME, which has all the time
in the world, and NAME-hasty, whose time-outs are short enough to be waited for. A `Mishap` is one thing that a stand-in
can do wrong; `MISHAPS` says which of them make up a scene for whom. They go on until the next scene begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CHALLENGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    "<script>window._cf_chl_opt={cvId:'3'};</script>Checking your browser</body></html>"
)
"""A page between us and a service that has none of its own among its faults."""

MULTILINGUAL = "Grüße, 世界! 👩‍👩‍👧‍👦 e\u0301 \u2028 \u0085 مرحبا 𝔘𝔫𝔦"
"""Characters of one to four bytes, joined, combining, and those at which a careless reader splits lines."""

FIRST_TOKEN_SECONDS, BETWEEN_TOKENS_SECONDS = 1.5, 0.6


@dataclass(frozen=True)
class Subject:
    """One provider, reached in one way."""

    name: str
    provider: str
    model: str
    stand_in: str | None = None
    """The stand-in behind it; None for echo, which has nothing behind it."""
    upstream: Mapping[str, Any] = field(default_factory=dict)
    """Its entry in `parley.yaml`, but for name, provider and address."""
    path: str = ""
    """Between the stand-in's address and the API."""

    def entries(self, url: str) -> list[dict[str, Any]]:
        """Both of its upstreams."""
        entry = {"provider": self.provider, "base_url": url + self.path, **self.upstream}
        hasty = {"first_token": FIRST_TOKEN_SECONDS, "between_tokens": BETWEEN_TOKENS_SECONDS}
        return [{"name": self.name, **entry}, {"name": f"{self.name}-hasty", **entry, "timeouts": hasty}]

    @property
    def calls_tools(self) -> bool:
        """Whether tools can be told to it."""
        return self.stand_in in {"openai", "huggingface"}


_NO_WAIT = {"pool": {"size": 0}, "options": {"recovery_seconds": 0.3}}
"""Nothing warm, so that nobody but the scene's own request meets its mishap; and no long search for a lost answer."""

SUBJECTS = (
    Subject("openai", "openai", "demo-mini", "openai", {"credentials": ["sk-upstream-1"]}, "/v1"),
    Subject("huggingface", "huggingface", "demo-org/demo-120b", "huggingface", {"credentials": ["hf_demo"]}, "/v1"),
    Subject("h2ogpte-guest", "h2ogpte", "auto", "h2ogpte", {"guests": 1, **_NO_WAIT}),
    Subject("h2ogpte-key", "h2ogpte", "auto", "h2ogpte", {"credentials": [{"api_key": "sk-h2o-test"}], **_NO_WAIT}),
    Subject(
        "gptomni",
        "gptomni",
        "gptomni",
        "gptomni",
        {"credentials": ["__Secure-next-auth.session-token=tok-1"], "models": ["gptomni"]},
    ),
    Subject("echo", "echo", "echo"),
)

STAND_INS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "openai": ("openai", {}),
    "huggingface": ("openai", {"dialect": "huggingface"}),
    "h2ogpte": ("h2ogpte", {}),
    "gptomni": ("gptomni", {}),
}
"""Which program plays each of them, with which settings."""


def parley_yaml(urls: Mapping[str, str]) -> str:
    """The configuration with every subject in it; `urls` are those of the stand-ins. (JSON is YAML.)"""
    entries = [entry for s in SUBJECTS if s.stand_in for entry in s.entries(urls[s.stand_in])]
    return json.dumps({"upstreams": entries})


class Mishap(NamedTuple):
    """One thing that goes wrong: a fault of the stand-in, where it strikes, and what it is told."""

    fault: str
    params: Mapping[str, Any] = {}
    route: str | None = None

    def __str__(self) -> str:
        where = self.route.rsplit("/", 1)[-1] if self.route else ""
        return f"{self.fault}@{where}" if where else self.fault


_CREATE_WEB, _CREATE_REST = "rpc/db/create_chat_session", "api/v1/chats"
_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 900}  # of a long answer in OpenAI's frames: after its first words, before its last
_LOST = {"pieces": 3, "stored": False}

MISHAPS: Mapping[str, Mapping[str, tuple[Mishap, ...]]] = {
    # The credential does not open the door.
    "refused": {
        "openai": (Mishap("invalid_api_key"), Mishap("account_deactivated"), Mishap("unsupported_country")),
        "huggingface": (Mishap("hf_unauthorized"), Mishap("hf_permission")),
        "h2ogpte-key": (Mishap("http_401", route="ws"), Mishap("http_401", route=_CREATE_REST)),
        "gptomni": (
            Mishap("unauthorized_json"),
            Mishap("unauthorized_empty"),
            Mishap("redirect_login"),
            Mishap("login_html_200"),
            Mishap("error_json_200"),
        ),
    },
    # Not so fast.
    "throttled": {
        "openai": (Mishap("rate_limit", _SOON), Mishap("rate_limit_tokens", {"retry_after_ms": 6500})),
        "huggingface": (Mishap("hf_rate_limit", _SOON),),
        "h2ogpte-guest": (
            Mishap("http_429", _SOON, "ws"),
            Mishap("http_429", _SOON, _CREATE_WEB),
            Mishap("ce_rate_limit", _SOON, "ws"),
        ),
        "h2ogpte-key": (Mishap("http_429", _SOON, _CREATE_REST), Mishap("ce_rate_limit", _SOON, "ws")),
        "gptomni": (Mishap("rate_limit", _SOON), Mishap("rate_limit_text", _SOON)),
    },
    # A page that wants a human.
    "challenge page": {
        "openai": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
        "huggingface": (Mishap("raw", {**_PAGE, "status": 503}),),
        "h2ogpte-guest": (Mishap("waf", {"status": 403}, "ws"), Mishap("waf", {"status": 200}, _CREATE_WEB)),
        "h2ogpte-key": (Mishap("waf", {"status": 403}, "ws"), Mishap("waf", {"status": 503}, _CREATE_REST)),
        "gptomni": (
            Mishap("cloudflare_403"),
            Mishap("cloudflare_503"),
            Mishap("cloudflare_429"),
            Mishap("cloudflare_200"),
            Mishap("cloudflare_block"),
        ),
    },
    # Words came, then the line went dead.
    "broken off": {
        "openai": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY)),
        "huggingface": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY)),
        "h2ogpte-guest": (Mishap("close", _LOST, "ws"), Mishap("close", {**_LOST, "code": None}, "ws")),
        "h2ogpte-key": (Mishap("close", _LOST, "ws"), Mishap("close", {**_LOST, "code": None}, "ws")),
        "gptomni": (Mishap("reset", {"bytes": 60}), Mishap("cut", {"bytes": 60}), Mishap("half_character")),
    },
    # Words came, then silence.
    "silent midway": {
        "openai": (Mishap("stall", _MIDWAY),),
        "huggingface": (Mishap("stall", _MIDWAY),),
        "h2ogpte-guest": (Mishap("stall", {"pieces": 3}, "ws"),),
        "h2ogpte-key": (Mishap("stall", {"pieces": 3}, "ws"),),
        "gptomni": (Mishap("stall", {"bytes": 60}),),
    },
    # Not a word.
    "silent": {
        "openai": (Mishap("hang"),),
        "huggingface": (Mishap("hang"),),
        "h2ogpte-guest": (Mishap("stall", {"at": "before_cx"}, "ws"),),
        "h2ogpte-key": (Mishap("stall", {"at": "before_cx"}, "ws"),),
        "gptomni": (Mishap("hang"),),
    },
    # An answer with nothing in it.
    "empty": {
        "openai": (Mishap("empty_body"), Mishap("raw", {"text": "data: [DONE]\n\n"})),
        "huggingface": (Mishap("empty_body"), Mishap("raw", {"text": ": keep-alive\n\n"})),
        "h2ogpte-guest": (Mishap("empty", route="ws"),),
        "h2ogpte-key": (Mishap("empty", route="ws"),),
        "gptomni": (Mishap("empty"), Mishap("whitespace")),
    },
    # An answer that nobody can read.
    "garbled": {
        "openai": (Mishap("garbage_frame"), Mishap("not_json")),
        "huggingface": (Mishap("garbage_frame"), Mishap("truncated_json")),
        "h2ogpte-guest": (Mishap("not_json", route="ws"),),
        "h2ogpte-key": (Mishap("not_json", route="ws"),),
        "gptomni": (Mishap("invalid_utf8"),),
    },
}


def cases(scene: str) -> list[tuple[str, Mishap]]:
    """Every subject's mishaps in one scene, as (name, mishap)."""
    return [(name, mishap) for name, mishaps in MISHAPS[scene].items() for mishap in mishaps]
