"""Writes docs/upstreams.md from what providers declare: `python deploy/upstreams.py`, or with `--print` to look only.

The contract suite (tests/providers/test_features.py) holds every provider to its declarations, so the page is true as
long as it is new; tests/architecture/test_upstreams_page.py says when it is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from parley.catalog import Upstream
from parley.chat.demands import KNOBS
from parley.providers import ENDED, PROVIDERS, Provider
from parley.providers.optional import ImageAddresses
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "upstreams.md"

HEADINGS: dict[str, str] = {
    "tools": "tools",
    "custom_tools": "custom tools",
    "images": "images",
    "image_addresses": "images by address",
    "audio_input": "audio in",
    "audio_output": "audio out",
    "files": "files",
    "json_object": "JSON mode",
    "json_schema": "JSON schema",
    "n": "`n`",
    "logprobs": "logprobs",
    "web_search": "web search",
    "stop": "`stop`",
    "max_tokens": "`max_tokens`",
    "usage": "usage",
    "reasoning": "thoughts",
}
OURS = {"stop": "kept by Parley", "max_tokens": "kept by Parley", "usage": "counted by Parley"}
"""Where these are not the upstream's, they are ours."""

OPENING = """<!-- Written by `make docs` from what providers declare: change the provider, and run it again. -->

# Upstreams

What each kind of service (the `provider` of an upstream) does with a request. No cell is a claim: every ● and every
refusal is tested through the real front against the service's stand-in (`tests/providers/test_features.py`).

● the service does it · ○ Parley does it in the service's place · empty: refused with a 400 that names the parameter
(thoughts: none are told). Images are data URLs; whether they may be named by address is another column. With the
options' defaults; a service's page tells what its options change.

各上游服务支持的功能：● 由服务本身支持；○ 由 Parley 代为实现；空白：返回 400 并指明参数。
图片以 data URL 传入；能否用 https 地址见 images by address 一列。
各服务的说明页附有中文步骤，说明如何获取凭证。
"""
DROPPED = """
## What is dropped

Parameters that merely tune are accepted everywhere. Those that a service does not know are not sent to it:

| provider | not sent |
|---|---|
"""
ENDED_OPENING = """
## What has ended

"""


def made(name: str) -> Provider:
    """A provider of this kind, with its options' defaults."""
    net = Net(HTTP(), WebSockets(), Browser())
    return PROVIDERS[name](Upstream(name, name, "https://upstream.invalid"), net)


def page_of(name: str) -> str | None:
    """The page about this kind: its own, that of its kin, or that of the module its code is in."""
    module = PROVIDERS[name].__module__.removeprefix("parley.providers.").partition(".")[0]
    stems = (name.replace("-", "_"), name.partition("-")[0], module)
    pages = (DOCS / "upstreams" / f"{stem}.md" for stem in stems)
    return next((f"upstreams/{page.name}" for page in pages if page.exists()), None)


def cell(provider: Provider, heading: str) -> str:
    """Who does it: the service, Parley, or nobody."""
    if heading == "image_addresses":
        if "images" not in provider.features:
            return " "
        by = provider.image_addresses if isinstance(provider, ImageAddresses) else ""
        return {"refused": " ", "fetched": "○"}.get(by, "●")
    return "●" if heading in provider.features else "○" if heading in OURS else " "


def lines() -> Iterator[str]:
    """The page."""
    kinds = {name: made(name) for name in sorted(PROVIDERS)}
    yield OPENING
    yield f"| provider | {' | '.join(HEADINGS.values())} |"
    yield f"|---|{':-:|' * len(HEADINGS)}"
    for name, provider in kinds.items():
        yield f"| {_linked(name)} | {' | '.join(cell(provider, heading) for heading in HEADINGS)} |"
    yield DROPPED.rstrip("\n")
    for name, provider in kinds.items():
        dropped = [f"`{knob}`" for knob in KNOBS if knob in provider.drops]
        told = "everything" if len(dropped) == len(KNOBS) else ", ".join(dropped) or "nothing"
        yield f"| {_linked(name)} | {told} |"
    yield ENDED_OPENING.rstrip("\n")
    yield ""
    for name, why in ENDED.items():
        yield f"* `{name}`: {why}"


def text() -> str:
    """The page as it should be."""
    return "\n".join(lines()) + "\n"


def _linked(name: str) -> str:
    page = page_of(name)
    return f"[`{name}`]({page})" if page else f"`{name}`"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="to standard output")
    if parser.parse_args().print:
        sys.stdout.write(text())
    else:
        PAGE.write_text(text(), "utf-8")
