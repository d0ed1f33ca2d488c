"""The one image that a conversation may be about: bare base64, at most 4 MB (section 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parley.chat.prompt import ImagePart, Message
from parley.dialects.spark.versions import Version
from parley.errors import BadRequest, UnsupportedParameter

LARGEST: Final = 4 * 2**20
_DATA: Final = re.compile(r"data:image/[\w.+-]+;base64,(?P<base64>[A-Za-z0-9+/=\s]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as the caller gave it."""

    path: str
    """Which parameter it is."""
    base64: str
    """The image itself; empty where only its address is known."""
    url: str


def picture_of(messages: Sequence[Message], version: Version) -> Picture | None:
    """The image of a conversation, if it has one.

    Raises UnsupportedParameter where the version looks at none, or at no second one; BadRequest for what is no image.
    """
    found: Picture | None = None
    for path, part in _images(messages):
        if not version.images:
            raise UnsupportedParameter("This model looks at no images.", param=path)
        if found is not None:
            raise UnsupportedParameter("This model looks at one image in a conversation.", param=path)
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        found = Picture(path, _base64(url, path) if url[:5].lower() == "data:" else "", url)
    return found


def not_usable(path: str, why: str) -> BadRequest:
    """The refusal of an image."""
    return BadRequest(why, param=path, code="invalid_image_url")


def _images(messages: Sequence[Message]) -> Iterator[tuple[str, ImagePart]]:
    for position, message in enumerate(messages):
        content = message.content
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, ImagePart):
                yield f"messages[{position}].content[{place}]", part


def _base64(url: str, path: str) -> str:
    data = _DATA.fullmatch(url)
    bare = "".join(data["base64"].split()) if data else ""
    if not bare:
        raise not_usable(path, "The image must be a data URL of an image in base64, or an address.")
    if len(bare) * 3 // 4 - bare.count("=") > LARGEST:
        raise not_usable(path, "The image must have at most 4 MB.")
    return bare
