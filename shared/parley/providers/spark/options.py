"""What an operator may set for a Spark upstream, and which credentials open which API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from parley.catalog import Upstream
from parley.dialects.spark.question import ForcedTools, Temperature
from parley.dialects.spark.versions import Version, moved, tuned, version
from parley.errors import ModelNotFound
from parley.leases import Credential
from parley.sealed import Secret
from parley.settings import ConfigurationError

APP_ID: Final = ("app_id", "appid")
PASSWORD: Final = ("api_password", "value")
DROPS: Final = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "metadata",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "seed",
        "service_tier",
        "store",
        "verbosity",
    }
)
"""What merely tunes, and neither API takes for every model."""
_PAIR: Final = frozenset({"api_key", "api_secret"})


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of the operator's own, or what differs of a known one."""

    domain: str | None = None
    """The vendor's name for it."""
    url: str | None = None
    """Where it is, with its path."""
    patch_id: str | None = None
    """Of a fine-tuned model: its resource id."""
    max_tokens: int | None = None
    """Most tokens that an answer may have."""
    system: bool | None = None
    """Whether it takes instructions."""
    functions: bool | None = None
    """Whether it calls tools."""
    search: bool | None = None
    """Whether it searches the web."""
    images: bool | None = None
    """Whether it looks at images."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one upstream at the WebSocket API."""

    temperature: Temperature = "clamp"
    """OpenAI's 0 to 2 in the vendor's 0 to 1: what is above is 1, or each is halved."""
    forced_tools: ForcedTools = "refuse"
    """A `tool_choice` that forces a call, which the API does not know: refused, or the model decides."""
    versions: dict[str, Model] = {}
    """By the name that callers use: fine-tuned models, and known ones at another address."""
    image_hosts: frozenset[str] = frozenset()
    """Hosts that images are fetched from although they are not on the public internet."""


def read(upstream: Upstream) -> Options:
    """The options of the WebSocket API. Raises ConfigurationError for a credential that does not open it."""
    for plan in upstream.credentials:
        if not _is_application(plan.parts):
            raise ConfigurationError(
                f"upstream '{upstream.name}', credential '{plan.alias}': provider 'spark' needs app_id, api_key and "
                "api_secret. With an APIPassword use provider 'spark-http'."
            )
    return msgspec.convert(dict(upstream.options), Options)


def check(upstream: Upstream) -> None:
    """Raise ConfigurationError for a credential that does not open the HTTP API, and for any option: it has none."""
    for plan in upstream.credentials:
        if not _is_password(plan.parts):
            raise ConfigurationError(
                f"upstream '{upstream.name}', credential '{plan.alias}': provider 'spark-http' needs api_password."
            )
    if upstream.options:
        raise ConfigurationError(f"upstream '{upstream.name}': provider 'spark-http' has no options.")


def _is_application(parts: Mapping[str, Secret]) -> bool:
    return parts.keys() >= _PAIR and not parts.keys().isdisjoint(APP_ID)


def _is_password(parts: Mapping[str, Secret]) -> bool:
    return parts.keys() >= _PAIR or not parts.keys().isdisjoint(PASSWORD)


def app_id_of(credential: Credential) -> str:
    """The application's id."""
    return next((found for name in APP_ID if (found := credential.part(name))), "")


def password_of(credential: Credential) -> str:
    """What the HTTP API takes as its bearer: the password, or in its older form key and secret."""
    password = credential.part("api_password") or credential.part()
    return password or f"{credential.part('api_key')}:{credential.part('api_secret')}"


def version_of(options: Options, name: str, base_url: str) -> Version:
    """The model of this name, at its place. Raises ModelNotFound."""
    known, said = version(name), options.versions.get(name)
    if said is not None:
        given = msgspec.structs.asdict(said)
        given |= {"address": given.pop("url"), "most_tokens": given.pop("max_tokens")}
        known = replace(known or tuned(name), **{name: value for name, value in given.items() if value is not None})
        if said.url:
            return known
    if known is None:
        raise ModelNotFound(f"The model `{name}` does not exist at iFlytek Spark's WebSocket API.", param="model")
    return moved(known, base_url)
