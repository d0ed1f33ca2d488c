"""What a credential opens, and the token that it buys: kept beside it, and renewed once for the whole fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from parley.catalog import Upstream
from parley.dialects.qianfan.signing import AccessKeys
from parley.dialects.qianfan.tokens import Token
from parley.errors import CredentialExpired, CredentialRejected, Failure
from parley.leases import Credential, Lease, Renewal
from parley.providers.accounts import elsewhere
from parley.sealed import Secret

_TOKEN: Final = "token"  # noqa: S105 - the name of a part
_USE_UNTIL: Final = "token_use_until"
_UNPROVEN: Final = "token_unproven_since"
_TRIAL: Final = 3600.0
"""A token that was refused before it ever worked is not replaced for so long: the next one would be no better."""


class Application(NamedTuple):
    """The API key and secret key of an application, which buy access tokens."""

    key: str
    secret: str


def application(parts: Mapping[str, Secret]) -> Application | None:
    """`api_key` and `secret_key` (or `ak` and `sk`), or a value that holds both: `AK|SK`."""
    found = _pair(parts, "api_key", "secret_key") or _pair(parts, "ak", "sk")
    if found is None and (value := parts.get("value")):
        key, _, secret = value.reveal().partition("|")
        found = (key, secret) if key and secret else None
    return Application(*found) if found else None


def access_keys(parts: Mapping[str, Secret]) -> AccessKeys | None:
    """`access_key` and `secret_key`, of IAM."""
    found = _pair(parts, "access_key", "secret_key")
    return AccessKeys(*found) if found else None


def api_key(parts: Mapping[str, Secret]) -> str:
    """The long-lived key of the v2 API; empty when there is none."""
    if application(parts) or access_keys(parts):
        return ""
    found = parts.get("value") or parts.get("api_key")
    return found.reveal() if found else ""


def _pair(parts: Mapping[str, Secret], *names: str) -> tuple[str, str] | None:
    first, second = (parts.get(name) for name in names)
    return (first.reveal(), second.reveal()) if first and second else None


# --- bought tokens ------------------------------------------------------------------------------------------------


def token_of(credential: Credential, now: float) -> str:
    """The token that is kept beside the keys. Raises CredentialExpired when there is none, or it is too old."""
    token, until = credential.part(_TOKEN), credential.part(_USE_UNTIL)
    if not token or float(until or 0) <= now:
        raise CredentialExpired("The keys of this credential have to buy a new token.")
    return token


def renewed(credential: Credential, token: Token, now: float) -> Renewal:
    """The same keys, with a new token beside them."""
    bought = {_TOKEN: token.text, _USE_UNTIL: str(token.use_until), _UNPROVEN: str(now)}
    return Renewal({**credential.parts, **{name: Secret(text) for name, text in bought.items()}})


def proven(lease: Lease) -> None:
    """The token worked: should it be refused one day, another one is worth buying."""
    parts = dict(lease.credential.parts)
    if parts.pop(_UNPROVEN, None) is not None:
        lease.renewed = parts


def told(failure: Failure, credential: Credential, upstream: Upstream, now: float) -> Failure:
    """What a refusal of a question means for this credential."""
    if not isinstance(failure, CredentialExpired):
        return elsewhere(failure, upstream)
    unproven = float(credential.part(_UNPROVEN) or 0)
    if credential.part(_TOKEN) and now - unproven > _TRIAL:
        return failure
    return CredentialRejected(
        "The upstream does not accept a sign-in that should be good.", upstream_status=failure.upstream_status
    )
