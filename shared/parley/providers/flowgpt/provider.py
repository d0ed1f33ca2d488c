"""FlowGPT's chat backend: a signed question, lines of JSON back (`upstreams/flowgpt.md`).

This rides a web session, with a token that an operator copied from a browser of their own: it is off until there is
one. Guests ask only where the operator switched that on; a guest keeps its one device, and rests when told to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from parley import clock
from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects import flowgpt as dialect
from parley.dialects.flowgpt.catalogue import PERSONALITIES
from parley.errors import CredentialExpired, CredentialRejected, Failure, ModelNotFound, UpstreamBroken
from parley.leases import Credential, Lease, Place, Renewal
from parley.providers.flowgpt.account import Account, account_of, cookie_of, guest_device
from parley.providers.flowgpt.body import Body
from parley.providers.flowgpt.options import HOST, read
from parley.providers.flowgpt.site import Site
from parley.sealed import Secret
from parley.transports import Net

log = logging.getLogger(__name__)

_WELL: Final = frozenset({200, 201})
_DAY: Final = 86400.0
_WRONG_CLOCK: Final = 30.0
"""A difference to the service's clock that is worth correcting, in seconds."""
_LEARNT: Final = "learnt"
"""The part of a credential that tells every process how the service wants its questions signed."""
_UNPROVEN: Final = "unproven"
"""The part of a credential that tells every process that its token is fresh, and never worked yet."""


@dataclass(slots=True)
class Visit:
    """One exchange on its way: who asks, where, and how it is signed."""

    account: Account
    place: Place
    mode: str
    body: bytes = b""

    @property
    def base(self) -> str:
        """Where the chat backend is, without a trailing slash."""
        return self.place.base_url or HOST


