"""The signature of IAM keys, BCE v1 (`upstreams/baidu-qianfan.md` part C)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_SECONDS: Final = 1800
"""How long a signature is good."""


class AccessKeys(NamedTuple):
    """An access key and its secret, from the IAM console."""

    key: str
    secret: str


def signed(keys: AccessKeys, method: str, url: str, host: str, moment: float) -> dict[str, str]:
    """The headers of a request that says who asks. `host` is what the Host header will say."""
    date = datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"host": host, "x-bce-date": date}
    return {"x-bce-date": date, "authorization": authorization(keys, method, url, said, date=date)}


def authorization(
    keys: AccessKeys, method: str, url: str, headers: Mapping[str, str], *, date: str, seconds: int = _SECONDS
) -> str:
    """The Authorization header over `headers` (lower-case names, `host` among them) and the address."""
    prefix = f"bce-auth-v1/{keys.key}/{date}/{seconds}"
    signing_key = _digest(keys.secret, prefix)
    signature = _digest(signing_key, canonical(method, url, headers))
    return f"{prefix}/{';'.join(sorted(headers))}/{signature}"


def canonical(method: str, url: str, headers: Mapping[str, str]) -> str:
    """What is signed of a request."""
    place = urlsplit(url)
    query = sorted(
        f"{_encoded(name)}={_encoded(value)}"
        for name, value in parse_qsl(place.query, keep_blank_values=True)
        if name.lower() != "authorization"
    )
    lines = sorted(f"{_encoded(name)}:{_encoded(value.strip())}" for name, value in headers.items())
    return "\n".join([method, quote(unquote(place.path), safe="/") or "/", "&".join(query), *lines])


def _digest(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _encoded(text: str) -> str:
    return quote(text, safe="")
