"""Who calls: keys, tokens that were sold (each says itself for whom and until when), and signatures of IAM keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from aiohttp import web

from .errors import Refused, coded, named, refusal
from .settings import Settings


class Caller(NamedTuple):
    """The key, and how it was shown."""

    key: str
    way: str


def access_token(ak: str, settings: Settings) -> str:
    """An access token for this application."""
    until = int(settings.now) + settings.token_seconds
    mark = _mark(settings.applications[ak], ak, until, settings)
    return f"24.{mark}.{settings.token_seconds}.{until}.{ak}"


def bearer(ak: str, seconds: int, settings: Settings) -> str:
    """A bearer for these access keys."""
    until = int(settings.now) + seconds
    return f"bce-v3/ALTAK-{ak}-{until}/{_mark(settings.access_keys[ak], ak, until, settings)}"


def admit_v2(request: web.Request, settings: Settings) -> Caller:
    """The caller of the v2 API. Raises Refused."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token.startswith("bce-v3/"):
        raise named("invalid_iam_token")
    appid = request.headers.get("appid")
    if appid is not None and settings.appids is not None and appid not in settings.appids:
        raise named("invalid_appid")
    if token in settings.keys:
        return Caller(token, "api_key")
    name, _, mark = token.removeprefix("bce-v3/ALTAK-").partition("/")
    ak, _, until = name.rpartition("-")
    if _holds(settings.access_keys.get(ak), ak, until, mark, settings) and int(until) > settings.now:
        return Caller(ak, "bearer")
    raise named("invalid_iam_token")


def admit_legacy(request: web.Request, settings: Settings) -> Caller:
    """The caller of the legacy API. Raises Refused."""
    if "authorization" in request.headers:
        try:
            return Caller(signer(request, settings), "signature")
        except Refused:
            raise coded(14) from None
    token = request.query.get("access_token")
    if not token:
        raise coded(100)
    parts = token.split(".")
    if len(parts) != 5 or not _holds(settings.applications.get(parts[4]), parts[4], parts[3], parts[1], settings):
        raise coded(110)
    if int(parts[3]) <= settings.now:
        raise coded(111)
    return Caller(parts[4], "token")


def application(request: web.Request, settings: Settings) -> str:
    """The application that buys an access token. Raises Refused."""
    ak, sk = request.query.get("client_id", ""), request.query.get("client_secret", "")
    if request.query.get("grant_type") != "client_credentials":
        raise Refused(400, {"error": "unsupported_grant_type", "error_description": "The grant type is not supported"})
    if ak not in settings.applications:
        raise refusal("unknown_client", {})
    if settings.applications[ak] != sk:
        raise refusal("invalid_client", {})
    return ak


def signer(request: web.Request, settings: Settings) -> str:
    """The access key that signed this request. Raises Refused."""
    parts = request.headers.get("authorization", "").split("/")
    if len(parts) != 6 or parts[0] != "bce-auth-v1":
        raise refusal("iam_refused", {"status": 400})
    _, ak, date, seconds, names, signature = parts
    signed = {name: request.headers.get(name) for name in names.split(";")}
    secret = settings.access_keys.get(ak)
    if secret is None or "host" not in signed or None in signed.values() or not seconds.isdecimal():
        raise refusal("iam_refused", {})
    begun = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    if not begun - 900 <= settings.now <= begun + int(seconds):
        raise refusal("iam_refused", {})
    key = _hex(secret, "/".join(parts[:4]))
    if not hmac.compare_digest(_hex(key, _canonical(request, signed)), signature):
        raise refusal("iam_refused", {})
    return ak


def _canonical(request: web.Request, signed: Mapping[str, str | None]) -> str:
    path, _, query = request.raw_path.partition("?")
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "authorization"]
    return "\n".join(
        [
            request.method,
            quote(unquote(path), safe="/"),
            "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)),
            # Sorted whatever order the header names them in: the official client's is any.
            *sorted(f"{name}:{quote((value or '').strip(), safe='')}" for name, value in signed.items()),
        ]
    )


def _mark(secret: str, ak: str, until: int, settings: Settings) -> str:
    return _hex(secret, f"{ak} {until} {settings.era}")[:32]


def _holds(secret: str | None, ak: str, until: str, mark: str, settings: Settings) -> bool:
    return secret is not None and until.isdecimal() and mark == _mark(secret, ak, int(until), settings)


def _hex(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
