"""An installation with something in its environment, its file, and its model-config file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from parley.configuration.editing.masks import Masks
from parley.configuration.editing.overlay import View
from parley.configuration.editing.sources import read_sources
from parley.configuration.families import Environment
from parley.sealed import Seal

FILE = """
upstreams:
  - {name: east, provider: openai, base_url: "http://127.0.0.1:1/v1", models: [big], limits: {requests_per_day: 1000},
     credentials: [east-secret-one, {value: east-secret-two, alias: spare, proxy: "http://u:east-proxy-pass@127.0.0.1:8"}]}
  - {name: door, provider: openai, base_url: "http://127.0.0.1:2/v1", models: [small], timeouts: {total: 60}}
  - {name: lounge, provider: h2ogpte, base_url: "http://127.0.0.1:3", guests: 2}
routes:
  - {model: smart, targets: [east/big, {target: door/small, weight: 2}], strategy: weighted}
keys:
  - {name: alice, key: alices-own-key-of-the-file, models: ["smart"], owner: Alice, limits: {requests_per_minute: 60}}
limits:
  - {model: "east/*", tokens_per_minute: 5000}
prices: {currency: EUR, models: [{model: big, prompt: 1.25, completion: 2}]}
"""
OLD = [{"token": "a-token-of-the-old-file", "type": "openai", "config": {"api_key": "old-file-secret-key"}}]


@pytest.fixture
def settings(tmp_path: Path) -> Environment:
    file, old = tmp_path / "parley.yaml", tmp_path / "model-config.json"
    file.write_text(FILE)
    old.write_text(json.dumps(OLD))
    return Environment(
        _env_file=None,  # type: ignore[call-arg]
        parley_config=file,
        parley_model_config=old,
        openai_api_key=SecretStr("openai-secret-of-the-environment"),
        default_model="smart",
        connect_seconds=3,
    )


@pytest.fixture
def view(settings: Environment) -> Callable[..., View]:
    """What there is with these changes."""

    def seen(changes: dict[str, Any] | None = None) -> View:
        return View(read_sources(settings), changes or {})

    return seen


@pytest.fixture
def masks() -> Masks:
    return Masks(Seal(b"an installation's own secret"))
