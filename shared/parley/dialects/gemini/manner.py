"""How to put a question to one model of Gemini's, and what a refusal says about it.

Models, API versions and projects differ in what they take, and nothing but a refusal tells. `remedied` reads it: a 400
that another manner would avoid costs nothing, and is no answer for the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Manner:
    """What may be said, and how."""

    signatures: bool | None = None
    """True: every call goes with its signature, or the documented stand-in; None: so where the model is known to want
    it; False: with the stand-in alone, because the signatures are of another project or model."""
    plain_schemas: bool = True
    """Whether JSON Schema is understood as it stands; otherwise it is cut to what OpenAPI's has."""
    instructions: bool = True
    """Whether there is a place for the system's words; otherwise the first turn begins with them."""
    penalties: bool = True
    thinking: bool = True
    """Whether thinking may be spoken of at all."""
    thoughts: bool = True
    """Whether the caller is to see thoughts."""
    image_urls: bool = False
    """Whether the service fetches images from anywhere."""
    safety: Mapping[str, str] = field(default_factory=dict)
    """Thresholds by category."""


_REMEDIES: Final[tuple[tuple[re.Pattern[bytes], Callable[[Manner], Manner]], ...]] = tuple(
    (re.compile(complaint, re.IGNORECASE), remedy)
    for complaint, remedy in (
        (
            rb"missing (?:a )?`?thought[_ ]?signature",
            lambda manner: replace(manner, signatures=True) if manner.signatures is None else manner,
        ),
        (
            rb"(?:corrupted|invalid)[^.]{0,20} thought[_ ]?signature|thought[_ ]?signature[^.]{0,20} not valid",
            lambda manner: replace(manner, signatures=False),
        ),
        (
            rb"unknown name \\?\"(?:parameters|response)_?json_?schema",
            lambda manner: replace(manner, plain_schemas=False),
        ),
        (
            rb"(?:developer|system)[_ ]?instructions? is not (?:enabled|supported)",
            lambda manner: replace(manner, instructions=False),
        ),
        (rb"penalty is not enabled", lambda manner: replace(manner, penalties=False)),
        (rb"\bthinking", lambda manner: replace(manner, thinking=False)),
    )
)


def remedied(manner: Manner, status: int, body: bytes) -> Manner | None:
    """The manner that this refusal asks for; None when it asks for none, or for the one it refused."""
    if status != 400:
        return None
    for complaint, remedy in _REMEDIES:
        if complaint.search(body) and (better := remedy(manner)) != manner:
            return better
    return None
