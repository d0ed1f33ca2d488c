"""AZURE_OPENAI_*, and which row OPENAI_BASE_URL and H2OGPTE_OPENAI come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.catalog import Catalog
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.providers import make_providers
from parley.settings import ConfigurationError
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets

NET = Net(HTTP(), WebSockets(), Browser())
PLACE = "AZURE_OPENAI_ENDPOINT=https://demo.openai.azure.com/\n"


def catalog(env: str, yaml: str = "") -> Catalog:
    Path(".env").write_text(env)
    Path("parley.yaml").write_text(yaml)
    return read_catalog(read_settings()).catalog


def test_a_key_an_endpoint_and_deployments() -> None:
    env = (
        f"AZURE_OPENAI_API_KEY=k1\n{PLACE}AZURE_OPENAI_DEPLOYMENTS=gpt-4o=my dep, plain\nOPENAI_API_VERSION=2024-06-01"
    )
    up = catalog(env).upstreams["azure"]
    assert up.credentials[0].parts["api_key"].reveal() == "k1"
    assert (up.models, up.default_model) == (("gpt-4o", "plain"), "gpt-4o")
    assert up.options == {"api_version": "2024-06-01", "deployments": {"gpt-4o": "my dep", "plain": "plain"}}


def test_a_token_several_keys_and_places_of_their_own() -> None:
    several = '[{"api_key": "k2", "base_url": "https://b.example"}, "k3"]'
    env = f"AZURE_OPENAI_AD_TOKEN=t1\nAZURE_OPENAI_CREDENTIALS={several}\n{PLACE}AZURE_OPENAI_API_VERSION=v1\n"
    up = catalog(env).upstreams["azure"]
    assert [next(iter(plan.parts.items()))[1].reveal() for plan in up.credentials] == ["k2", "k3", "t1"]
    assert "token" in up.credentials[2].parts
    assert up.credentials[0].base_url == "https://b.example"
    assert up.options["api_version"] == "v1"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("AZURE_OPENAI_API_KEY=k1\n", "AZURE_OPENAI_ENDPOINT is needed"),
        (f"AZURE_OPENAI_API_KEY=xxxxxx\n{PLACE}", "placeholder"),
        (f"AZURE_OPENAI_API_KEY=k1\n{PLACE}AZURE_OPENAI_DEPLOYMENTS==x\n", "model=deployment"),
        (f"AZURE_OPENAI_API_KEY=k1\n{PLACE}AZURE_OPENAI_API_VERSION=newest\n", "an api-version is a date"),
        ("IS_GUEST=true\nH2OGPTE_OPENAI=true\n", "needs an API key"),
    ],
)
def test_what_cannot_be_used_is_said(env: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make_providers(catalog(env), NET)


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://api.openai-sb.com/v1", "openai-compatible"),
        ("http://127.0.0.1:8000/v1", "openai-compatible"),
    ],
)
def test_the_address_tells_which_look_alike_is_asked(base_url: str, provider: str) -> None:
    assert catalog(f"OPENAI_API_KEY=k1\nOPENAI_BASE_URL={base_url}\n").upstreams["openai"].provider == provider


def test_h2ogpte_may_be_asked_at_its_own_openai_endpoint_too() -> None:
    env = "H2OGPTE_API_KEY=k1\nH2OGPTE_BASE_URL=https://h2o.example/\nH2OGPTE_OPENAI=true\n"
    found = catalog(env).upstreams
    assert list(found) == ["h2ogpte", "h2ogpte-openai", "echo"]
    up = found["h2ogpte-openai"]
    assert (up.base_url, up.credentials[0].parts["value"].reveal()) == ("https://h2o.example/openai_api/v1", "k1")
    assert "tools" in make_providers(catalog(env), NET)["h2ogpte-openai"].features


@pytest.mark.parametrize("provider", ["bing", "Bing"])
def test_bing_is_over_and_said_so(provider: str) -> None:
    yaml = f"upstreams: [{{name: old, provider: {provider}, credentials: [cookie]}}]"
    with pytest.raises(ConfigurationError, match="Bing chat has ended"):
        make_providers(catalog("", yaml), NET)
