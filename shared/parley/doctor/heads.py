"""What nginx makes of a request's head: its id, the headers that it came with, and whose it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from parley.doctor.front import Front, Refused, name
from parley.doctor.reflection import TRIAL, Reflection
from parley.doctor.report import Check, fault, ok, unknown

REQUEST_ID: Final = "request-id"
HEADERS: Final = "headers"
CLIENT_ADDRESS: Final = "client-address"

CARRIED: Final = {
    "user-agent": "OpenAI/Python 1.0.0",
    "content-type": "application/json",
    "x-stainless-lang": "python",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
    "openai-organization": "org-doctor",
    "openai-project": "proj-doctor",
    "openai-beta": "doctor=v1",
    "idempotency-key": "doctor-1",
    "traceparent": "00-00000000000000000000000000000001-0000000000000001-01",
    TRIAL: """a "quoted" word, semicolons; {braces} and 100 % $signs""",
}
"""Headers as OpenAI's clients and tracing libraries send them."""

_LONG: Final = "x-parley-doctor-long"
_SPELT: Final = {"id": "ID", "ip": "IP", "openai": "OpenAI"}
_STRANGER: Final = "192.0.2.7"
"""An address that nobody has (RFC 5737)."""


async def request_id(front: Front) -> Check:
    """Whether a request has one id from the client to the gateway and back."""
    own = name()
    brought, made = await front.mirror(headers={"x-request-id": own}), await front.mirror()
    return judge_request_id(
        own,
        brought.reflection.values.get("x-request-id"),
        brought.headers.get_list("x-request-id"),
        made.reflection.values.get("x-request-id"),
        made.headers.get_list("x-request-id"),
    )


def judge_request_id(own: str, seen: str | None, heard: list[str], made: str | None, told: list[str]) -> Check:
    """`own` was brought, `seen` at the gateway and `heard` back; of none that was brought, `made` and `told`."""
    setting = "proxy_set_header X-Request-ID"
    remedy = f"{setting} $parley_request_id;"
    if made is None:
        return fault(REQUEST_ID, "nginx gives no id to a request that has none.", setting, remedy)
    if seen != own:
        return fault(REQUEST_ID, "The id that a client brings does not reach the gateway.", setting, remedy)
    if not heard or not told:
        return fault(
            REQUEST_ID,
            "The answer comes back without its id.",
            "proxy_hide_header X-Request-ID",
            "Remove proxy_hide_header X-Request-ID.",
        )
    if len(heard) > 1 or len(told) > 1:
        return fault(
            REQUEST_ID,
            "The answer comes back with its id twice.",
            "add_header X-Request-ID",
            "Remove add_header X-Request-ID outside of @refusal: the gateway's own passes through.",
        )
    if heard != [own] or told != [made]:
        return fault(REQUEST_ID, "The id that comes back is another one.", setting, remedy)
    return ok(REQUEST_ID, "A request has one id all the way, its own or one that nginx makes.")


async def headers(front: Front) -> Check:
    """Whether what clients send in headers arrives."""
    seen = (await front.mirror(headers=CARRIED)).reflection
    found = judge_headers(seen, CARRIED, front.url.netloc.decode())
    if found.verdict != "ok":
        return found
    try:
        await front.mirror(headers={_LONG: "x" * 16_000})
    except Refused as refused:
        return fault(
            HEADERS,
            f"A header of 16 kB is refused with {refused.status}.",
            "large_client_header_buffers",
            "large_client_header_buffers 4 64k;",
        )
    return found


def judge_headers(seen: Reflection, sent: Collection[str], host: str) -> Check:
    """What arrived of the headers `sent`, and of those that nginx adds."""
    lost = [header for header in ("authorization", *sent) if header not in seen.names]
    if len(lost) > len(sent) / 2:
        return fault(
            HEADERS,
            f"Most headers are lost on the way: {', '.join(lost)}.",
            "proxy_pass_request_headers",
            "proxy_pass_request_headers on;",
            lost=len(lost),
        )
    if lost:
        return fault(
            HEADERS,
            f"Lost on the way: {', '.join(lost)}.",
            f"proxy_set_header {_written(lost[0])}",
            "Remove the proxy_set_header that takes it away; nginx passes it on by itself.",
            lost=len(lost),
        )
    if seen.values.get(TRIAL) != CARRIED[TRIAL]:
        return fault(HEADERS, "A header's value is changed on the way.", f"proxy_set_header {_written(TRIAL)}")
    if seen.values.get("host") != host:
        return fault(
            HEADERS,
            f"The gateway sees the host {seen.values.get('host')}, and not {host}.",
            "proxy_set_header Host",
            "proxy_set_header Host $parley_host;",
        )
    added = {"x-forwarded-proto": "$parley_proto", "x-real-ip": "$remote_addr"}
    for header, variable in added.items():
        if header not in seen.names:
            setting = f"proxy_set_header {_written(header)}"
            return fault(HEADERS, f"nginx does not tell the gateway {header}.", setting, f"{setting} {variable};")
    return ok(HEADERS, "What clients send in headers arrives, up to 16 kB.", headers=len(sent) + 1)


async def client_address(front: Front) -> Check:
    """Whether the gateway can tell who asks, whatever a client claims."""
    seen = (await front.mirror(headers={"x-forwarded-for": _STRANGER})).reflection
    return judge_client_address(seen.values.get("x-forwarded-for", ""), seen.client)


def judge_client_address(forwarded: str, client: str) -> Check:
    """`forwarded` arrived after a client claimed to be the stranger; the gateway took it for `client`."""
    setting = "proxy_set_header X-Forwarded-For"
    remedy = f"{setting} $proxy_add_x_forwarded_for;"
    entries = [entry.strip() for entry in forwarded.split(",") if entry.strip()]
    if not entries:
        return fault(CLIENT_ADDRESS, "The gateway cannot tell who asks.", setting, remedy)
    if entries[-1] == _STRANGER:
        return fault(CLIENT_ADDRESS, "A client can claim to be anybody: nginx adds no address.", setting, remedy)
    if client == _STRANGER:
        return unknown(
            CLIENT_ADDRESS,
            "TRUSTED_PROXIES believes the address from which the doctor asks; ask from another to see the rest.",
        )
    if len(entries) == 1:
        return fault(
            CLIENT_ADDRESS,
            "What proxies in front of nginx say of their clients is thrown away.",
            setting,
            remedy,
            client=client,
        )
    if _STRANGER not in entries:
        return ok(CLIENT_ADDRESS, "A proxy in front of nginx says who asks; nginx adds that proxy.", client=client)
    return ok(CLIENT_ADDRESS, f"The gateway sees who asks ({client}), and no claim passes for it.", client=client)


def _written(header: str) -> str:
    """A header's name as it is written in nginx.conf."""
    return "-".join(_SPELT.get(part, part.capitalize()) for part in header.split("-"))
