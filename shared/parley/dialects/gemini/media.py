"""What a person says, as Gemini's parts: words, images, sound, documents.

Content travels inside the request. The service itself fetches only what lies with Google (its Files API, Cloud Storage,
YouTube), and newer models what an operator allows it to; Parley fetches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from parley.chat.prompt import AudioPart, Content, FilePart, ImagePart, TextPart
from parley.errors import BadRequest, UnsupportedParameter

_DATA: Final = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w-]+=[^;,]*)*;base64,", re.IGNORECASE)
_GOOGLES: Final = re.compile(
    r"gs://.|https://(?:generativelanguage\.googleapis\.com/v1(?:beta)?/files/|(?:www\.)?youtube\.com/watch\?|youtu\.be/)"
)
_SOUNDS: Final = frozenset({"wav", "mp3", "aiff", "aac", "ogg", "flac"})
_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
}
Body = dict[str, Any]


def told(content: Content, path: str, *, fetch: bool) -> Iterator[Body]:
    """The parts of a content; empty words are left out. Raises UnsupportedParameter, BadRequest, naming the place."""
    parts = [content] if isinstance(content, str) else content or []
    for position, part in enumerate(parts):
        where = f"{path}.content[{position}]"
        match part:
            case str() | TextPart():
                text = part if isinstance(part, str) else part.text
                if text:
                    yield {"text": text}
            case ImagePart():
                url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
                yield _image(url, f"{where}.image_url.url", fetch=fetch)
            case AudioPart():
                yield _sound(part.input_audio, f"{where}.input_audio")
            case FilePart():
                yield _document(part.file, f"{where}.file")


def _image(url: str, where: str, *, fetch: bool) -> Body:
    if url[:5].lower() == "data:":
        return _inline(url, where)
    if _GOOGLES.match(url):
        return {"fileData": {"fileUri": url}}
    if fetch and url.startswith("https://"):
        kind = _TYPES.get(urlsplit(url).path.rpartition(".")[2].lower())
        return {"fileData": {"fileUri": url, **({"mimeType": kind} if kind else {})}}
    raise UnsupportedParameter(
        f"'{where}' must be a data URL (data:image/png;base64,...): Gemini does not fetch images from elsewhere.",
        param=where,
    )


def _inline(url: str, where: str) -> Body:
    found = _DATA.match(url)
    if found is None:
        raise BadRequest(
            f"Invalid value for '{where}': expected data:TYPE;base64,CONTENT.", param=where, code="invalid_value"
        )
    return _content(found["type"].lower(), url[found.end() :], where)


def _content(kind: str, text: str, where: str) -> Body:
    data = "".join(text.split()).replace("-", "+").replace("_", "/")  # some write the URL's alphabet
    if not data:
        raise BadRequest(f"Invalid value for '{where}': it is empty.", param=where, code="invalid_value")
    return {"inlineData": {"mimeType": kind, "data": data}}


def _sound(given: Body, where: str) -> Body:
    data, form = given.get("data"), given.get("format")
    if form not in _SOUNDS:
        raise BadRequest(
            f"Invalid value for '{where}.format': expected 'wav' or 'mp3'.",
            param=f"{where}.format",
            code="invalid_value",
        )
    return _content(f"audio/{form}", data if isinstance(data, str) else "", f"{where}.data")


def _document(given: Body, where: str) -> Body:
    data, known = given.get("file_data"), given.get("file_id")
    if isinstance(data, str):
        if data[:5].lower() == "data:":
            return _inline(data, f"{where}.file_data")
        return _content("application/pdf", data, f"{where}.file_data")
    if isinstance(known, str) and _GOOGLES.match(known):
        return {"fileData": {"fileUri": known}}
    raise UnsupportedParameter(
        f"'{where}.file_id' must be a URI of Gemini's Files API, or the content must be given as 'file_data'.",
        param=f"{where}.file_id",
    )
