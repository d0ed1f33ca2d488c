"""What both APIs share: keys, headers, what an expired sign-in comes to, and a knock that costs nothing."""

from __future__ import annotations

from typing import Final

import httpx
import msgspec

from parley.catalog import Upstream
from parley.dialects.zhipu import SignIn, failure_in, failure_of, is_key
from parley.errors import CredentialExpired, CredentialRejected, Failure
from parley.leases import Place
from parley.settings import ConfigurationError
from parley.transports.http import HTTP

NOBODY: Final = "parley-probe"
"""The id of a task that was never begun."""
_INTERNATIONAL: Final = "api.z.ai"


def refuse_what_is_no_key(upstream: Upstream) -> None:
    """Raises ConfigurationError for a credential that cannot be a key of the platform."""
    for plan in upstream.credentials:
        value = plan.parts.get("value")
        if value is None or not is_key(value.reveal()):
            raise ConfigurationError(
                f"upstream '{upstream.name}': the credential '{plan.alias}' is no key of Zhipu's: "
                "one is written {id}.{secret}, with one dot in it."
            )


def headers(sign_in: SignIn, base_url: str, accept: str = "text/event-stream") -> dict[str, str]:
    """What every request says; the international platform is asked to speak English."""
    said = {
        "accept": accept,
        "content-type": "application/json",
        "user-agent": "parley",
        "authorization": sign_in.authorization,
    }
    return {**said, "accept-language": "en-US,en"} if _INTERNATIONAL in base_url else said


async def knock(http: HTTP, place: Place, url: str, sign_in: SignIn) -> None:
    """Ask for a task that never was: the answer tells whether the key opens the door, and costs nothing."""
    while True:
        page = await http.request(
            "GET",
            url,
            headers=headers(sign_in, url, "application/json"),
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        failure = _failure(page)
        if failure is None or failure.blames == "caller":
            return
        if not (isinstance(failure, CredentialExpired) and sign_in.correct(page.headers)):
            raise settled(failure)


def settled(failure: Failure) -> Failure:
    """An expired sign-in that cannot be signed anew: the key, or this machine's clock, is of no use."""
    if not isinstance(failure, CredentialExpired):
        return failure
    return CredentialRejected(
        "The upstream says that our sign-in has expired; is this machine's clock right?",
        upstream_status=failure.upstream_status,
    )


def _failure(page: httpx.Response) -> Failure | None:
    if page.status_code != 200:
        return failure_of(page.status_code, page.headers, page.content)
    try:
        return failure_in(msgspec.json.decode(page.content, type=dict))
    except (msgspec.DecodeError, AttributeError, TypeError):
        return None
