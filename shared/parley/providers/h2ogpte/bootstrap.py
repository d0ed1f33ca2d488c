"""The page that signs a browser in: it makes a guest of a stranger, and renews whoever it knows.

Redirects are followed here by hand, on the same host only, with a jar: the cookie may come on any of the answers and
must go along to the next, else a renewal would quietly make another guest (`upstreams/h2ogpte.md` 1.1, 5.6).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.cookies import Jar
from parley.errors import Challenged, CredentialExpired, CredentialRejected, UpstreamBroken, UpstreamMalformed
from parley.providers.h2ogpte.refusals import refusal
from parley.providers.h2ogpte.site import Site

COOKIE: Final = "h2ogpte.session"
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_PASSWORD: Final = re.compile(rb"<input[^>]+type\s*=\s*[\"']?password", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who the page says we are; empty or None where it says nothing."""

    cookie: str
    csrf: str
    user_id: str = ""
    username: str = ""
    guest: bool | None = None

    def __repr__(self) -> str:
        return "SignedIn(...)"


async def bootstrap(site: Site, cookie: str, user_agent: str) -> SignedIn:
    """Open the page with the cookie, or without one. Raises Failure when nobody gets signed in by it."""
    jar = Jar(f"{COOKIE}={cookie}" if cookie else "")
    response = await _page(site, jar, user_agent)
    conf = read_conf(response.text)
    csrf = conf.get("csrf_token")
    if not (isinstance(csrf, str) and csrf):
        if _PASSWORD.search(response.content):
            raise CredentialRejected("The upstream shows its sign-in page.", upstream_status=response.status_code)
        raise UpstreamMalformed("The upstream's page holds no CSRF token; perhaps the site has changed.")
    if not jar[COOKIE]:
        raise UpstreamMalformed("The upstream's page gave no session cookie.")
    guest = conf.get("is_guest")
    return SignedIn(
        jar[COOKIE],
        csrf,
        str(conf.get("user_id") or ""),
        str(conf.get("username") or ""),
        guest if isinstance(guest, bool) else None,
    )


async def _page(site: Site, jar: Jar, user_agent: str) -> httpx.Response:
    url = f"{site.base}/chats"
    for _ in range(_MOST_REDIRECTS + 1):
        headers = {"accept": _ACCEPT, "user-agent": user_agent}
        if jar.header:
            headers["cookie"] = jar.header
        response = await site.call("GET", url, headers)
        jar.take(response.headers.get_list("set-cookie"))
        if response.status_code not in _REDIRECTS:
            _check(response)
            return response
        url = _next(url, response.headers.get("location", ""))
    raise UpstreamBroken("The upstream redirects without end.")


def _next(url: str, location: str) -> str:
    """Where a redirect leads, if the cookie may go there."""
    target = urljoin(url, location)
    here, there = urlsplit(url), urlsplit(target)
    upgraded = (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname
    if not upgraded and (here.scheme, here.netloc) != (there.scheme, there.netloc):
        raise CredentialRejected("The upstream sends us to another host to sign in.")
    return target


def _check(response: httpx.Response) -> None:
    status, headers, body = response.status_code, response.headers, response.content
    if is_challenge(headers, body if is_page(headers.get("content-type", ""), body) else b""):
        raise Challenged("The upstream shows a page that asks for a human.", upstream_status=status)
    if status != 200:
        refused = refusal(status, headers, body, keyed=False)
        if isinstance(refused, CredentialExpired):  # renewing again is what this was
            raise CredentialRejected("The upstream lets nobody in.", upstream_status=status)
        raise refused


class _Conf(HTMLParser):
    """Finds the first `data-conf` attribute, entities resolved."""

    def __init__(self) -> None:
        super().__init__()
        self.text: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        if self.text is None:
            self.text = next((value for name, value in attrs if name == "data-conf" and value), None)


_MEMBER: Final = re.compile(r'"(csrf_token|user_id|username)"\s*:\s*"((?:[^"\\]|\\.)*)"')


def read_conf(page: str) -> dict[str, Any]:
    """What the page tells its own script: from its `data-conf` attribute, else wherever it is written."""
    finder = _Conf()
    finder.feed(page)
    finder.close()
    try:
        conf = msgspec.json.decode(finder.text or "")
    except (msgspec.DecodeError, UnicodeError):
        conf = None
    if isinstance(conf, dict) and "csrf_token" in conf:
        return conf
    found: dict[str, Any] = {}
    for name, text in _MEMBER.findall(html.unescape(page)):
        try:
            found.setdefault(name, msgspec.json.decode(f'"{text}"'))
        except (msgspec.DecodeError, UnicodeError):
            continue
    return found
