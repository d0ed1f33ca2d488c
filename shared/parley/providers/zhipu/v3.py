"""The v3 API: words only, always signed, and every refusal comes with status 200."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from parley.catalog import Upstream
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.zhipu import SignIn, failure_of, v3
from parley.errors import CredentialExpired
from parley.leases import Credential, Lease
from parley.providers.zhipu.door import NOBODY, headers, knock, refuse_what_is_no_key, settled
from parley.transports import Net
from parley.transports.framing import Lines

_BASE: Final = "https://open.bigmodel.cn/api/paas/v3/model-api"


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing but its address and keys can be said of such an upstream."""


class ZhipuV3:
    """Always asks for a stream; the unary answer is its fold."""

    features = v3.FEATURES
    drops = v3.DROPS

    def __init__(self, upstream: Upstream, net: Net) -> None:
        refuse_what_is_no_key(upstream)
        msgspec.convert(dict(upstream.options), Options)
        self._upstream = upstream
        self._http = net.http

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. A stream that ends without a `finish` has no Stop."""
        content = msgspec.json.encode(v3.encode(prompt))
        sign_in = SignIn(lease.credential.part(), "v3")
        place = lease.place
        base = place.base_url or _BASE
        while True:
            async with self._http.stream(
                "POST",
                f"{base}/{quote(prompt.model, safe='')}/sse-invoke",
                headers=headers(sign_in, base),
                content=content,
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    raise settled(failure_of(page.status_code, page.headers, page.content))
                lines, answer = Lines(), v3.Decoder(response.headers)
                try:
                    async for chunk in self._http.chunks(response):
                        for line in lines.feed(chunk):
                            for event in answer.feed(line):
                                yield event
                        if answer.done:
                            return
                    for line in lines.finish():
                        for event in answer.feed(line):
                            yield event
                    for event in answer.finish():
                        yield event
                except CredentialExpired as failure:
                    if not sign_in.correct(response.headers):
                        raise settled(failure) from None
                else:
                    return

    async def probe(self, credential: Credential) -> None:
        """See whether the key opens the door. Raises Failure."""
        place = credential.place(self._upstream)
        url = f"{place.base_url or _BASE}/-/async-invoke/{NOBODY}"
        await knock(self._http, place, url, SignIn(credential.part(), "v3"))
