"""Pages that a front proxy shows to humans, told apart from the service's own answers.

Nothing here gets past such a page; it is recognised so that it is never taken for an answer or for a dead credential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SIGNS: Final = re.compile(
    rb"just a moment\.\.\.|attention required!|cf-chl|cf-challenge|challenge-platform|checking your browser",
    re.IGNORECASE,
)
_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|!--)", re.IGNORECASE)
LOOK: Final = 16 * 1024
"""How much of a page is looked at."""


def is_page(content_type: str, body: bytes) -> bool:
    """Whether this is a page for a browser: by what it says it is, or by how it begins."""
    return content_type.lower().lstrip().startswith(("text/html", "application/xhtml")) or bool(_PAGE.match(body))


def is_challenge(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a page is a challenge or a block. `headers` must be found whatever their case."""
    return "challenge" in headers.get("cf-mitigated", "").lower() or bool(_SIGNS.search(body[:LOOK]))
