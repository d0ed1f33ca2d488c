"""AZURE_OPENAI_*: a resource at Azure OpenAI and its deployments, under the names that its official clients read."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.sealed import Secret
from parley.settings import CommaList, ConfigurationError, CredentialList, Settings


class AzureSettings(Settings):
    """Settings of Azure OpenAI."""

    azure_openai_api_key: SecretStr | None = None
    azure_openai_ad_token: SecretStr | None = None
    azure_openai_credentials: CredentialList = ()
    azure_openai_endpoint: str = ""
    azure_openai_api_version: str | None = None
    openai_api_version: str | None = None
    azure_openai_deployments: CommaList = ()
    azure_openai_default_model: str | None = None


def azure(settings: AzureSettings) -> Iterator[Upstream]:
    """The upstream of AZURE_OPENAI_*. Raises ConfigurationError."""
    plans = list(
        credentials("AZURE_OPENAI", settings.azure_openai_api_key, settings.azure_openai_credentials, part="api_key")
    )
    if settings.azure_openai_ad_token is not None:
        token = settings.azure_openai_ad_token.get_secret_value().strip()
        refuse_placeholder("AZURE_OPENAI_AD_TOKEN", token)
        plans.append(CredentialPlan("azure_openai-token", {"token": Secret(token)}))
    if not plans:
        return
    endpoint = settings.azure_openai_endpoint.strip()
    if not endpoint and not all(plan.base_url for plan in plans):
        raise ConfigurationError(
            "AZURE_OPENAI_ENDPOINT is needed: the address of your resource, such as https://NAME.openai.azure.com."
        )
    deployments = dict(_deployment(item) for item in settings.azure_openai_deployments)
    version = settings.azure_openai_api_version or settings.openai_api_version
    yield Upstream(
        name="azure",
        provider="azure",
        base_url=endpoint,
        credentials=tuple(plans),
        models=tuple(deployments),
        default_model=settings.azure_openai_default_model or next(iter(deployments), None),
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, endpoint),
        options={"deployments": deployments, **({"api_version": version} if version else {})},
    )


def _deployment(item: str) -> tuple[str, str]:
    """`model=deployment`, or a deployment that is called as it is."""
    model, equals, deployment = (part.strip() for part in item.partition("="))
    if not model or (equals and not deployment):
        raise ConfigurationError(
            f"AZURE_OPENAI_DEPLOYMENTS: '{item}' must be written as model=deployment, or as a deployment's name alone."
        )
    return model, deployment or model
