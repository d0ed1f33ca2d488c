"""How upstreams are reached, where the environment decides it: time-outs and proxies."""

from __future__ import annotations

from typing import Final

from parley.catalog import Timeouts
from parley.sealed import Secret
from parley.settings import Settings

_SHORTEST_FIRST_TOKEN: Final = 60.0
"""Old time-outs (10 s and the like) cut off slow models; they never shorten the wait for the first token below this."""


def timeouts_of(settings: Settings, old: float | None = None) -> Timeouts:
    """The time-outs of an upstream; `old` is a replaced project's one time-out, in seconds."""
    first, between = settings.first_token_seconds, settings.between_tokens_seconds
    if old is not None:
        first, between = max(old, _SHORTEST_FIRST_TOKEN), max(old, _SHORTEST_FIRST_TOKEN)
    return Timeouts(settings.connect_seconds, first, between, settings.total_seconds)


def proxy_for(settings: Settings, base_url: str) -> Secret | None:
    """The HTTP(S)_PROXY that applies to a base URL, unless NO_PROXY names its host or a suffix of it."""
    scheme, _, rest = base_url.partition("://")
    host = rest.split("/")[0].rpartition("@")[2].split(":")[0].lower()
    for entry in (part.strip().lstrip(".").lower() for part in settings.no_proxy.split(",")):
        if entry and (entry in ("*", host) or host.endswith(f".{entry}")):
            return None
    if host in {"127.0.0.1", "localhost", "::1"}:
        return None
    chosen = settings.https_proxy if scheme in {"https", "wss"} else settings.http_proxy
    return Secret(chosen.get_secret_value()) if chosen else None
