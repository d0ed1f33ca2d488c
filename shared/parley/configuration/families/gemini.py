"""GEMINI_*: Google's Gemini API. GOOGLE_API_KEY and GOOGLE_GENAI_API_VERSION are names of the vendor's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from parley.catalog import Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.settings import CommaList, CredentialList, Settings


class GeminiSettings(Settings):
    """Settings of Gemini."""

    gemini_api_key: SecretStr | None = None
    google_api_key: SecretStr | None = None
    gemini_credentials: CredentialList = ()
    gemini_base_url: str = "https://generativelanguage.googleapis.com"
    gemini_api_version: Literal["v1", "v1beta", "v1alpha"] | None = None
    google_genai_api_version: Literal["v1", "v1beta", "v1alpha"] | None = None
    gemini_default_model: str | None = None
    gemini_models: CommaList = ()
    gemini_thoughts: bool = True
    gemini_safety: (
        Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"] | None
    ) = None
    gemini_image_urls: Literal["refuse", "pass"] = "refuse"


def gemini(settings: GeminiSettings) -> Iterator[Upstream]:
    """The upstream of GEMINI_*. Raises ConfigurationError."""
    single, name = settings.gemini_api_key, "GEMINI_API_KEY"
    if single is None:
        single, name = settings.google_api_key, "GOOGLE_API_KEY"
    plans = credentials("GEMINI", single, settings.gemini_credentials, name=name)
    if not plans:
        return
    options = {
        "api_version": settings.gemini_api_version or settings.google_genai_api_version or "v1beta",
        "thoughts": settings.gemini_thoughts,
        "safety": settings.gemini_safety,
        "image_urls": settings.gemini_image_urls,
    }
    yield Upstream(
        name="gemini",
        provider="gemini",
        base_url=settings.gemini_base_url,
        credentials=plans,
        models=settings.gemini_models,
        default_model=settings.gemini_default_model,
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, settings.gemini_base_url),
        options={name: value for name, value in options.items() if value is not None},
    )
