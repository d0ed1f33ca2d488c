"""Services that speak OpenAI's API, one row each: where it is, what it honours, what it drops, what its codes mean.

Sources: `upstreams/openai.md`, `huggingface.md`, `h2ogpte.md` section 1.8, and each service's public reference. What a
row does not promise is refused by name (`parley.chat.demands`); what it drops merely tunes. An operator who knows a
server better says so with `options: {features: [...]}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from parley.chat.demands import Feature
from parley.dialects.openai import Rules, Verdict

WORDS: Final[frozenset[Feature]] = frozenset(
    {"stop", "max_tokens", "usage", "tools", "json_object", "json_schema", "images", "reasoning"}
)
"""What most of them honour."""
ALL: Final[frozenset[Feature]] = WORDS | {
    "custom_tools",
    "audio_input",
    "audio_output",
    "files",
    "n",
    "logprobs",
    "web_search",
}
OPENAI_ONLY: Final = frozenset(
    {
        "store",
        "metadata",
        "service_tier",
        "verbosity",
        "prediction",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "moderation",
    }
)
"""Knobs of OpenAI's own service; elsewhere they are unknown, and some servers refuse what is unknown."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one service differs."""

    base_url: str
    rules: Rules
    features: frozenset[Feature] = ALL
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """What its codes mean, where that is not what they mean elsewhere."""


ROWS: Final[dict[str, Row]] = {
    # It thinks, and does not tell what.
    "openai": Row("https://api.openai.com/v1", Rules(pads=True), ALL - {"reasoning"}),
    # Relays such as openai-sb and one-api, and any other server: what is asked is passed on as it is.
    "openai-compatible": Row("", Rules(developer=False, extra_content=True)),
    "huggingface": Row(
        "https://router.huggingface.co/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "user"},
            strict_tools=False,
            most_top_logprobs=5,
        ),
        WORDS | {"logprobs"},
    ),
    "h2ogpte-openai": Row(
        "https://h2ogpte.genai.h2o.ai/openai_api/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "user"},
            strict_tools=False,
        ),
        WORDS - {"images", "stop", "reasoning"},  # the gateway sees to `stop` itself
    ),
    "deepseek": Row(
        "https://api.deepseek.com/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "seed", "user"},
            strict_tools=False,
            thoughts="with_calls",  # since V3.2 a call without the thoughts that led to it is a 400
        ),
        WORDS - {"images", "json_schema"} | {"logprobs"},
    ),
    "moonshot": Row(
        "https://api.moonshot.cn/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY - {"prompt_cache_key", "safety_identifier"}
            | {"logit_bias", "parallel_tool_calls", "seed", "user", "reasoning_effort"},
            tool_choice="auto",
            thoughts="always",  # for `thinking: {keep: all}`; otherwise it leaves them out itself
            most_temperature=1.0,
        ),
        WORDS | {"n"},
    ),
    "openrouter": Row(
        "https://openrouter.ai/api/v1",
        Rules(limit="max_tokens", drops=OPENAI_ONLY - {"metadata", "prediction", "verbosity"}),
        WORDS | {"logprobs", "files", "audio_input"},
    ),
    "siliconflow": Row(
        "https://api.siliconflow.cn/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY
            | {"logit_bias", "parallel_tool_calls", "seed", "user", "presence_penalty", "reasoning_effort"},
        ),
        WORDS - {"json_schema"} | {"n"},
        {"20012": "no_model", "30001": "quota", "30003": "no_model", "50505": "busy"},
    ),
    "qwen": Row(
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY | {"logit_bias", "frequency_penalty", "user", "reasoning_effort"},
            most_top_logprobs=5,
            most_temperature=1.99,  # 2 itself is refused
            least_top_p=0.01,  # and so is 0
        ),
        WORDS | {"n", "logprobs"},
        {"insufficient_quota": "throttled"},  # here: too many tokens a minute; a spent balance is `Arrearage`
    ),
    "ark": Row(
        "https://ark.cn-beijing.volces.com/api/v3",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY - {"service_tier"} | {"seed", "user"},
            strict_tools=False,
        ),
        WORDS | {"logprobs"},
    ),
    "ollama": Row(
        "http://127.0.0.1:11434/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "user"},
            tool_choice="ignored",
        ),
        WORDS,
    ),
    "vllm": Row(
        "http://127.0.0.1:8000/v1",
        Rules(limit="max_tokens", developer=False, drops=OPENAI_ONLY),
        WORDS | {"n", "logprobs", "audio_input"},
    ),
    "llama.cpp": Row(
        "http://127.0.0.1:8080/v1",
        Rules(limit="max_tokens", developer=False, drops=OPENAI_ONLY | {"user"}),
        WORDS | {"n", "logprobs"},
    ),
}
