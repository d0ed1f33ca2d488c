"""Baidu Qianfan: its v2 API (`qianfan`), and the legacy API of access tokens (`qianfan-legacy`).

They are two kinds of provider, because they honour different things. An API key, or the IAM keys that buy a temporary
one, open the first; the API key and secret key of an application open the second, and so do IAM keys.

v2.py     the API that resembles OpenAI's     keys.py     what a credential opens, and the token that it buys
legacy.py     the API of access tokens
"""

from __future__ import annotations

from parley.providers.qianfan.legacy import QianfanLegacy
from parley.providers.qianfan.v2 import Qianfan

__all__ = ["Qianfan", "QianfanLegacy"]
