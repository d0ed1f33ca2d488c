"""The handshake's signature: tolerant in form, strict in value, as the vendor's gateway is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from .settings import Application, Settings

SKEW = 300
WORDS = {
    "unauthorized": (401, "Unauthorized"),
    "no_credential": (401, "HMAC signature cannot be verified: fail to retrieve credential"),
    "headers_list": (
        401,
        "HMAC signature cannot be verified:enforced header 'host' not used for signature creation",
    ),
    "bad_signature": (401, "HMAC signature does not match"),
    "clock": (
        403,
        "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication",
    ),
}
_KEY = re.compile(r"""(?:api_key|username)\s*=\s*["']([^"']+)["']""")
_SIGNATURE = re.compile(r"""signature\s*=\s*["']([^"']+)["']""")
_HEADERS = re.compile(r"""headers\s*=\s*["']([^"']+)["']""")


def complaint(path: str, query: Mapping[str, str], settings: Settings) -> str | None:
    """Which of WORDS this handshake deserves; None when it is signed as it must be."""
    if not query.get("authorization"):
        return "unauthorized"
    try:
        said = base64.b64decode(query["authorization"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "no_credential"
    application = application_of(query, settings)
    found, listed = _SIGNATURE.search(said), _HEADERS.search(said)
    if application is None or found is None:
        return "no_credential"
    if listed is None or listed[1].split() != ["host", "date", "request-line"]:
        return "headers_list"
    if not _is_now(query.get("date", ""), settings.clock()):
        return "clock"
    return None if hmac.compare_digest(found[1], _right(path, query, application)) else "bad_signature"


def application_of(query: Mapping[str, str], settings: Settings) -> Application | None:
    """Whose key this is."""
    try:
        said = base64.b64decode(query.get("authorization", ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    key = _KEY.search(said)
    return settings.applications.get(key[1]) if key else None


def _is_now(date: str, now: float) -> bool:
    try:
        return abs(parsedate_to_datetime(date).timestamp() - now) <= SKEW
    except ValueError:
        return False


def _right(path: str, query: Mapping[str, str], application: Application) -> str:
    text = f"host: {query.get('host', '')}\ndate: {query['date']}\nGET {path} HTTP/1.1"
    return base64.b64encode(hmac.digest(application.api_secret.encode(), text.encode(), hashlib.sha256)).decode()
