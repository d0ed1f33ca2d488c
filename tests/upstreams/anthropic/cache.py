"""What was read before: prefixes of conversations up to their marks, remembered per key and model."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Body = dict[str, Any]


class Cache:
    """Remembers until it is told to forget; five minutes are longer than any test."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def forget(self) -> None:
        """Nothing was ever read."""
        self._known.clear()

    def bill(self, body: Body, key: str, total: int, minimum: int) -> tuple[int, int, int]:
        """Of so many tokens: fresh, written and read ones."""
        marks = [(size, name) for size, name in _prefixes(body, key) if size >= minimum]
        read = max((size for size, name in marks if name in self._known), default=0)
        longest = max((size for size, _ in marks), default=0)
        self._known |= {name for _, name in marks}
        longest, read = min(longest, total), min(read, total)
        return total - max(longest, read), max(longest - read, 0), read


def _prefixes(body: Body, key: str) -> list[tuple[int, str]]:
    """Every prefix that ends with a mark: its tokens and its name. Tools come first, then instructions, then turns."""
    system = body.get("system", [])
    turns = [turn["content"] for turn in body["messages"]]
    parts = [*(body.get("tools") or ()), *(system if isinstance(system, list) else [system])]
    parts += [block for content in turns for block in (content if isinstance(content, list) else [content])]
    told, found = f"{key} {body['model']} ", []
    for place, part in enumerate(parts):
        marked = isinstance(part, dict) and "cache_control" in part
        plain = {name: value for name, value in part.items() if name != "cache_control"} if marked else part
        told += json.dumps(plain, ensure_ascii=False)
        if marked or (place == len(parts) - 1 and "cache_control" in body):
            found.append((len(told) // 4, hashlib.sha256(told.encode()).hexdigest()))
    return found
