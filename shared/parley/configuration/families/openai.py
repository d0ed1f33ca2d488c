"""OPENAI_*: OpenAI, or anything that speaks its API at OPENAI_BASE_URL."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from parley.catalog import Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.providers.rows import ROWS
from parley.settings import CommaList, CredentialList, Settings


class OpenAISettings(Settings):
    """Settings of OpenAI and of look-alikes."""

    openai_api_key: SecretStr | None = None
    openai_credentials: CredentialList = ()
    openai_base_url: str = "https://api.openai.com/v1"
    openai_default_model: str | None = None
    openai_models: CommaList = ()
    openai_organization: str | None = None
    openai_project: str | None = None


def openai(settings: OpenAISettings) -> Iterator[Upstream]:
    """The upstream of OPENAI_*. Raises ConfigurationError."""
    plans = credentials("OPENAI", settings.openai_api_key, settings.openai_credentials)
    if not plans:
        return
    options = {"organization": settings.openai_organization, "project": settings.openai_project}
    yield Upstream(
        name="openai",
        provider=spoken_at(settings.openai_base_url),
        base_url=settings.openai_base_url,
        credentials=plans,
        models=settings.openai_models,
        default_model=settings.openai_default_model,
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, settings.openai_base_url),
        options={name: value for name, value in options.items() if value},
    )


def spoken_at(base_url: str) -> str:
    """The row of the service that lives at this address; of any server that speaks the API, if nobody known does."""
    host = urlsplit(base_url).hostname
    known = {urlsplit(row.base_url).hostname: name for name, row in ROWS.items()}
    return "openai-compatible" if host in (None, "127.0.0.1", "localhost") else known.get(host, "openai-compatible")
