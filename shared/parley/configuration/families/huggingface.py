"""HF_*: the Hugging Face router, under the names that its proxy project used."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from parley.catalog import Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.settings import CredentialList, Seconds, Settings


class HuggingFaceSettings(Settings):
    """Settings of the Hugging Face router."""

    hf_token: SecretStr | None = None
    hf_credentials: CredentialList = ()
    hf_base_url: str = "https://router.huggingface.co/v1"
    hf_bill_to: str | None = None
    request_timeout: Seconds | None = None


def huggingface(settings: HuggingFaceSettings) -> Iterator[Upstream]:
    """The upstream of HF_*. Raises ConfigurationError."""
    plans = credentials("HF", settings.hf_token, settings.hf_credentials, name="HF_TOKEN")
    if not plans:
        return
    yield Upstream(
        name="huggingface",
        provider="huggingface",
        base_url=settings.hf_base_url,
        credentials=plans,
        default_model=settings.default_model,
        timeouts=timeouts_of(settings, settings.request_timeout),
        proxy=proxy_for(settings, settings.hf_base_url),
        options={"bill_to": settings.hf_bill_to} if settings.hf_bill_to else {},
    )
