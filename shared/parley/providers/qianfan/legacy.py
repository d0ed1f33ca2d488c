"""The API of access tokens (`upstreams/baidu-qianfan.md` part A). Its vendor is switching it off in favour of v2."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.clock import now
from parley.dialects.qianfan import legacy, tokens
from parley.dialects.qianfan.legacy.encode import DROPS
from parley.dialects.qianfan.signing import signed
from parley.errors import CredentialRejected, Failure, UpstreamBroken
from parley.leases import Credential, Lease, Renewal
from parley.providers.body import Body
from parley.providers.qianfan.keys import Application, access_keys, application, proven, renewed, token_of, told
from parley.settings import ConfigurationError
from parley.transports import Net

BASE_URL: Final = "https://aip.baidubce.com"
_API: Final = "/rpc/2.0/ai_custom/v1/wenxinworkshop"
_HEADERS: Final = {"accept": "text/event-stream", "content-type": "application/json", "user-agent": "parley"}


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    endpoints: dict[str, str] = {}
    """The path of a model that is not where its name says, or of a customer's own service: `{model: path}`."""


class QianfanLegacy:
    """Always asks for a stream; the unary answer is its fold."""

    features: frozenset[Feature] = frozenset({"tools", "json_object", "max_tokens", "usage"})
    """`stop` is the gateway's: the API takes four short sequences at most."""
    drops: frozenset[str] = DROPS

    def __init__(self, upstream: Upstream, net: Net) -> None:
        for plan in upstream.credentials:
            if not (application(plan.parts) or access_keys(plan.parts)):
                raise ConfigurationError(
                    f"upstream '{upstream.name}', credential '{plan.alias}': provider 'qianfan-legacy' needs "
                    "api_key and secret_key of an application (or AK|SK), or access_key and secret_key of IAM. "
                    "A key that begins with bce-v3 is for 'qianfan'."
                )
        self._upstream = upstream
        self._http = net.http
        options = msgspec.convert(dict(upstream.options), Options)
        self._endpoints = {model.lower(): path for model, path in options.endpoints.items()}

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. The upstream's finish reasons are passed on; what it did not say is not made up."""
        place, credential = lease.place, lease.credential
        question = legacy.encode(prompt)
        url, headers = self._signed(f"{_API}/chat/{legacy.endpoint(prompt.model, self._endpoints)}", credential)
        try:
            async with self._http.stream(
                "POST",
                url,
                headers={**_HEADERS, **headers},
                content=question,
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    raise legacy.failure_of(page.status_code, page.headers, page.content)
                body = Body(response.headers, legacy.Decoder(response.headers))
                chunks = self._http.chunks(response)
                async for chunk in chunks:
                    for event in body.feed(chunk):
                        yield event
                    if body.done:
                        break
                for event in body.finish():
                    yield event
                await self._http.rest(response, chunks)
        except Failure as failure:
            raise told(failure, credential, self._upstream, now()) from None
        proven(lease)

    async def probe(self, credential: Credential) -> None:
        """See whether an application's keys still buy an access token, which costs nothing. Raises Failure."""
        keys = application(credential.parts)
        if keys is None:
            raise UpstreamBroken("Whether IAM keys work here is not known before a question is asked.")
        await self._token(credential, keys)

    async def renew(self, credential: Credential) -> Renewal:
        """Buy an access token. Raises Failure."""
        keys = application(credential.parts)
        if keys is None:
            raise CredentialRejected("IAM keys sign each question; there is nothing to renew.")
        return renewed(credential, await self._token(credential, keys), now())

    async def _token(self, credential: Credential, keys: Application) -> tokens.Token:
        place = credential.place(self._upstream)
        page = await self._http.request(
            "POST",
            f"{place.base_url or BASE_URL}{tokens.access_token_target(*keys)}",
            headers={**_HEADERS, "accept": "application/json"},
            content=b"{}",
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        return tokens.access_token(page.status_code, page.headers, page.content, now())

    def _signed(self, target: str, credential: Credential) -> tuple[str, dict[str, str]]:
        """The address with an access token in it, or with headers signed by IAM keys. Raises CredentialExpired."""
        url = f"{credential.place(self._upstream).base_url or BASE_URL}{target}"
        keys = access_keys(credential.parts)
        if keys is None:
            return f"{url}?access_token={quote(token_of(credential, now()), safe='')}", {}
        return url, signed(keys, "POST", url, httpx.URL(url).netloc.decode(), now())
