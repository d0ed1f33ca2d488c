"""The proxy in front of the unofficial services: what it says in their place, in Cloudflare's own shapes."""

from __future__ import annotations

from .plan import Page

HTML = "text/html; charset=UTF-8"
HEADERS = {"Server": "cloudflare", "CF-RAY": "8a0000000000abcd-ZRH"}

_CHALLENGE = """<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title>
<meta name="robots" content="noindex,nofollow"></head><body><div class="main-wrapper" role="main"></div>
<script>(function(){window._cf_chl_opt={cvId:'3'};var a=document.createElement('script');
a.src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1';}());</script></body></html>
"""
_BLOCK = """<!DOCTYPE html><html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1></body></html>
"""
_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


def challenge(status: int, *, marked: bool = True) -> Page:
    """It asks for a human; `marked`: in a header, too."""
    return Page(status, HTML, _CHALLENGE, {**HEADERS, "cf-mitigated": "challenge"} if marked else HEADERS)


BLOCK = Page(403, HTML, _BLOCK, HEADERS)
"""It knows this visitor, and wants none of him."""


def gateway(status: int) -> Page:
    """The service behind it does not answer."""
    return Page(status, HTML, _GATEWAY, HEADERS)
