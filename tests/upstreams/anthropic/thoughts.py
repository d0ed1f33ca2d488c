"""Signed thoughts: whoever changes one is found out."""

from __future__ import annotations

import base64
import hashlib
from typing import Any


def signature(words: str) -> str:
    """What is signed under these words; thoughts whose words were left out are signed as well."""
    return base64.b64encode(b"signed:" + hashlib.sha256(words.encode()).digest()).decode()


def is_ours(block: dict[str, Any]) -> bool:
    """Whether a thought came from here, and as it is."""
    return bool(block["signature"] == signature(block["thinking"]))
