"""The Hugging Face router: a model name with a suffix finds its provider, or a refusal."""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import refusal
from .refusal import Refused
from .settings import Settings

POLICIES = {"fastest", "cheapest", "preferred"}


class Routed(msgspec.Struct):
    """Where a request goes: the provider, and that provider's own name for the model."""

    provider: str
    internal: str


def split_name(model: str) -> tuple[str, str | None]:
    """`org/name:suffix` at the last colon, if what follows could be a suffix."""
    base, colon, suffix = model.rpartition(":")
    if not colon or "/" in suffix:
        return model, None
    return base, suffix


def route(model: str, settings: Settings, avoid_first: bool) -> Routed:
    """The provider that answers; without a named one the next healthy takes over (`avoid_first`: the first is down)."""
    base, suffix = split_name(model)
    providers = ["anyone"] if settings.any_model else settings.hf_models.get(base)
    if providers is None:
        raise _of("hf_model_not_found", f"The requested model '{base}' does not exist.")
    named = suffix is not None and suffix not in POLICIES
    if named and not settings.any_model and suffix not in providers:
        raise _of(
            "hf_model_not_supported",
            f"The requested model '{model}' is not supported by any provider you have enabled.",
        )
    able = [suffix or ""] if named else list(providers)[1 if avoid_first and len(providers) > 1 else 0 :]
    healthy = [provider for provider in able if provider not in settings.failing_providers]
    if not healthy:
        raise refusal("hf_trouble", {"status": 503, "message": f"Provider {able[0]} is unavailable"})
    name = base.rpartition("/")[2]
    return Routed(healthy[0], f"accounts/{healthy[0]}/models/{name}")


def model_row(model: str, providers: list[str]) -> dict[str, Any]:
    """One entry of the router's model list."""
    organisation = model.partition("/")[0]
    return {
        "id": model,
        "object": "model",
        "created": 1750000000,
        "owned_by": organisation,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "providers": [
            {
                "provider": provider,
                "status": "live",
                "context_length": 131072,
                "pricing": {"input": 0.15, "output": 0.6},
                "supports_tools": True,
                "supports_structured_output": False,
                "is_model_author": False,
            }
            for provider in providers
        ],
    }


def _of(name: str, message: str) -> Refused:
    return refusal(name, {"message": message})
