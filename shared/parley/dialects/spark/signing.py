"""The address that opens a socket: it carries a signature of host, date and path (`upstreams/xunfei-spark.md` 1.2).

It is good for five minutes around its date, so it is made anew for every socket.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from typing import Final
from urllib.parse import urlencode, urlsplit

_USUAL_PORTS: Final = {"ws": ":80", "wss": ":443"}


def signed(url: str, key: str, secret: str, at: float) -> str:
    """`url` with the signature of an application, made at `at` (seconds since the epoch)."""
    place = urlsplit(url)
    host = place.netloc.rpartition("@")[2].removesuffix(_USUAL_PORTS.get(place.scheme, ":"))
    date = formatdate(at, usegmt=True)  # English names whatever the locale is
    text = f"host: {host}\ndate: {date}\nGET {place.path} HTTP/1.1"
    signature = _base64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())
    origin = f'api_key="{key}", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}"'
    query = urlencode({"authorization": _base64(origin.encode()), "date": date, "host": host})
    return place._replace(query=query).geturl()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
