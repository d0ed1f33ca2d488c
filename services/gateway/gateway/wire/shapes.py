"""Shapes that stream and unary answers have in common."""

from __future__ import annotations

from typing import Any

from parley.chat.events import Usage


def usage_shape(usage: Usage) -> dict[str, Any]:
    """`CompletionUsage`. Whether it was measured or estimated is said beside it: the published shape has no room."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs_shape(logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
    """Log probabilities with both members that the schema requires."""
    return None if logprobs is None else {"content": None, "refusal": None, **logprobs}
