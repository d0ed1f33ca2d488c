"""One answer of claude.ai: a conversation that is made by its only question, and deleted when the answer has ended.

The conversation is our session, though nothing has to be asked of the service to open one: its uuid is ours to choose.
So it is remembered in Redis before the question goes out, and the keeper deletes it whatever happens then: after the
answer, after a failure, after a hang-up, after a gateway was killed.

Protocol: `upstreams/claude-web.md`, sections 1.6, 2 and 4.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Event, Events
from parley.chat.prompt import Prompt
from parley.clock import looks, monotonic
from parley.dialects import claude_web as dialect
from parley.errors import (
    CredentialFailure,
    Failure,
    QuotaExhausted,
    SessionLost,
    UpstreamEmpty,
    UpstreamFailure,
    UpstreamTruncated,
)
from parley.leases import Credential, Lease, Session
from parley.providers.claude_web.options import read
from parley.providers.claude_web.reading import Reading
from parley.providers.claude_web.site import Reply, Site
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net

_KNOWN_SECONDS: Final = 3600.0
_STOP_SECONDS: Final = 5.0
_MOMENT: Final = 0.05
_MOST_READ: Final = 64 * 1024
_PAGE: Final = 100
_MOST_PAGES: Final = 10
_STORED: Final = "?tree=True&rendering_mode=messages&render_all_tools=true&consistency=strong"


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation of an account."""

    site: Site
    among: str
    """The path of all of the account's conversations."""
    id: str

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.among}/{self.id}"

    async def told(self, more: str) -> dict[str, Any]:
        """What the service tells of it. Raises Failure."""
        told = await self.site.told("GET", self.path + more, chat=self.id)
        return told if isinstance(told, dict) else {}


