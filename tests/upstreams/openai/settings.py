"""What a test may set on this stand-in; `tests.upstreams.openai` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

KEYS = ["sk-upstream-1", "sk-upstream-2", "sk-upstream-3", "hf_demo"]
MODELS = ["demo-mini", "demo-large", "demo-reasoner", "demo-org/demo-chat:free"]
HF_MODELS = {
    "demo-org/demo-120b": ["fireworks-ai", "together"],
    "demo-org/demo-vl": ["together"],
    "openai/gpt-oss-120b": ["cerebras", "fireworks-ai", "groq"],
}


Dialect = Literal[
    "openai",
    "huggingface",
    "deepseek",
    "moonshot",
    "openrouter",
    "siliconflow",
    "qwen",
    "ark",
    "ollama",
    "vllm",
    "llama.cpp",
    "relay",
]
"""Who is played at `/v1`; every other one but the first is always at `/NAME/v1`."""


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    """So many requests in so many seconds, for each key."""

    requests: int
    seconds: float = 60.0


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    dialect: Dialect = "openai"
    keys: list[str] = msgspec.field(default_factory=KEYS.copy)
    powerless_keys: list[str] = msgspec.field(default_factory=["hf_nopermission"].copy)
    models: list[str] = msgspec.field(default_factory=MODELS.copy)
    any_model: bool = False
    reasoning_models: list[str] = msgspec.field(default_factory=["demo-reasoner"].copy)
    hf_models: dict[str, list[str]] = msgspec.field(default_factory=HF_MODELS.copy)
    failing_providers: list[str] = []
    strict: bool = True
    dated: bool = True
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0
    reasoning_field: str | None = None
    obfuscation: bool = False
    eos_token: bool | None = None
    credits: dict[str, int] = {}
    rate: Rate | None = None
    record: bool = True

    @property
    def speaks_hf(self) -> bool:
        """Whether this is the Hugging Face router."""
        return self.dialect == "huggingface"

    @property
    def thought_key(self) -> str:
        """Where thoughts are told."""
        return self.reasoning_field or ("reasoning" if self.speaks_hf else "reasoning_content")


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
