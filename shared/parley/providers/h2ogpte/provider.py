"""One answer of h2oGPTe: a question on the chat socket of a session, read to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import Final

from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.clock import looks
from parley.dialects import h2ogpte as dialect
from parley.errors import (
    CredentialFailure,
    CredentialRejected,
    Failure,
    SessionLost,
    UpstreamBroken,
    UpstreamMalformed,
    UpstreamTruncated,
)
from parley.leases import Credential, Lease, Renewal, Session
from parley.providers.h2ogpte.door import Door
from parley.providers.h2ogpte.keyed import Keyed
from parley.providers.h2ogpte.options import read
from parley.providers.h2ogpte.site import Site
from parley.providers.h2ogpte.web import Doubts, Web
from parley.transports import Net
from parley.transports.websocket import HandshakeRefused

log = logging.getLogger(__name__)

MODELS: Final = (
    "auto",
    "claude-sonnet-4-5-20250929",
    "claude-3-7-sonnet",
    "claude-opus-4-1-20250805",
    "deepseek-ai/DeepSeek-R1",
    "deepseek-ai/DeepSeek-V3",
    "gpt-4.1",
    "gpt-4o",
    "gpt-5",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
)
"""What the service's page offered when its protocol was written down: for servers that do not say what they have."""
_CALL_SECONDS: Final = 30.0
_COUNT_SECONDS: Final = 3.0
_STOP_SECONDS: Final = 5.0


class H2oGPTe:
    """Speaks to one h2oGPTe server."""

    features: frozenset[Feature] = frozenset({"json_object", "json_schema", "max_tokens", "usage"})
    drops: frozenset[str] = frozenset(KNOBS) - {"temperature", "top_p", "seed", "reasoning_effort"}

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._upstream = upstream
        self._net = net
        self._options = read(upstream)
        self._web_options = self._options.web
        self._doubts = Doubts()
        self._stopping: set[asyncio.Task[None]] = set()  # keeps calls that nobody waits for from being collected

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask in the session of the lease, which is good for this one question."""
        if lease.session is None:
            raise SessionLost("An answer of h2oGPTe needs a chat session, and none was lent.")
        session, door, site = lease.session.id, self._door(lease.credential), self._site(lease.credential)
        correlation = str(uuid.uuid4())
        manner = self._options if isinstance(door, Keyed) else self._web_options
        decoder = dialect.Decoder(
            session,
            correlation,
            most_tokens=dialect.most_new_tokens(prompt),
            # Nobody listens to the pieces of a unary answer, so it can be what the service says at the end. Where the
            # gateway looks for a stop sequence, pieces are wanted, to end the answer there.
            whole=not prompt.stream and not prompt.stops,
        )
        question = dialect.encode(prompt, session=session, correlation=correlation, manner=manner)
        loop = asyncio.get_running_loop()
        try:
            try:
                async with self._net.websockets.connect(
                    site.socket(session),
                    headers=door.handshake,
                    timeouts=lease.place.timeouts,
                    proxy=site.proxy,
                ) as socket:
                    await socket.send(question)
                    async for message in socket:
                        lease.active = loop.time()
                        for event in decoder.feed(message):
                            yield event
                        if decoder.done:
                            break
            except HandshakeRefused as refused:
                raise door.refusal(refused.status, refused.headers, refused.body) from None
            if not decoder.done:
                await self._recover(door, session, decoder, lease)
            if decoder.wants_usage and decoder.answer:
                await self._count(door, decoder.answer, decoder)
            for event in decoder.close():
                yield event
            if decoder.mismatch:
                log.warning("%s: a final answer was not what its pieces had said", self._upstream.name)
        except (GeneratorExit, asyncio.CancelledError):
            if decoder.question and not decoder.done:
                self._stop(door, decoder.question)
            raise

    async def open_session(self, credential: Credential) -> Session:
        """Make a chat session, in the configured workspace and with the configured template."""
        return Session(await self._door(credential).create(), credential.id, credential.epoch)

    async def close_sessions(self, credential: Credential, ids: list[str]) -> None:
        """Delete chat sessions; returns when the service says that they are gone."""
        if ids:
            await self._door(credential).delete(ids)

    async def list_sessions(self, credential: Credential) -> list[str]:
        """A guest's chat sessions. For other accounts always none: what nobody here remembers may be a person's own."""
        return await self._door(credential).recent() if credential.guest else []

    async def renew(self, credential: Credential) -> Renewal:
        """Renew a web session from the page, or make a guest of an empty place."""
        door = self._door(credential)
        if not isinstance(door, Web):
            raise CredentialRejected("An API key cannot be renewed here; its owner has to make a new one.")
        return await door.renew()

    async def probe(self, credential: Credential) -> None:
        """Ask the service who we are."""
        await self._door(credential).probe()

    async def models(self, lease: Lease) -> list[str]:
        """`auto`, and what the service lists; a server that does not know the call is taken for the page's own."""
        try:
            listed = await self._door(lease.credential).models()
        except UpstreamMalformed:
            return list(MODELS)
        except UpstreamBroken as problem:
            if problem.upstream_status not in (400, 404):
                raise
            return list(MODELS)
        return ["auto", *(name for name in listed if name != "auto")]

    def _site(self, credential: Credential) -> Site:
        return Site.of(self._net.http, self._upstream, credential, _CALL_SECONDS)

    def _door(self, credential: Credential) -> Door:
        site = self._site(credential)
        if credential.parts.keys() & {"api_key", "value"}:
            return Keyed(site, credential, self._options)
        return Web(site, credential, self._web_options, self._doubts)

    async def _recover(self, door: Door, session: str, decoder: dialect.Decoder, lease: Lease) -> None:
        """The socket broke, but the service goes on and stores its answer: the rest is fetched, not asked again."""
        broken = UpstreamTruncated("The upstream closed the socket before its answer was complete.")
        if decoder.question is None:
            raise broken
        loop = asyncio.get_running_loop()
        failed = 0
        async for _ in looks(self._options.recovery_seconds):
            lease.active = loop.time()
            try:
                messages = await door.messages(session)
            except Failure as problem:
                failed += 1
                if failed > 2 or isinstance(problem, CredentialFailure | SessionLost):
                    raise broken from problem
                continue
            if decoder.recover(messages):
                return
        raise broken

    async def _count(self, door: Door, answer: str, decoder: dialect.Decoder) -> None:
        """Fetch what the answer cost. The words are all here: when this fails, the gateway counts by itself."""
        with contextlib.suppress(Failure, TimeoutError):
            decoder.learn_usage(await asyncio.wait_for(door.statistics(answer), _COUNT_SECONDS))

    def _stop(self, door: Door, question: str) -> None:
        """Let the service know, without anybody waiting: the caller is gone and the socket is closed."""

        async def stop() -> None:
            with contextlib.suppress(Failure, TimeoutError):
                await asyncio.wait_for(door.stop(question), _STOP_SECONDS)

        task = asyncio.get_running_loop().create_task(stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