class FlowGPT:
    """Speaks to FlowGPT."""

    features: frozenset[Feature] = frozenset()
    drops: frozenset[str] = frozenset(KNOBS) - {"temperature"}

    def __init__(
        self,
        upstream: Upstream,
        net: Net,
        *,
        now: Callable[[], float] = clock.now,
        nonce: Callable[[], str] = dialect.fresh_nonce,
    ) -> None:
        self._options = read(upstream)
        self._mode = dialect.check(self._options.signature_mode)
        self._upstream = upstream
        self._http = net.http
        self._now = now
        self._nonce = nonce
        self._behind = 0.0  # how far our clock is behind the service's, by its last answer
        self._warned: set[tuple[str, int]] = set()  # credentials whose near end was told

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. A token that ran out is not sent; a refused signature is corrected once."""
        options = self._options
        visit = self._visit(lease.credential)
        visit.body = await self._question(prompt, lease, visit)
        corrected = False
        while True:
            behind = self._behind
            async with self._ask(visit) as response:
                self._learn_clock(response)
                if response.status_code not in _WELL:
                    page = await self._http.read(response)
                    if self._corrects(visit, page, behind, lease) and not corrected:
                        corrected = True
                        continue
                    raise self._refusal(lease.credential, page)
                body = Body(response.headers, dialect.Cleaner(options.clean_characters, strict=options.clean_strictly))
                async for chunk in self._http.chunks(response):
                    for event in body.feed(chunk):
                        yield event
                for event in body.finish():
                    yield event
                self._prove(lease)
                return

    async def models(self, lease: Lease) -> list[str]:
        """The names that are known without asking, then the prompts of the site's catalogue."""
        names = [*self._options.models, *PERSONALITIES]
        if self._options.discovery:
            names += await self._site(lease.credential).prompts()
        return list(dict.fromkeys(names))

    async def probe(self, credential: Credential) -> None:
        """See whether a token is still accepted, by a look at its conversations; one that ran out is not even sent."""
        if credential.guest:
            raise UpstreamBroken("Whether guests may ask is not known before one does.")
        visit = self._visit(credential)
        page = await self._http.request(
            "GET",
            f"{visit.base}/conversation/latest?promptId={PERSONALITIES['default']}&take=1",
            headers=self._headers(visit.account),
            timeouts=visit.place.timeouts,
            proxy=visit.place.proxy,
        )
        if page.status_code not in _WELL:
            raise self._refusal(credential, page)

    async def renew(self, credential: Credential) -> Renewal:
        """A new token for a login cookie, or a device for a guest. Without a cookie only a person can sign in again."""
        if credential.guest:
            return Renewal({"device_id": Secret(guest_device())})
        cookie = cookie_of(credential)
        if not cookie:
            raise CredentialExpired("The token has expired; sign in with a browser again, and copy the new one.")
        token, cookie = await self._site(credential).token(cookie)
        if dialect.read_token(token).ran_out(self._now()):
            raise CredentialRejected("The upstream gave an expired token for the login cookie.")
        renewed = {"value": token, "cookie": cookie, "device_id": account_of(credential).device, _UNPROVEN: "yes"}
        return Renewal({**credential.parts, **{name: Secret(text) for name, text in renewed.items()}})

    def _visit(self, credential: Credential) -> Visit:
        """Who asks. Raises CredentialExpired for a token that ran out: it is shown to nobody."""
        account = account_of(credential)
        if not account.guest:
            now = self._now()
            if not account.token.text or account.token.ran_out(now):
                raise CredentialExpired("The token of this credential has expired.")
            self._warn(credential, (account.token.expires or now + _DAY) - now)
        configured, _, learnt = credential.part(_LEARNT).partition("\n")
        mode = learnt if learnt and configured == self._mode else self._mode
        return Visit(account, credential.place(self._upstream), mode)

    def _warn(self, credential: Credential, left: float) -> None:
        known = (credential.id, credential.generation)
        if left < _DAY and known not in self._warned:
            self._warned.add(known)
            log.warning("%s: the token of '%s' expires in %.1f h", self._upstream.name, credential.alias, left / 3600)

    async def _question(self, prompt: Prompt, lease: Lease, visit: Visit) -> bytes:
        """The body to send; where the context is kept in a conversation, that is made first. Raises Failure."""
        options = self._options
        who = options.who(prompt.model)
        if who is None:
            raise ModelNotFound(f"The model `{prompt.model}` does not exist.", param="model")
        talk = dialect.told(prompt.messages, go_on=options.go_on)
        if visit.account.guest:
            return dialect.guest_chat(talk, who, prompt, nsfw=options.nsfw)
        made = None
        if options.context_mode != "history":
            page = await self._http.request(
                "POST",
                f"{visit.base}/conversation/create",
                headers=self._headers(visit.account),
                content=dialect.conversation(talk, who),
                timeouts=visit.place.timeouts,
                proxy=visit.place.proxy,
            )
            self._learn_clock(page)
            if page.status_code not in _WELL:
                raise self._refusal(lease.credential, page)
            made = dialect.conversation_id(page.headers, page.content)
        return dialect.chat(talk, who, prompt, context=options.context_mode, conversation_id=made, nsfw=options.nsfw)

    def _ask(self, visit: Visit) -> AbstractAsyncContextManager[httpx.Response]:
        account = visit.account
        moment = int(self._now() + self._behind)
        facts = dialect.Facts(moment, self._nonce(), account.device, account.authorization, visit.body)
        return self._http.stream(
            "POST",
            f"{visit.base}/{self._options.api}/{'chat-anonymous' if account.guest else 'chat'}",
            headers={**self._headers(account), **dialect.signed(visit.mode, facts)},
            content=visit.body,
            timeouts=visit.place.timeouts,
            proxy=visit.place.proxy,
        )

    def _headers(self, account: Account) -> dict[str, str]:
        """What every call to the backend says (section 1.2)."""
        headers = {
            "accept": "*/*",
            "accept-language": "zh-CN,zh;q=0.9,en;q=0.8",
            "authorization": account.authorization,
            "content-type": "application/json",
            "origin": self._options.origin,
            "referer": f"{self._options.origin}/",
            "x-flow-device-id": account.device,
            "x-flow-language": "en",
            **self._options.headers,
        }
        if account.waf_token:
            headers["x-aws-waf-token"] = account.waf_token
        return headers

    def _corrects(self, visit: Visit, page: httpx.Response, behind: float, lease: Lease) -> bool:
        """Whether a refusal is about the signature, and the next question will be signed in another way.

        By the service's clock if ours was wrong; else in the next mode, which is noted for every process.
        """
        if not dialect.speaks_of_signature(page.status_code, page.content):
            return False
        if abs(self._behind - behind) > _WRONG_CLOCK:
            return True
        if not self._options.signature_learn:
            return False
        visit.mode = dialect.successor(visit.mode)
        lease.renewed = {**lease.credential.parts, _LEARNT: Secret(f"{self._mode}\n{visit.mode}")}
        return True

    def _prove(self, lease: Lease) -> None:
        """A fresh token worked: should it be refused one day, another one is worth asking for."""
        parts = dict(lease.renewed or lease.credential.parts)
        if parts.pop(_UNPROVEN, None) is not None:
            lease.renewed = parts

    def _learn_clock(self, response: httpx.Response) -> None:
        """See from the answer's date how wrong our clock is; a difference of seconds is not worth it."""
        try:
            theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return
        behind = theirs - self._now()
        self._behind = behind if abs(behind) > _WRONG_CLOCK else 0.0

    def _refusal(self, credential: Credential, page: httpx.Response) -> Failure:
        """What a refused call means. With a login a newer token may do, unless this is one and never worked."""
        renewable = bool(cookie_of(credential)) and not credential.part(_UNPROVEN)
        return dialect.failure_of(page.status_code, page.headers, page.content, renewable=renewable)

    def _site(self, credential: Credential) -> Site:
        return Site(self._http, credential.place(self._upstream), self._options.site_url)
