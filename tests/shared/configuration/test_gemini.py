"""GEMINI_* and the vendor's own names for the same things."""

from __future__ import annotations

from typing import Any

import pytest

from parley.catalog import Upstream
from parley.configuration.families.gemini import GeminiSettings, gemini
from parley.providers.gemini import Options
from parley.settings import ConfigurationError


@pytest.fixture(autouse=True)
def _a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GeminiSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def found(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Upstream | None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return next(gemini(GeminiSettings(_env_file=None)), None)


def one(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Upstream:
    upstream = found(monkeypatch, **variables)
    assert upstream is not None
    return upstream


def test_without_a_credential_it_is_off(monkeypatch):
    assert found(monkeypatch, GEMINI_MODELS="gemini-2.5-flash") is None


def test_a_key_is_enough(monkeypatch):
    upstream = one(monkeypatch, GEMINI_API_KEY="AIza-one")
    assert (upstream.name, upstream.provider) == ("gemini", "gemini")
    assert upstream.base_url == "https://generativelanguage.googleapis.com"
    assert [(plan.alias, plan.parts["value"].reveal()) for plan in upstream.credentials] == [("gemini-1", "AIza-one")]
    assert upstream.options == {"api_version": "v1beta", "thoughts": True, "image_urls": "refuse"}


def test_the_vendors_own_names_work(monkeypatch):
    upstream = one(monkeypatch, GOOGLE_API_KEY="AIza-two", GOOGLE_GENAI_API_VERSION="v1")
    assert upstream.credentials[0].parts["value"].reveal() == "AIza-two"
    assert upstream.options["api_version"] == "v1"
    both = one(monkeypatch, GEMINI_API_KEY="AIza-one", GEMINI_API_VERSION="v1beta")
    assert both.credentials[0].parts["value"].reveal() == "AIza-one"
    assert both.options["api_version"] == "v1beta"


def test_everything_else(monkeypatch):
    upstream = one(
        monkeypatch,
        GEMINI_CREDENTIALS='["AIza-a", {"value": "AIza-b", "alias": "spare", "proxy": "socks5://127.0.0.1:1080"}]',
        GEMINI_BASE_URL="https://proxy.example/v1beta",
        GEMINI_MODELS="gemini-2.5-flash, gemini-3-pro",
        GEMINI_DEFAULT_MODEL="gemini-2.5-flash",
        GEMINI_THOUGHTS="false",
        GEMINI_SAFETY="BLOCK_NONE",
        GEMINI_IMAGE_URLS="pass",
    )
    assert [plan.alias for plan in upstream.credentials] == ["gemini-1", "spare"]
    assert list(upstream.models) == ["gemini-2.5-flash", "gemini-3-pro"]
    assert upstream.default_model == "gemini-2.5-flash"
    assert upstream.options == {
        "api_version": "v1beta",
        "thoughts": False,
        "safety": "BLOCK_NONE",
        "image_urls": "pass",
    }
    manner = Options(thoughts=False, safety="BLOCK_NONE", image_urls="pass").manner()
    assert set(manner.safety.values()) == {"BLOCK_NONE"} and len(manner.safety) == 4
    assert manner.image_urls and not manner.thoughts


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_a_samples_placeholder_is_refused_by_its_name(monkeypatch, name: str):
    with pytest.raises(ConfigurationError, match=name):
        found(monkeypatch, **{name: "your-api-key"})


@pytest.mark.parametrize(
    "variables", [{"GEMINI_SAFETY": "SOMETIMES"}, {"GEMINI_API_VERSION": "v9"}, {"GEMINI_IMAGE_URLS": "maybe"}]
)
def test_values_that_mean_nothing_are_refused(monkeypatch, variables: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(variables)).lower()):
        found(monkeypatch, GEMINI_API_KEY="AIza-one", **variables)
