"""What may stand under `options:` of an upstream, by its provider. A provider that is not here has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from parley.providers.anthropic import Options as Anthropic
from parley.providers.azure import Options as Azure
from parley.providers.claude_web.options import Options as ClaudeWeb
from parley.providers.flowgpt.options import Options as FlowGPT
from parley.providers.gemini import Options as Gemini
from parley.providers.gptomni import Options as GPTOmni
from parley.providers.h2ogpte.options import Options as H2oGPTe
from parley.providers.openai import Options as OpenAI
from parley.providers.qianfan.legacy import Options as QianfanLegacy
from parley.providers.qianfan.v2 import Options as Qianfan
from parley.providers.rows import ROWS
from parley.providers.spark.options import Options as Spark
from parley.providers.zhipu.v3 import Options as ZhipuV3
from parley.providers.zhipu.v4 import Options as Zhipu

OPTIONS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "azure": Azure,
    "h2ogpte": H2oGPTe,
    "gptomni": GPTOmni,
    "gemini": Gemini,
    "flowgpt": FlowGPT,
    "claude-web": ClaudeWeb,
    "anthropic": Anthropic,
    "zhipu": Zhipu,
    "zhipu-v3": ZhipuV3,
    "qianfan": Qianfan,
    "qianfan-legacy": QianfanLegacy,
    "spark": Spark,
    **dict.fromkeys(ROWS, OpenAI),
}
"""A test (tests/shared/providers/test_options.py) finds whoever reads options and is not here."""
