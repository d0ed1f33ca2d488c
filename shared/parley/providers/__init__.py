"""Code that speaks to one kind of service: one file or small folder each, and one line in `PROVIDERS`.

A provider is made once per upstream and process, and keeps nothing of any answer: two answers share no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from parley.catalog import Catalog, CredentialPlan, Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.anthropic import Anthropic
from parley.providers.azure import Azure
from parley.providers.claude_web import ClaudeWeb
from parley.providers.echo import Echo
from parley.providers.flowgpt import FlowGPT
from parley.providers.gemini import Gemini
from parley.providers.gptomni import gptomni
from parley.providers.h2ogpte import H2oGPTe
from parley.providers.openai import OpenAI
from parley.providers.qianfan import Qianfan, QianfanLegacy
from parley.providers.qianfan.keys import access_keys, application
from parley.providers.rows import ROWS
from parley.providers.spark import SparkHTTP, SparkSocket
from parley.providers.zhipu import Zhipu, ZhipuV3
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net


class Provider(Protocol):
    """Answers prompts. What else it can do is in `parley.providers.optional`."""

    features: frozenset[Feature]
    """What the upstream honours. What is not here is refused by name, enforced or counted by the gateway itself."""
    drops: frozenset[str]
    """Knobs of a request (`parley.chat.demands.KNOBS`) that are accepted and not sent."""

    def __hash__(self) -> int: ...

    def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt` (its `model` is the upstream's name) with the credential and session of `lease`.

        Yields events by the grammar of `parley.chat.events`; raises Failure. When it is closed (the caller hung up),
        it closes its connection to the upstream at once.
        """
        ...


PROVIDERS: Final[Mapping[str, Callable[[Upstream, Net], Provider]]] = {
    "azure": Azure,
    "echo": Echo,
    "h2ogpte": H2oGPTe,
    "gptomni": gptomni,
    "gemini": Gemini,
    "flowgpt": FlowGPT,
    "claude-web": ClaudeWeb,
    "anthropic": Anthropic,
    "zhipu": Zhipu,
    "zhipu-v3": ZhipuV3,
    "qianfan": Qianfan,
    "qianfan-legacy": QianfanLegacy,
    "spark": SparkSocket,
    "spark-http": SparkHTTP,
    **dict.fromkeys(ROWS, OpenAI),
}


_BUYERS: Final[Mapping[str, Callable[[Mapping[str, Secret]], object]]] = {
    "qianfan": access_keys,
    "qianfan-legacy": application,
}


def unsigned(upstream: Upstream, plan: CredentialPlan) -> bool:
    """Whether a credential, as it is configured, opens nothing but the sale of tokens: it is to be renewed first."""
    buyer = _BUYERS.get(upstream.provider)
    return buyer is not None and bool(buyer(plan.parts))


ENDED: Final[Mapping[str, str]] = {
    "bing": "Bing chat has ended, and nothing stands in its place that could be asked: remove this upstream, "
    "or send its models to another one by a route."
}
"""Services that configurations of the replaced projects name and that are no more."""


def make_providers(catalog: Catalog, net: Net) -> dict[str, Provider]:
    """One provider per upstream of the catalog. Raises ConfigurationError for an unknown kind or wrong options."""
    return {name: make_provider(upstream, net) for name, upstream in catalog.upstreams.items()}


def make_provider(upstream: Upstream, net: Net) -> Provider:
    """Who speaks to an upstream. Raises ConfigurationError for an unknown kind or wrong options."""
    if why := ENDED.get(upstream.provider.lower()):
        raise ConfigurationError(f"upstream '{upstream.name}' names the provider '{upstream.provider}': {why}")
    kind = PROVIDERS.get(upstream.provider)
    if kind is None:
        raise ConfigurationError(
            f"upstream '{upstream.name}' names the provider '{upstream.provider}'; "
            f"there are: {', '.join(sorted(PROVIDERS))}."
        )
    try:
        return kind(upstream, net)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(f"upstream '{upstream.name}', options: {problem}") from None
