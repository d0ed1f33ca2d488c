"""Usage where the upstream does not say it: counted with a real tokenizer, and marked as estimated."""

from __future__ import annotations

import asyncio

from parley.chat.answer import Answer
from parley.chat.events import Usage
from parley.chat.prompt import Prompt
from parley.tokens import count, load, loaded, prompt_tokens

_LONG = 20_000  # characters; counting more than that takes milliseconds, which the event loop is not to wait for


async def counted(prompt: Prompt, answer: Answer) -> Usage:
    """Count what was asked and what was said."""
    said = "".join(answer.words())
    size = len(said) + sum(len(str(message.content or "")) for message in prompt.messages)
    if size > _LONG or not loaded():  # neither a long count nor the loading of the tables is to hold up other answers
        return await asyncio.to_thread(_count, prompt, said)
    return _count(prompt, said)


async def prompt_counted(prompt: Prompt) -> int:
    """How many tokens are asked with, before anybody is asked."""
    size = sum(len(str(message.content or "")) for message in prompt.messages)
    if size > _LONG or not loaded():
        return await asyncio.to_thread(prompt_tokens, prompt)
    return prompt_tokens(prompt)


async def ready() -> None:
    """Have the tables loaded before an answer is measured piece by piece."""
    if not loaded():
        await asyncio.to_thread(load)


def _count(prompt: Prompt, said: str) -> Usage:
    return Usage(prompt_tokens(prompt), count(said), measured=False)
