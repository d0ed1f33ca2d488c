"""What was said, for the record of a request whose key an operator marked so (`contents`). Nothing else logs a word."""

from __future__ import annotations

from typing import Any

from parley.chat.answer import Answer
from parley.chat.prompt import Prompt


def contents(prompt: Prompt, said: Answer) -> dict[str, Any]:
    """The messages as they came, and each choice of the answer as far as it got."""
    return {
        "messages": prompt.raw.get("messages", []),
        "answer": [
            {
                "text": "".join(choice.text),
                "finish": choice.finish,
                **({"calls": [{"name": c.name, "arguments": "".join(c.arguments)} for c in choice.calls]}
                   if choice.calls else {}),
            }
            for _, choice in sorted(said.choices.items())
        ],
    }  # fmt: skip
