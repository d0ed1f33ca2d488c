"""Zhipu, or Z.ai: the GLM models. Protocol: `upstreams/zhipu.md`. There is no list of models: they are configured.

v4.py     the API of today, which reads like OpenAI's      door.py   keys, headers, and a knock that costs nothing
v3.py     the API of chatglm's days, for who still has it
"""

from parley.providers.zhipu.v3 import ZhipuV3
from parley.providers.zhipu.v4 import Zhipu

__all__ = ["Zhipu", "ZhipuV3"]
