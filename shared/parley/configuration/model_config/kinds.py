"""Types that stand for one upstream each: what their config means here.

`api_base`, `model` and `proxies` may be given for every type, also where the project knew but one address or model.
Everything that is not named here is a default of requests, as in the project; but the request goes before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from parley.catalog import AS_ASKED, CredentialPlan, Defaults, Target, Upstream
from parley.chat.defaults import wrong_with
from parley.chat.prompt import Prompt
from parley.configuration.families import Environment
from parley.configuration.families.claude_web import MODELS as CLAUDE_WEB_MODELS
from parley.configuration.families.openai import spoken_at
from parley.configuration.model_config.entries import Entry
from parley.configuration.network import proxy_for, timeouts_of
from parley.dialects.azure import surface
from parley.dialects.claude_web import Key
from parley.dialects.spark.versions import version
from parley.dialects.zhipu import is_key
from parley.providers.azure import NEWEST
from parley.providers.rows import ROWS
from parley.sealed import Secret
from parley.settings import is_placeholder

ROUTERS: Final = ("router", "parallel", "model-name-router")

_SHARED_CHAT: Final = frozenset({"single_conversation", "conversation_id"})
_CLAUDE: Final = ("2023-06-01", "2026-10-21")
_RETIRED: Final = re.compile(r"claude-(1|2|instant|v1)|gemini-(1\.0-)?pro$")
"""Names of models that their vendors have withdrawn."""
_GEMINI: Final = "gemini-flash-latest"
"""In the place of the one model that the project asked, which is no more."""
_FIELDS: Final = frozenset(field.name for field in msgspec.structs.fields(Prompt)) - {"raw"} | {"top_k"}
_OTHER_NAMES: Final = {
    "max_length": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop_sequences": "stop",
}


class Unusable(Exception):  # nothing went wrong: the entry is left out, and the text says why
    """This entry cannot serve."""


class Upstreams:
    """Makes upstreams of entries. Entries that open the same place share an upstream, and so its limits and rests."""

    def __init__(self, settings: Environment) -> None:
        self.settings = settings
        self._made: dict[tuple[object, ...], Upstream] = {}
        self._notes: list[str] = []

    @property
    def found(self) -> tuple[Upstream, ...]:
        """All that were made."""
        return tuple(self._made.values())

    def notes(self) -> Iterator[str]:
        """What there is to say about the entry that was made last."""
        while self._notes:
            yield self._notes.pop(0)

    def note(self, text: str) -> None:
        """Say something about the entry that is being made."""
        self._notes.append(text)

    def made(self, entry: Entry) -> tuple[Target, Defaults]:
        """Where an entry leads, and its defaults. Raises Unusable."""
        if (kind := KINDS.get(entry.type)) is None:
            raise Unusable(f"there is no type '{entry.type}' (there are: {', '.join((*KINDS, *ROUTERS))})")
        config = dict(entry.config)
        upstream, model = kind(self, config)
        upstream = self._proxied(replace(upstream, timeouts=timeouts_of(self.settings)), config)
        if shared := sorted(_SHARED_CHAT & config.keys()):
            self.note(f"{' and '.join(shared)} would share one conversation between all callers, and is ignored.")
        if model and _RETIRED.match(model):
            self.note(f"its vendor has withdrawn the model '{model}'; name a present one.")
        kept = self._kept(upstream, entry.label, model)
        return Target(kept.name, model or AS_ASKED), self._defaults(config, upstream.provider)

    def _kept(self, upstream: Upstream, name: str, model: str) -> Upstream:
        (plan,) = upstream.credentials
        secrets = tuple(sorted((part, secret.reveal()) for part, secret in plan.parts.items()))
        proxy = upstream.proxy.reveal() if upstream.proxy else ""
        place = (upstream.provider, upstream.base_url, secrets, proxy, repr(sorted(upstream.options.items())))
        kept = self._made.get(place) or replace(upstream, name=name)
        if model and model not in kept.models:
            kept = replace(kept, models=(*kept.models, model), default_model=kept.default_model or model)
        self._made[place] = kept
        return kept

    def _proxied(self, upstream: Upstream, config: dict[str, Any]) -> Upstream:
        told, alone = config.pop("proxies", None), config.pop("proxy", None)
        scheme = urlsplit(upstream.base_url).scheme.replace("ws", "http")
        chosen = (told.get(scheme) or told.get("https") or told.get("all")) if isinstance(told, dict) else None
        chosen = chosen or alone
        if chosen is None:
            return replace(upstream, proxy=proxy_for(self.settings, upstream.base_url))
        if not isinstance(chosen, str) or "://" not in chosen:
            raise Unusable('its proxy must be written as {"https": "http://host:port"}')
        return replace(upstream, proxy=Secret(chosen))

    def _defaults(self, config: dict[str, Any], provider: str) -> Defaults:
        told = {_OTHER_NAMES.get(name, name): value for name, value in config.items() if name not in _SHARED_CHAT}
        if told.pop("prompt", None) is not None:
            self.note("prompt is ignored: roles are told as the upstream knows them.")
        defaults = {name: value for name, value in told.items() if value is not None}
        if provider not in ROWS:  # only who speaks OpenAI's API can be passed what nobody knows
            if unknown := sorted(defaults.keys() - _FIELDS):
                self.note(f"{', '.join(unknown)} means nothing to this upstream, and is ignored.")
            defaults = {name: value for name, value in defaults.items() if name in _FIELDS}
        while wrong := wrong_with(defaults):
            self.note(f"'{wrong[0]}' cannot be a default, and is ignored: {wrong[1]}.")
            del defaults[wrong[0]]
        return defaults


# --- reading members ----------------------------------------------------------------------------------------------


def _secret(config: dict[str, Any], name: str) -> Secret:
    value = config.pop(name, None)
    if not isinstance(value, str) or not value.strip():
        raise Unusable(f"it has no {name}")
    value = value.strip()
    if is_placeholder(value) or not value.lower().strip("x"):
        raise Unusable(f"its {name} is the sample's placeholder")
    return Secret(value)


def _text(config: dict[str, Any], name: str, otherwise: str = "") -> str:
    value = config.pop(name, None)
    if value is None:
        return otherwise
    if not isinstance(value, str):
        raise Unusable(f"its {name} must be a text")
    return value.strip() or otherwise


def _base(config: dict[str, Any], otherwise: str) -> str:
    base = _text(config, "api_base", otherwise)
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise Unusable("its api_base must be an address, such as https://host/v1/")
    if parts.hostname.startswith("xxxx"):
        raise Unusable("its api_base is the sample's placeholder")
    return base.rstrip("/")


def _upstream(provider: str, base_url: str, parts: Mapping[str, Secret], **facts: Any) -> Upstream:
    return Upstream("", provider, base_url, (CredentialPlan("key", parts),), **facts)


# --- types --------------------------------------------------------------------------------------------------------

Made = tuple[Upstream, str]
"""An upstream that has no name yet, and the model to ask there; none: the one that was asked for."""


def _openai(_: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, "https://api.openai.com/v1/")
    return _upstream(spoken_at(base), base, {"value": key}), _text(config, "model")


def _azure(_: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, "")
    deployment, dated = _text(config, "deployment_id"), _text(config, "api_version", NEWEST)
    config.pop("model", None)  # the deployment decides
    if not deployment or not deployment.lower().strip("x"):
        raise Unusable("it has no deployment_id")
    try:
        surface(dated)
    except ValueError as problem:
        raise Unusable(str(problem)) from None
    return _upstream("azure", base, {"api_key": key}, options={"api_version": dated}), deployment


def _claude(making: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, "https://api.anthropic.com")
    dated = _text(config, "anthropic-version", _CLAUDE[0])
    if dated not in _CLAUDE:
        making.note(f"anthropic-version {dated} is older than the Messages API; {_CLAUDE[0]} is used.")
        dated = _CLAUDE[0]
    return _upstream("anthropic", base, {"value": key}, options={"version": dated}), _text(config, "model")


def _claude_web(making: Upstreams, config: dict[str, Any]) -> Made:
    settings, cookie = making.settings, _secret(config, "cookie")
    if not Key(cookie.reveal()).complete:
        raise Unusable("its cookie has no sessionKey: paste that cookie's value (sk-ant-sid...), or all of them")
    upstream = _upstream(
        "claude-web",
        _base(config, settings.claude_web_base_url),
        {"cookie": cookie},
        concurrency=settings.claude_web_concurrency,
        options={
            "transport": settings.claude_web_transport,
            "user_agent": settings.claude_web_user_agent,
            "whole_cookie": settings.claude_web_whole_cookie,
            "temporary": settings.claude_web_temporary,
            "effort": settings.claude_web_effort,
        },
    )
    models = tuple(settings.claude_web_models) or CLAUDE_WEB_MODELS
    return upstream, _text(config, "model", settings.claude_web_default_model or models[0])


def _zhipu(making: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, making.settings.zhipu_base_url)
    if not is_key(key.reveal()):
        raise Unusable("its api_key is no key of the platform's, which are written {id}.{secret}")
    options = {"legacy_model": making.settings.zhipu_legacy_model}
    return _upstream("zhipu", base, {"value": key}, options=options), _text(config, "model")


def _spark(making: Upstreams, config: dict[str, Any]) -> Made:
    parts = {name: _secret(config, name) for name in ("app_id", "api_key", "api_secret")}
    asked = _text(config, "api_model_version", making.settings.spark_default_model)
    if version(asked) is None:
        raise Unusable(f"there is no api_model_version '{asked}'")
    if isinstance(warmth := config.get("temperature"), int | float):
        config["temperature"] = min(2.0 * warmth, 2.0)  # the project halved what callers said, and not this
    base = _base(config, making.settings.spark_base_url or "wss://spark-api.xf-yun.com")
    base = "" if base == "wss://spark-api.xf-yun.com" else base  # the vendor's differ by version
    concurrency = making.settings.spark_concurrency
    return _upstream("spark", base, parts, concurrency=concurrency, options={"temperature": "halve"}), asked


def _gemini(making: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, making.settings.gemini_base_url)
    return _upstream("gemini", base, {"value": key}), _text(
        config, "model", making.settings.gemini_default_model or _GEMINI
    )


def _qwen(_: Upstreams, config: dict[str, Any]) -> Made:
    key, base = _secret(config, "api_key"), _base(config, ROWS["qwen"].base_url)
    return _upstream("qwen", base, {"value": key}), _text(config, "model")


def _bing(_: Upstreams, __: dict[str, Any]) -> Made:
    raise Unusable("Bing chat has ended, and nothing stands in its place")


def _skylark(_: Upstreams, __: dict[str, Any]) -> Made:
    raise Unusable("Skylark's API has ended; its vendor's models are at Ark (provider ark of parley.yaml)")


KINDS: Final[Mapping[str, Callable[[Upstreams, dict[str, Any]], Made]]] = {
    "openai": _openai,
    "proxy": _openai,
    "azure": _azure,
    "claude": _claude,
    "claude-web": _claude_web,
    "zhipu-api": _zhipu,
    "xunfei-spark-api": _spark,
    "gemini": _gemini,
    "qwen": _qwen,
    "bing-sydney": _bing,
    "skylark": _skylark,
}
