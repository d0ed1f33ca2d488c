"""GPTOMNI_*: cookies of gptomni.ai."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from parley.catalog import Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.settings import CredentialList, Seconds, Settings


class GPTOmniSettings(Settings):
    """Settings of gptomni.ai."""

    gptomni_credentials: CredentialList = ()
    gptomni_base_url: str = "https://gptomni.ai"
    gptomni_history: Literal["transcript", "last_only"] = "transcript"
    gptomni_concurrency: Annotated[int, Field(ge=0)] = 2
    gptomni_per_minute: Annotated[int, Field(ge=0)] = 2
    gptomni_challenges: Literal["off", "library"] = "off"
    gptomni_probe: bool = False
    api_request_timeout: Seconds | None = None


def gptomni(settings: GPTOmniSettings) -> Iterator[Upstream]:
    """The upstream of GPTOMNI_*. Raises ConfigurationError."""
    plans = credentials("GPTOMNI", None, settings.gptomni_credentials)
    if not plans:
        return
    yield Upstream(
        name="gptomni",
        provider="gptomni",
        base_url=settings.gptomni_base_url,
        credentials=plans,
        models=("gptomni",),
        default_model="gptomni",
        concurrency=settings.gptomni_concurrency,
        per_minute=settings.gptomni_per_minute,
        timeouts=timeouts_of(settings, settings.api_request_timeout),
        proxy=proxy_for(settings, settings.gptomni_base_url),
        options={
            "history": settings.gptomni_history,
            "challenges": settings.gptomni_challenges,
            "probe": settings.gptomni_probe,
        },
    )
