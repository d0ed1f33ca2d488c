"""Images and documents as the API takes them: base64 and its kind, or an address (`upstreams/anthropic.md` 2.1)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from parley.chat.prompt import FilePart, ImagePart
from parley.errors import BadRequest, UnsupportedParameter

_DATA: Final = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_MAGIC: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)
_PDF: Final = "application/pdf"


class _Data(NamedTuple):
    """What a data URL holds."""

    kind: str
    base64: str

    @property
    def seen(self) -> str:
        """The kind that its first bytes show; what it says of itself when they show none."""
        try:
            start = base64.b64decode(self.base64[:24])
        except (binascii.Error, ValueError):
            return self.kind
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return "image/webp"
        return next((kind for magic, kind in _MAGIC if start.startswith(magic)), self.kind)


def image(part: ImagePart, where: str) -> dict[str, Any]:
    """The block of an image. Raises BadRequest."""
    url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
    param = f"{where}.image_url.url"
    if url[:8].lower() == "https://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    data = _data(url)
    if data is None:
        raise BadRequest(
            "An image must be a data URL with base64 in it, or an https URL.", param=param, code="invalid_value"
        )
    kind = data.kind if data.kind in _IMAGES else data.seen
    if kind not in _IMAGES:
        raise BadRequest("An image must be a JPEG, PNG, GIF or WebP.", param=param, code="invalid_value")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data.base64}}


def document(part: FilePart, where: str) -> dict[str, Any]:
    """The block of a document, by its content. Raises BadRequest, UnsupportedParameter."""
    said = part.file.get("file_data")
    if not isinstance(said, str):
        raise UnsupportedParameter(
            "Files by id are not known to this model; send 'file_data'.", param=f"{where}.file.file_id"
        )
    data = _data(said) or _Data("", said)
    source: dict[str, Any]
    if data.kind == "text/plain":
        try:
            text = base64.b64decode(data.base64, validate=True).decode()
        except ValueError:
            raise _not_a_document(where) from None
        source = {"type": "text", "media_type": "text/plain", "data": text}
    elif _PDF in (data.kind, data.seen):
        source = {"type": "base64", "media_type": _PDF, "data": data.base64}
    else:
        raise _not_a_document(where)
    name = part.file.get("filename")
    title = {"title": name} if isinstance(name, str) and name else {}
    return {"type": "document", "source": source, **title}


def _not_a_document(where: str) -> BadRequest:
    return BadRequest(
        "A file must be a PDF or plain text, as a data URL with base64 in it.",
        param=f"{where}.file.file_data",
        code="invalid_value",
    )


def _data(url: str) -> _Data | None:
    """What a data URL holds, as base64; None when it is no data URL or an empty one."""
    head = _DATA.match(url)
    if head is None or len(url) == head.end():
        return None
    kind, body = head[1].strip().lower(), url[head.end() :]
    if "base64" not in head[2].lower():
        body = base64.b64encode(unquote_to_bytes(body)).decode()
    elif "%" in body:
        body = unquote_to_bytes(body).decode("ascii", "replace")
    return _Data(kind, body)
