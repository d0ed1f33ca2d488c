"""What an HTTP answer of h2oGPTe that is no success means, on every door (`upstreams/h2ogpte.md` 1.9 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.h2ogpte import failure
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    Challenged,
    CredentialExpired,
    CredentialRejected,
    Failure,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    UpstreamBroken,
    UpstreamMalformed,
    UpstreamOverloaded,
)

_SIGN_IN: Final = ("login", "log-in", "signin", "sign-in", "auth", "sso", "saml", "oidc")
_NO_RIGHT: Final = ("workspace", "permission", "template", "not allowed", "forbidden for")


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, keyed: bool) -> Failure:
    """The Failure behind an answer. `keyed`: an API key was shown, which nobody can renew; else a web session."""
    made = _read(status, headers, body, keyed=keyed)
    made.upstream_status = status
    if made.retry_after is None:
        made.retry_after = retry_after(headers)
    return made


def _read(status: int, headers: Mapping[str, str], body: bytes, *, keyed: bool) -> Failure:
    page = is_page(headers.get("content-type", ""), body)
    if is_challenge(headers, body if page else b""):
        return Challenged("The upstream shows a page that asks for a human.")
    told, kind = ("", "") if page else _told(body)
    said = told or f"status {status}"
    if kind == "authorization_unavailable":  # it could not check the key, which says nothing about the key
        return UpstreamOverloaded(f"The upstream could not check the credential: {said}")
    if 300 <= status < 400:
        return _elsewhere(headers.get("location", ""), keyed=keyed)
    if page and 200 <= status < 300:
        said = "it shows a page instead of an answer"
        return UpstreamMalformed(f"The upstream: {said}.") if keyed else _unwelcome(status, said, kind, keyed=keyed)
    if status in (401, 403):
        return _unwelcome(status, said, kind, keyed=keyed)
    return _by_status(status, said, kind)


def _by_status(status: int, said: str, kind: str) -> Failure:
    made = failure(said, kind)
    if status == 429 and not isinstance(made, QuotaExhausted):
        return Throttled(f"The upstream asks to slow down: {said}")
    if status in (503, 529):
        return UpstreamOverloaded(f"The upstream is not available: {said}")
    if status >= 500 or isinstance(made, BadRequest):  # what was wrong with the call is our affair, not the caller's
        return UpstreamBroken(f"The upstream answered {status}: {said}")
    return made


def _unwelcome(status: int, said: str, kind: str, *, keyed: bool) -> Failure:
    if kind == "model_access":
        return ModelNotFound(f"The upstream does not give this model to this credential: {said}", param="model")
    if keyed:
        return CredentialRejected(f"The upstream refuses the API key: {said}")
    if status == 403 and any(sign in said.lower() for sign in _NO_RIGHT):
        return CredentialRejected(f"The upstream refuses this account: {said}")
    return CredentialExpired(f"The upstream does not honour the web session any more: {said}")


def _elsewhere(location: str, *, keyed: bool) -> Failure:
    """A redirect where an answer should be: to a sign-in, or by a front proxy that turns us away."""
    place = urlsplit(location)
    if any(sign in f"{place.netloc}{place.path}".lower() for sign in _SIGN_IN):
        return _unwelcome(401, "it wants somebody to sign in", "", keyed=keyed)
    return Challenged("The upstream turns us away to another page.")


def _told(body: bytes) -> tuple[str, str]:
    """The text of an error body and its type, in the manner of RPC or of REST; or the bare text."""
    try:
        told: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return " ".join(body[:400].decode("utf-8", "replace").split()), ""
    if not isinstance(told, dict):
        return "", ""
    text = told.get("error") or told.get("message") or ""
    return str(text)[:400], str(told.get("error_type") or "")
