"""iFlytek Spark: the signed WebSocket API (`spark`) and the HTTP API (`spark-http`).

An application (app_id, api_key, api_secret) opens the first, which knows every version; an APIPassword opens the
second, which is closer to OpenAI's API. They are two kinds of provider, because they honour different things.

    socket.py   the WebSocket API     options.py    what an operator may set, and which credentials open what
    http.py     the HTTP API          pictures.py   images that a caller only names the address of
"""

from __future__ import annotations

from parley.providers.spark.http import SparkHTTP
from parley.providers.spark.socket import SparkSocket

__all__ = ["SparkHTTP", "SparkSocket"]
