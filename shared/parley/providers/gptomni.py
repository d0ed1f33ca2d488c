"""gptomni.ai: a prompt in, raw text back, through a browser-like client.

This rides a web session, with cookies that an operator copied from a browser of their own: it is off until there are
some. It keeps to a slow pace, and steps back from a challenge page instead of solving it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
from aiolimiter import AsyncLimiter

from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects import gptomni as dialect
from parley.dialects.cookies import Jar
from parley.leases import Credential, Lease
from parley.sealed import Secret
from parley.transports import Net
from parley.transports.browser import Page

MODELS: Final = ("gptomni",)
Visit = AbstractAsyncContextManager[Page]
_FAMILY: Final = "next-auth"
_MOST_READ: Final = 64 * 1024
"""How much of a refusal or of the session page is read."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one upstream."""

    history: dialect.History = "transcript"
    """Whether the whole conversation is told, or its last question only."""
    challenges: Literal["off", "library"] = "off"
    """`library`: cloudscraper may do what it does by itself; nothing is added to it."""
    probe: bool = False
    """Whether the keeper may look at `/api/auth/session` now and then."""
    spacing: float | None = None
    """Least seconds between two starts of one credential in this process; None: derived from the pace of the fleet."""


class GPTOmni:
    """Speaks to gptomni.ai."""

    features: frozenset[Feature] = frozenset()
    drops: frozenset[str] = frozenset(KNOBS)

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._options = msgspec.convert(dict(upstream.options), Options)
        self._upstream = upstream
        self._net = net
        self._spacing = _spacing(upstream) if self._options.spacing is None else self._options.spacing
        self._starts: dict[str, AsyncLimiter] = {}

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask, and pass on the text as it comes."""
        body = dialect.encode(prompt, history=self._options.history)
        await self._turn(lease.credential.id)
        async with self._visit("POST", "/api/chatWithText", lease.credential, body) as page:
            if page.status != 200:
                raise dialect.refusal(page.status, page.headers, await _beginning(page))
            self._roll(lease, page)
            decoder = dialect.Decoder(page.headers)
            async for piece in page:
                for event in decoder.feed(piece):
                    yield event
            for event in decoder.close():
                yield event

    async def _turn(self, credential: str) -> None:
        """Redis paces the fleet; here starts that came together are drawn apart, as a person's would be."""
        if self._spacing > 0:
            await self._starts.setdefault(credential, AsyncLimiter(1, self._spacing)).acquire()

    def _visit(self, method: str, path: str, credential: Credential, body: bytes = b"") -> Visit:
        place = credential.place(self._upstream)
        site = urlsplit(place.base_url)
        headers = {
            "Accept": "*/*",
            "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
            "Content-Type": "text/plain;charset=UTF-8",
            "Origin": f"{site.scheme}://{site.netloc}",
            "Referer": f"{place.base_url}/zh",
            "Cookie": _cookie(credential),
        }
        if method == "GET":
            del headers["Content-Type"]
        return self._net.browser.stream(
            method,
            place.base_url + path,
            headers=headers,
            content=body,
            timeouts=place.timeouts,
            proxy=place.proxy,
            challenges=self._options.challenges == "library",
        )

    def _roll(self, lease: Lease, page: Page) -> None:
        """Keep a sign-in that the site prolonged: the vault takes it unless it has a newer one."""
        before = _cookie(lease.credential)
        jar = Jar(before)
        jar.roll(page.set_cookies, _FAMILY)
        if jar.header != Jar(before).header:
            lease.renewed = {"value": Secret(jar.header)}


class ProbingGPTOmni(GPTOmni):
    """Speaks to gptomni.ai, and may be asked whether a cookie still works."""

    async def probe(self, credential: Credential) -> None:
        """Look at the session page. Raises Failure when nobody is signed in."""
        async with self._visit("GET", "/api/auth/session", credential) as page:
            dialect.signed_in(page.status, page.headers, await _beginning(page))


def gptomni(upstream: Upstream, net: Net) -> GPTOmni:
    """The provider for an upstream; it can be probed only where the operator wants that."""
    return (ProbingGPTOmni if upstream.options.get("probe") is True else GPTOmni)(upstream, net)


def _spacing(upstream: Upstream) -> float:
    """Starts come at most ten times as fast as the pace says, and need never be more than a second apart."""
    return min(1.0, 6.0 / upstream.per_minute) if upstream.per_minute else 0.0


def _cookie(credential: Credential) -> str:
    return credential.part().strip()


async def _beginning(page: Page) -> bytes:
    read = b""
    async for piece in page:
        read += piece
        if len(read) >= _MOST_READ:
            break
    return read[:_MOST_READ]
