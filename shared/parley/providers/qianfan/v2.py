"""The v2 API, which resembles OpenAI's (`upstreams/baidu-qianfan.md` part B)."""

from __future__ import annotations

from typing import Final

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.clock import now
from parley.dialects.qianfan import tokens, v2
from parley.dialects.qianfan.refusals import failure_of
from parley.dialects.qianfan.signing import AccessKeys, signed
from parley.errors import CredentialRejected, Failure, UpstreamMalformed
from parley.leases import Credential, Lease, Renewal
from parley.providers.body import Body
from parley.providers.qianfan.keys import access_keys, api_key, proven, renewed, token_of, told
from parley.settings import ConfigurationError
from parley.transports import Net

BASE_URL: Final = "https://qianfan.baidubce.com/v2"
_IAM_URL: Final = "https://iam.bj.baidubce.com"


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    appid: str = ""
    """The application on whose account questions are, where a credential does not say another one (`appid`)."""
    iam_url: str = ""
    """Where IAM keys buy temporary bearers; empty: the vendor's, or beside the API where that is somebody else's."""


class Qianfan:
    """Always asks for a stream; the unary answer is its fold."""

    features: frozenset[Feature] = frozenset(
        {
            *("stop", "max_tokens", "usage", "tools", "json_object", "json_schema", "images", "reasoning"),
            "web_search",
        }
    )
    drops: frozenset[str] = v2.DROPS

    def __init__(self, upstream: Upstream, net: Net) -> None:
        for plan in upstream.credentials:
            if not (api_key(plan.parts) or access_keys(plan.parts)):
                raise ConfigurationError(
                    f"upstream '{upstream.name}', credential '{plan.alias}': provider 'qianfan' needs an API key, "
                    "or access_key and secret_key of IAM. An application's api_key and secret_key are for "
                    "'qianfan-legacy'."
                )
        self._upstream = upstream
        self._http = net.http
        self._options = msgspec.convert(dict(upstream.options), Options)

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. The upstream's finish reasons are passed on; what it did not say is not made up."""
        place, credential = lease.place, lease.credential
        question, headers = v2.encode(prompt), self._headers(credential)
        try:
            async with self._http.stream(
                "POST",
                f"{place.base_url or BASE_URL}/chat/completions",
                headers={**headers, "accept": "text/event-stream", "content-type": "application/json"},
                content=question,
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    raise failure_of(page.status_code, page.headers, page.content)
                body = Body(response.headers, v2.Decoder())
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

    async def models(self, lease: Lease) -> list[str]:
        """Ask for the list of models. Raises Failure."""
        page = await self._list(lease.credential)
        try:
            return [str(model["id"]) for model in msgspec.json.decode(page.content)["data"]]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as problem:
            raise UpstreamMalformed("The upstream's list of models cannot be read.") from problem

    async def probe(self, credential: Credential) -> None:
        """See whether a key works, by the list of models; or whether IAM keys do, by a bearer. Both are free."""
        if (keys := access_keys(credential.parts)) is not None:
            await self._bearer(credential, keys)
        else:
            await self._list(credential)

    async def renew(self, credential: Credential) -> Renewal:
        """Buy a temporary bearer with IAM keys. Raises Failure; an API key is only renewed by a person."""
        keys = access_keys(credential.parts)
        if keys is None:
            raise CredentialRejected("An API key cannot be renewed here; its owner has to make a new one.")
        return renewed(credential, await self._bearer(credential, keys), now())

    async def _list(self, credential: Credential) -> httpx.Response:
        place = credential.place(self._upstream)
        page = await self._http.request(
            "GET",
            f"{place.base_url or BASE_URL}/models",
            headers={**self._headers(credential), "accept": "application/json"},
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if page.status_code != 200:
            failure = failure_of(page.status_code, page.headers, page.content)
            raise told(failure, credential, self._upstream, now())
        return page

    async def _bearer(self, credential: Credential, keys: AccessKeys) -> tokens.Token:
        place = credential.place(self._upstream)
        base = place.base_url or BASE_URL
        beside = _IAM_URL if base == BASE_URL else base.removesuffix("/v2")
        url = f"{self._options.iam_url.rstrip('/') or beside}{tokens.bearer_target()}"
        page = await self._http.request(
            "GET",
            url,
            headers={
                **signed(keys, "GET", url, httpx.URL(url).netloc.decode(), now()),
                "accept": "application/json",
                "user-agent": "parley",
            },
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        return tokens.bearer(page.status_code, page.headers, page.content, now())

    def _headers(self, credential: Credential) -> dict[str, str]:
        """Who asks. Raises CredentialExpired."""
        token = token_of(credential, now()) if access_keys(credential.parts) else api_key(credential.parts)
        appid = credential.part("appid") or self._options.appid
        said = {"authorization": f"Bearer {token}", "user-agent": "parley"}
        return {**said, "appid": appid} if appid else said
