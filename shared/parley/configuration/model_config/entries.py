"""What the file holds: a list of entries, each with a token, a type and its config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from parley.configuration.model_config import text
from parley.settings import ConfigurationError

PUBLISHED: Final = frozenset(
    {
        *("f2b7295fc440db7f", "GxqT3BlbkFJj", "sb-ede1529390cc", "c115c8f5082", "7c7aa4a3549f5", "7c7aa4a3549f11"),
        *("7c7aa4a3549f12", "7c7aa4a3549f13", "xunfei-spark-api-7c7aa4a3549f11", "router-7c7aa4a3549f12"),
        *("model-name-router-7c7aa4a3549f12", "gemini-7c7aa4a3549f5", "bing-7c7aa4a3549f5", "sl-7c7aa4a3549f5"),
    }
)
"""Tokens of the project's README and sample files: everybody knows them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One token and what it stands for."""

    position: int
    """From 1, as people count."""
    token: str = field(repr=False)
    type: str
    config: Mapping[str, Any] = field(repr=False)
    label: str
    """The type and which of that type it is: what logs and headers call it."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"entry {self.position} ({self.type})"


def entries_of(content: str, where: str, advise: Callable[[str], None]) -> tuple[Entry, ...]:
    """The entries, in order; where two have one token, the later counts, as it did. Raises ConfigurationError."""
    found = text.read(content, where)
    if not isinstance(found, list):
        raise ConfigurationError(f"{where} must be a list of entries: [{{...}}, {{...}}].")
    counts: Counter[str] = Counter()
    by_token: dict[str, Entry] = {}
    for position, item in enumerate(found, 1):
        entry = _entry(position, item, f"{where}: entry {position}", counts)
        if (other := by_token.pop(entry.token, None)) is not None:
            advise(f"{where}: {other.name} has the same token as entry {position}, which counts.")
        by_token[entry.token] = entry
    return tuple(sorted(by_token.values(), key=lambda entry: entry.position))


def _entry(position: int, item: Any, where: str, counts: Counter[str]) -> Entry:
    if not isinstance(item, dict):
        raise ConfigurationError(f'{where} must be an object with "token", "type" and "config".')
    for member in ("token", "type"):
        if not isinstance(item.get(member), str) or not item[member].strip():
            raise ConfigurationError(f'{where}: "{member}" must be a text.')
    config = item.get("config", {})
    if not isinstance(config, dict):
        raise ConfigurationError(f'{where}: "config" must be an object.')
    kind = item["type"].strip()
    counts[kind] += 1
    return Entry(position, item["token"].strip(), kind, config, f"{kind}-{counts[kind]}")