class ClaudeWeb:
    """Speaks to the web application of claude.ai."""

    features: frozenset[Feature] = frozenset({"reasoning"})
    drops: frozenset[str] = frozenset(KNOBS) - {"reasoning_effort"}

    def __init__(self, upstream: Upstream, net: Net) -> None:
        if upstream.pool is not None and upstream.pool.size:
            raise ConfigurationError(
                f"upstream '{upstream.name}': a conversation of claude.ai is made by its question, so none can be kept "
                "warm; remove 'pool'."
            )
        self._upstream = upstream
        self._net = net
        self._options = read(upstream)
        self._organizations: dict[str, tuple[str, float]] = {}
        """By credential: what the service told us, and when (monotonic) it is asked again."""
        self._stopping: set[asyncio.Task[None]] = set()  # keeps calls that nobody waits for from being collected

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask, in the conversation of the lease, which the question itself makes."""
        if lease.session is None:
            raise SessionLost("An answer of claude.ai needs a conversation, and none was lent.")
        turn, reading = dialect.Turn.new(), Reading()
        question = dialect.encode(prompt, turn, self._options.manner)
        site = self._site(lease.credential)
        chat = Chat(site, await self._chats(site), lease.session.id)
        broke = False
        try:
            try:
                async with contextlib.aclosing(self._asked(chat, question, reading, lease)) as events:
                    async for event in events:
                        yield event
            except UpstreamTruncated:  # no failure yet: the service goes on without us, and keeps what it says
                broke = True
            for event in reading.finish():
                yield event
            if not reading.decoder.done:
                for event in await self._recovered(chat, turn.assistant, reading.decoder, lease, broke=broke):
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            if not reading.decoder.done:
                self._stop(chat)
            raise

    async def _asked(self, chat: Chat, question: bytes, reading: Reading, lease: Lease) -> Events:
        """Send the question, and read the stream as far as it goes."""
        loop = asyncio.get_running_loop()
        async with chat.site.ask(
            "POST", f"{chat.path}/completion", question, accept="text/event-stream", chat=chat.id
        ) as reply:
            _roll(lease, chat.site, reply)
            if reply.status == 409:  # asked twice by a transport that saw no answer: it is being answered
                reading.decoder.begun = True
                return
            if (failure := await _refused(reply)) is not None:
                self._doubt(chat.site, failure)
                raise failure
            async for piece in reply.pieces:
                lease.active = loop.time()
                for event in reading.feed(piece):
                    yield event
                if reading.decoder.done:
                    break
            await _rest(reply)

    async def open_session(self, credential: Credential) -> Session:
        """Choose the uuid of a conversation. The service hears of it from the question."""
        return Session(dialect.mark(credential.id), credential.id, credential.epoch)

    async def close_sessions(self, credential: Credential, ids: list[str]) -> None:
        """Delete conversations. One that was never made is gone, too."""
        if not ids:
            return
        site = self._site(credential)
        chats = await self._chats(site)
        for chat in ids:
            reply, content = await site.call("DELETE", f"{chats}/{chat}", {"uuid": chat}, chat=chat)
            if reply.status not in (200, 202, 204, 404):
                failure = dialect.refusal(reply.status, reply.headers, content)
                self._doubt(site, failure)
                raise failure

    async def list_sessions(self, credential: Credential) -> list[str]:
        """The account's conversations, a person's own among them; temporary ones are in no list."""
        if self._options.temporary:
            return []
        site = self._site(credential)
        return [chat async for chat in self._listed(site)]

    def bears_our_mark(self, credential: Credential, session: str) -> bool:
        """Whether a listed conversation was made here, with this credential."""
        return dialect.marked(credential.id, session)

    async def probe(self, credential: Credential) -> None:
        """Ask who the account is, and how much of its limits is used; neither counts as a message."""
        site = self._site(credential)
        self._organizations.pop(credential.id, None)
        organization = await self._organization(site)
        try:
            wait = dialect.used_up(await site.told("GET", f"/api/organizations/{organization}/usage"))
        except UpstreamFailure:
            return  # it has no such page, or none that we can read: the account works all the same
        if wait is not None:
            raise QuotaExhausted("The usage limit is reached.", retry_after=min(wait, QuotaExhausted.longest_rest))

    def _site(self, credential: Credential) -> Site:
        return Site(self._net, credential.place(self._upstream), credential, self._options)

    async def _chats(self, site: Site) -> str:
        return f"/api/organizations/{await self._organization(site)}/chat_conversations"

    async def _organization(self, site: Site) -> str:
        """The account's organisation: as configured, as remembered, or as the service says."""
        identity = site.credential.id
        if given := site.credential.part("organization"):
            return given
        known, until = self._organizations.get(identity, ("", 0.0))
        if monotonic() >= until:
            listed = await site.told("GET", "/api/organizations")
            known = dialect.organization(listed, site.key["lastActiveOrg"])
            self._organizations[identity] = known, monotonic() + _KNOWN_SECONDS
        return known

    def _doubt(self, site: Site, failure: Failure) -> None:
        """An organisation that the account has left looks like a refusal: it is looked up anew next time."""
        if failure.upstream_status in (403, 404):
            self._organizations.pop(site.credential.id, None)

    async def _listed(self, site: Site) -> AsyncIterator[str]:
        chats = await self._chats(site)
        for page in range(_MOST_PAGES):
            query = f"?limit={_PAGE}&offset={page * _PAGE}&consistency=eventual"
            told = await site.told("GET", f"{chats}_v2{query}")
            for chat in dialect.chats(told):
                yield chat
            if not (isinstance(told, dict) and told.get("has_more")):
                return

    async def _recovered(
        self, chat: Chat, answer: str, decoder: dialect.Decoder, lease: Lease, *, broke: bool
    ) -> list[Event]:
        """The rest of an answer whose stream ended early, as the service stored it. Raises what the end looked like."""
        begun = broke or decoder.begun
        broken = (
            UpstreamTruncated("The upstream's answer broke off before it was complete.")
            if begun
            else UpstreamEmpty("The upstream's answer has nothing in it.")
        )
        failed = 0
        async for _ in looks(self._options.recovery_seconds if begun else 0.0):
            lease.active = asyncio.get_running_loop().time()
            try:
                status = await chat.told("/completion_status?poll=false")
                if status.get("is_pending"):
                    continue
                events = decoder.recover(await chat.told(_STORED), answer)
            except Failure as problem:
                failed += 1
                if failed > 2 or isinstance(problem, CredentialFailure | SessionLost):
                    raise broken from problem
                continue
            if events is not None:
                return events
            if status.get("is_error"):
                break
        raise broken

    def _stop(self, chat: Chat) -> None:
        """Let the service know, without anybody waiting: the caller is gone and the connection is closed."""

        async def stop() -> None:
            with contextlib.suppress(Failure, TimeoutError):
                stopping = chat.site.call("POST", f"{chat.path}/stop_response", chat=chat.id)
                await asyncio.wait_for(stopping, _STOP_SECONDS)

        task = asyncio.get_running_loop().create_task(stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


def _roll(lease: Lease, site: Site, reply: Reply) -> None:
    """Keep a session that the site prolonged: the vault takes it unless it has a newer one."""
    if (renewed := site.key.rolled(reply.set_cookies)) is not None:
        lease.renewed = {**site.credential.parts, site.part: Secret(renewed)}


async def _refused(reply: Reply) -> Failure | None:
    """What an answer that is no stream means; None for a stream."""
    kind = reply.headers.get("content-type", "").lower()
    if reply.status == 200 and not ("html" in kind or "json" in kind):
        return None
    beginning = bytearray()
    with contextlib.suppress(UpstreamTruncated):
        async for piece in reply.pieces:
            beginning += piece
            if len(beginning) >= _MOST_READ:
                break
    return dialect.refusal(reply.status, reply.headers, bytes(beginning))


async def _rest(reply: Reply) -> None:
    """Wait a moment for the end of the body: what the service says behind its last word means nothing to us."""
    with contextlib.suppress(TimeoutError, UpstreamFailure):
        async with asyncio.timeout(_MOMENT):
            async for _ in reply.pieces:
                pass
