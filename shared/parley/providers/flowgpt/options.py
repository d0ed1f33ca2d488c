"""What an operator may say of a FlowGPT upstream beyond its address and tokens."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from parley.catalog import Upstream
from parley.dialects.flowgpt import Context, Personality, check
from parley.dialects.flowgpt.catalogue import known, personality
from parley.settings import ConfigurationError

HOST: Final = "https://prod-backend-k8s.flowgpt.com"
SITE: Final = "https://flowgpt.com"
PARTS: Final = ("value", "device_id", "cookie", "waf_token")
"""What a credential may hold: the token, and what belongs to it."""
_DEFAULT: Final = "default"


class Persona(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt of the service, and the model behind it if that matters."""

    promptId: str  # noqa: N815 - as the service and the replaced project write it
    """The id of the prompt."""
    model: str = ""
    """The service's name of the model; empty: the prompt's own."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one upstream."""

    models: dict[str, str | Persona] = {}
    """Names of ours and their prompts, besides the old aliases."""
    allow_unknown_model: bool = False
    """Whether a name that nobody knows is answered by the default prompt."""
    discovery: bool = True
    """Whether the site's catalogue is looked at."""
    signature_mode: str = "dash-auth"
    """How requests are signed (docs/upstreams/flowgpt.md)."""
    signature_learn: bool = True
    """Whether another mode is tried where the service refuses a signature."""
    context_mode: Context = "history"
    """How earlier turns are told: with the question, in a conversation made for it, or both."""
    go_on: str = ""
    """What is asked where the last words of a conversation are not a user's; empty: that is refused."""
    nsfw: bool = False
    """Whether the service may answer with adult content."""
    clean_characters: Annotated[int, msgspec.Meta(ge=0)] = 150
    """How far into an answer an analysis before it may reach; 0: nothing is taken off."""
    clean_strictly: bool = True
    """Whether only what begins in bold can be an analysis."""
    site_url: str = ""
    """Where catalogue and renewals are; empty: the site, or the base URL where somebody else's was configured."""
    origin: str = SITE
    """The page that requests say they come from."""
    api: Literal["v2", "v3"] = "v3"
    """The generation of the chat routes."""
    headers: dict[str, str] = {}
    """Headers of your own, sent with every question."""

    def __post_init__(self) -> None:
        check(self.signature_mode)

    def who(self, model: str) -> Personality | None:
        """Who answers under a model name."""
        entry = self.models.get(model)
        if isinstance(entry, Persona):
            return personality(entry.promptId, entry.model)
        if entry is not None:
            return personality(entry)
        return known(model) or (self.who(_DEFAULT) if self.allow_unknown_model and model != _DEFAULT else None)


def read(upstream: Upstream) -> Options:
    """The options of an upstream. Raises msgspec.ValidationError; ConfigurationError for credentials of other parts."""
    for plan in upstream.credentials:
        if strange := plan.parts.keys() - PARTS:
            raise ConfigurationError(
                f"upstream '{upstream.name}', credential '{plan.alias}': a FlowGPT credential has no "
                f"'{min(strange)}'; it has: {', '.join(PARTS)}."
            )
    return msgspec.convert(dict(upstream.options), Options)
