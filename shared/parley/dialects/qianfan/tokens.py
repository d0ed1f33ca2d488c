"""Tokens that keys buy: the legacy API's access token, and v2's temporary bearer (`upstreams/baidu-qianfan.md` A1, B1).

Neither costs anything; but who fetches one for every question is soon told to slow down.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from parley.dialects import openai
from parley.dialects.challenge import is_page
from parley.dialects.qianfan.legacy import refusals
from parley.errors import CredentialRejected, UpstreamMalformed

_MARGIN: Final = 600.0
_PART: Final = 0.1
BEARER_SECONDS: Final = 43200
_REFUSED: Final = frozenset({400, 401, 403, 404})
"""Statuses with which IAM refuses keys: unknown, disabled, or not right for the signature."""


class Token(NamedTuple):
    """A token, and the moment after which it is better not used any more."""

    text: str
    use_until: float


def access_token_target(key: str, secret: str) -> str:
    """Where an access token is had, below the API's host. It holds the secret, and must not be logged."""
    query = urlencode({"grant_type": "client_credentials", "client_id": key, "client_secret": secret})
    return f"/oauth/2.0/token?{query}"


def bearer_target(seconds: int = BEARER_SECONDS) -> str:
    """Where a temporary bearer is had, below IAM's host; the request has to be signed."""
    return f"/v1/BCE-BEARER/token?expireInSeconds={seconds}"


def access_token(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Token:
    """The access token in an answer. Raises Failure."""
    said = _read(status, headers, body)
    if "error" in said:
        if said["error"] in ("invalid_client", "unauthorized_client", "invalid_grant"):
            raise CredentialRejected(
                "The upstream gives no access token for the operator's keys.", upstream_status=status
            )
        raise openai.failure_of(status if status != 200 else 502, headers, b"")
    if (failure := refusals.failure_in(said, headers)) is not None:
        raise failure
    if status != 200:
        raise openai.failure_of(status, headers, body)
    lifetime = said.get("expires_in")
    return _token(said.get("access_token"), now, float(lifetime) if isinstance(lifetime, int | float) else 0.0)


def bearer(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Token:
    """The temporary bearer in an answer. Raises Failure."""
    said = _read(status, headers, body)
    if status in _REFUSED:
        raise CredentialRejected("The upstream gives no bearer for the operator's access keys.", upstream_status=status)
    if status != 200:
        raise openai.failure_of(status, headers, body)
    try:
        # By the difference of the service's own two times: its clock and ours need not agree.
        lifetime = _moment(said["expireTime"]) - _moment(said["createTime"])
    except (KeyError, TypeError, ValueError):
        lifetime = float(BEARER_SECONDS)
    if said.get("status", "enable") != "enable":
        raise CredentialRejected("The upstream gave a bearer that is not enabled.", upstream_status=status)
    return _token(said.get("token"), now, lifetime)


def _read(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if is_page(headers.get("content-type", ""), body):
        raise openai.failure_of(status if status != 200 else 502, headers, body)
    try:
        return msgspec.json.decode(body, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if status != 200:
            raise openai.failure_of(status, headers, b"") from None
        raise UpstreamMalformed("The upstream's answer to our sign-in is not JSON.") from None


def _token(text: Any, now: float, lifetime: float) -> Token:
    if not isinstance(text, str) or not text or lifetime <= 0:
        raise UpstreamMalformed("The upstream's answer to our sign-in holds no token.")
    return Token(text, now + lifetime - min(_MARGIN, lifetime * _PART))


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
