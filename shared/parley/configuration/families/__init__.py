"""One upstream per family of variables: H2OGPTE_*, GPTOMNI_*, HF_*, ... A family is on when a credential is set.

Each module has the family's settings, and a function that makes its upstreams of them. The rules that old `.env` files
need are in `shared/settled.md`, "Configuration from the environment".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from parley.catalog import Upstream
from parley.configuration.families.anthropic import AnthropicSettings, anthropic
from parley.configuration.families.azure import AzureSettings, azure
from parley.configuration.families.claude_web import ClaudeWebSettings, claude_web
from parley.configuration.families.flowgpt import FlowGPTSettings, flowgpt
from parley.configuration.families.gemini import GeminiSettings, gemini
from parley.configuration.families.gptomni import GPTOmniSettings, gptomni
from parley.configuration.families.h2ogpte import H2oGPTeSettings, h2ogpte
from parley.configuration.families.huggingface import HuggingFaceSettings, huggingface
from parley.configuration.families.openai import OpenAISettings, openai
from parley.configuration.families.qianfan import QianfanSettings, qianfan
from parley.configuration.families.spark import SparkSettings, spark
from parley.configuration.families.zhipu import ZhipuSettings, zhipu


class Environment(
    OpenAISettings,
    AzureSettings,
    AnthropicSettings,
    HuggingFaceSettings,
    H2oGPTeSettings,
    GPTOmniSettings,
    ClaudeWebSettings,
    FlowGPTSettings,
    SparkSettings,
    GeminiSettings,
    ZhipuSettings,
    QianfanSettings,
):
    """Every setting there is. Fields are the environment's names in lower case."""


FAMILIES: Final[tuple[Callable[[Environment], Iterator[Upstream]], ...]] = (
    openai,
    azure,
    anthropic,
    huggingface,
    h2ogpte,
    gptomni,
    claude_web,
    flowgpt,
    spark,
    gemini,
    zhipu,
    qianfan,
)
"""In the order of the configuration: a bare model name goes to the first upstream that has it."""
