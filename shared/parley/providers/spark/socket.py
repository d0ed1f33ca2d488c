"""The WebSocket API: a signed socket for each question, left when its answer is complete.

Protocol: `upstreams/xunfei-spark.md`, sections 1.2 and 2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.clock import now
from parley.dialects.spark import question, refusals
from parley.dialects.spark.frames import Decoder
from parley.dialects.spark.pictures import picture_of
from parley.dialects.spark.signing import signed
from parley.leases import Credential, Lease
from parley.providers.spark.options import DROPS, app_id_of, read, version_of
from parley.providers.spark.pictures import base64_of
from parley.transports import Net
from parley.transports.websocket import HandshakeRefused, Socket

_PROBED: Final = "lite"
"""The version whose door a probe knocks at: every application has it."""


class SparkSocket:
    """Speaks to the signed sockets of every version."""

    features: frozenset[Feature] = frozenset({"tools", "images", "max_tokens", "usage", "web_search", "reasoning"})
    image_addresses = "fetched"
    drops: frozenset[str] = DROPS | {"top_p"}
    """`top_p` and the penalties go to x1, the only version that takes them."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._upstream = upstream
        self._http, self._sockets = net.http, net.websockets
        self._options = read(upstream)

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask, and pass on what the frames say."""
        place = lease.place
        version = version_of(self._options, prompt.model, place.base_url)
        picture = picture_of(prompt.messages, version)
        asked = question.encode(
            prompt,
            version,
            app_id_of(lease.credential),
            image=await base64_of(picture, self._http, place, self._options.image_hosts) if picture else None,
            temperature=self._options.temperature,
            forced_tools=self._options.forced_tools,
        )
        decoder = Decoder(question.most_tokens(prompt, version))
        loop = asyncio.get_running_loop()
        async with self._open(version.address, lease.credential) as socket:
            await socket.send(asked)
            async for message in socket:
                lease.active = loop.time()
                for event in decoder.feed(message):
                    yield event
                if decoder.done:
                    break
        for event in decoder.finish():
            yield event

    async def probe(self, credential: Credential) -> None:
        """Open a socket and leave it without a question, which costs nothing. Raises Failure."""
        place = credential.place(self._upstream)
        async with self._open(version_of(self._options, _PROBED, place.base_url).address, credential):
            return

    @asynccontextmanager
    async def _open(self, address: str, credential: Credential) -> AsyncIterator[Socket]:
        """A socket at a freshly signed address; once more by the service's clock where ours goes wrong."""
        place, ahead = credential.place(self._upstream), 0.0
        for last in (False, True):
            key, secret = credential.part("api_key"), credential.part("api_secret")
            url = signed(address, key, secret, now() + ahead)
            try:
                async with self._sockets.connect(
                    url, headers={"user-agent": "parley"}, timeouts=place.timeouts, proxy=place.proxy
                ) as socket:
                    yield socket
                    return
            except HandshakeRefused as refused:
                if last or not refusals.wrong_clock(refused.status, refused.body):
                    raise refusals.refused(refused.status, refused.headers, refused.body) from None
                ahead = refusals.ahead(refused.headers)
