"""Whether Parley is there, whether it knows the key, and whether a door is open that should not be."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx

from parley.doctor.front import CannotTell, Front, Refused, name, refusal
from parley.doctor.report import Check, fault, ok
from parley.sealed import Secret

REACH: Final = "reach"
KEY: Final = "key"
METRICS: Final = "metrics"

_NO_GATEWAY: Final = frozenset({"bad_gateway", "gateway_timeout"})


async def reach(front: Front) -> tuple[Check, bool]:
    """Whether Parley answers, and whether it asks for a key."""
    try:
        answer = await front.ask("GET", "/health", keyed=False)
    except httpx.TimeoutException:
        return fault(REACH, f"Nobody answers at {front.address} in time.", remedy=_START), True
    except httpx.HTTPError as problem:
        return fault(REACH, f"Nobody answers at {front.address}: {_said(problem)}.", remedy=_START), True
    health = _object(answer.content)
    if "replica" in health:
        return ok(REACH, f"Parley {health.get('version', '')} answers.".replace("  ", " ")), (
            health.get("authentication") != "off"
        )
    if refusal(answer.status_code, answer.content).code in _NO_GATEWAY:
        return fault(
            REACH,
            "nginx answers, but it reaches no gateway.",
            "server",
            "Start a gateway; its address belongs into `upstream gateways` (NGINX_GATEWAYS).",
            status=answer.status_code,
        ), True
    return fault(
        REACH,
        f"Somebody answers at {front.address} with {answer.status_code}, and it is not Parley.",
        remedy="Give the address of Parley's nginx, without a path.",
        status=answer.status_code,
    ), True


async def key(front: Front, *, needed: bool, given: Secret | None) -> Check:
    """Whether the key opens, and arrives. It is tried once: wrong keys are counted."""
    if given and not all("!" <= letter <= "~" for letter in given.reveal()):
        # What cannot be sent would be quoted by whoever says so.
        return fault(
            KEY, "The key has a character that no key has, such as a blank or a line's end.", remedy="Look at it."
        )
    if needed and not given:
        return fault(
            KEY,
            "A key is needed here, and none was given.",
            remedy="Give a key: API_MASTER_KEY, or one that was issued.",
        )
    try:
        await front.mirror()
    except Refused as refused:
        if refused.status == 401 and refused.message.startswith("You didn't provide"):
            return fault(
                KEY,
                "The key was sent, and the gateway did not get it.",
                "proxy_set_header Authorization",
                "Remove the proxy_set_header that takes Authorization away; nginx passes it on by itself.",
            )
        if refused.status == 401:
            return fault(KEY, f"The key is not accepted: {refused.message}", remedy="Give another key.")
        if refused.status == 404:
            return fault(KEY, "This gateway has no mirror: it is older than the doctor.", remedy="Update it.")
        return fault(KEY, str(refused))
    except (CannotTell, httpx.HTTPError) as problem:
        return fault(KEY, f"The first question was not answered: {_said(problem)}.")
    return ok(KEY, "The gateway gets the key, and accepts it." if needed else "No key is needed here.")


async def metrics(front: Front) -> Check:
    """Whether /metrics is closed by nginx itself: a gateway that is asked through a proxy hides it too."""
    request_id = name()
    answer = await front.ask("GET", "/metrics", keyed=False, headers={"x-request-id": request_id})
    remedy = "location ^~ /metrics { return 404; }"
    if answer.status_code == 200:
        return fault(METRICS, "Anybody can read the metrics at /metrics.", "location /metrics", remedy)
    said = refusal(answer.status_code, answer.content)
    if said.message.startswith("Invalid URL"):  # a gateway's words
        return fault(
            METRICS,
            "nginx passes /metrics on; only the gateway's own caution still hides it.",
            "location /metrics",
            remedy,
        )
    if not said.code:
        return fault(
            METRICS,
            f"nginx refuses /metrics with {answer.status_code}, and not in the envelope that clients can read.",
            "error_page",
            "error_page 400 404 405 413 500 501 503 @refusal;",
        )
    if answer.headers.get_list("x-request-id") != [request_id]:
        return fault(
            METRICS,
            "What nginx itself refuses does not carry the request's id.",
            "add_header X-Request-ID",
            "add_header X-Request-ID $parley_request_id always;   # in location @refusal",
        )
    return ok(METRICS, "/metrics is closed here.")


_START: Final = "Start Parley (`docker-compose up -d` or `make run`), or give the address at which nginx listens."


def _said(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).rstrip(".")


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
