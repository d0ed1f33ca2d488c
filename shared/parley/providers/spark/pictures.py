"""Images that a caller only names the address of: fetched here, because the service takes nothing but their bytes.

A caller must not see our own network through the model's eyes: only hosts on the public internet are asked, or those
that the operator named; redirects are not followed. The host is looked at twice: before anybody is called, and when the
connection is there, because its name may lead elsewhere by then.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from parley.catalog import Timeouts
from parley.dialects.spark.pictures import LARGEST, Picture, not_usable
from parley.errors import Failure
from parley.leases import Place
from parley.transports.http import HTTP
from parley.transports.public import is_public

_PATIENCE: Final = Timeouts(connect=5.0, first_token=10.0, between_tokens=10.0, total=20.0)


async def base64_of(picture: Picture, http: HTTP, place: Place, hosts: Collection[str]) -> str:
    """The image in base64, fetched if need be. Raises BadRequest."""
    if picture.base64:
        return picture.base64
    try:
        url = urlsplit(picture.url)
        host, known = url.hostname or "", url.scheme in ("http", "https")
    except ValueError:
        host, known = "", False
    if not host or not known:
        raise not_usable(picture.path, "The address of the image must be one of http or https.")
    public = host not in hosts
    if public and not await _leads_outside(host):
        raise not_usable(picture.path, "The image is at no address on the public internet.")
    try:
        page = await http.request(
            "GET", picture.url, headers={"accept": "image/*"}, timeouts=_PATIENCE, proxy=place.proxy, public=public
        )
    except Failure as problem:  # of the caller's address; our upstream has no part in it
        raise not_usable(picture.path, "The image cannot be fetched.") from problem
    if page.status_code != 200 or not page.headers.get("content-type", "").lower().startswith("image/"):
        raise not_usable(picture.path, f"There is no image at its address (status {page.status_code}).")
    if not 0 < len(page.content) <= LARGEST:
        raise not_usable(picture.path, "The image must have something in it, and at most 4 MB.")
    return base64.b64encode(page.content).decode()


async def _leads_outside(host: str) -> bool:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(is_public(str(address[0])) for *_, address in found)
