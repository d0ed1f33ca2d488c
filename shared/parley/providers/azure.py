"""Azure OpenAI: models that were deployed under names of the customer's own, asked at a dated version of the API.

Protocol: `upstreams/azure-openai.md`. A resource has no list of its deployments that a key may read, so the names come
from the configuration; the list of its base models, which costs nothing, tells whether a key works.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from parley.catalog import Upstream
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.azure import VERDICTS, endpoint, refusal, surface
from parley.dialects.openai import Decoder, encode, failure_in
from parley.errors import CredentialRejected
from parley.leases import Credential, Lease
from parley.providers.accounts import elsewhere
from parley.providers.body import Body
from parley.settings import ConfigurationError
from parley.transports import Net

NEWEST: Final = "2024-10-21"
"""The last dated version that is no preview; what is asked for when nothing else is configured."""


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of a resource beyond its endpoint and keys."""

    api_version: str = ""
    """A date, perhaps with `-preview`; or `v1` for the surface without dates. The address tells when nothing does."""
    deployments: dict[str, str] = {}
    """Which deployment serves a model name; a name that is not here is taken for a deployment's own."""
    headers: dict[str, str] = {}
    """Headers of your own, sent with every question."""


class Azure:
    """Asks deployments of a resource. Always for a stream; the unary answer is its fold."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        options = msgspec.convert(dict(upstream.options), Options)
        try:
            self._surface = surface(options.api_version or ("v1" if "/openai/v1" in upstream.base_url else NEWEST))
        except ValueError as problem:
            raise ConfigurationError(f"upstream '{upstream.name}': {problem}.") from None
        if not upstream.base_url and not all(plan.base_url for plan in upstream.credentials):
            raise ConfigurationError(f"upstream '{upstream.name}' needs an endpoint: the base_url of the resource.")
        self.features, self._rules = self._surface.features, self._surface.rules
        self.drops = self._rules.drops
        self._deployments = options.deployments
        self._upstream = upstream
        self._http = net.http
        self._failure_in = partial(failure_in, verdicts=VERDICTS)
        self._headers = {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "user-agent": "parley",
            **options.headers,
        }

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt` by the deployment that its model's name stands for."""
        place = lease.place
        deployment = self._deployments.get(prompt.model, prompt.model)
        async with self._http.stream(
            "POST",
            self._surface.chat(endpoint(place.base_url), deployment),
            headers=self._signed(lease.credential),
            content=encode(msgspec.structs.replace(prompt, model=deployment), self._rules),
            timeouts=place.timeouts,
            proxy=place.proxy,
        ) as response:
            if response.status_code != 200:
                page = await self._http.read(response)
                raise elsewhere(refusal(page.status_code, page.headers, page.content), self._upstream)
            body = Body(response.headers, Decoder(self._failure_in))
            chunks = self._http.chunks(response)
            async for chunk in chunks:
                for event in body.feed(chunk):
                    yield event
                if body.done:
                    break
            for event in body.finish():
                yield event
            await self._http.rest(response, chunks)

    async def models(self, _: Lease) -> list[str]:
        """The model names that were mapped to deployments; nothing else is known to be deployed."""
        return list(self._deployments)

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by the list of the resource's base models. Raises Failure."""
        place = credential.place(self._upstream)
        page = await self._http.request(
            "GET",
            self._surface.models(endpoint(place.base_url)),
            headers={**self._signed(credential), "accept": "application/json"},
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if page.status_code != 200:
            raise refusal(page.status_code, page.headers, page.content)

    def _signed(self, credential: Credential) -> dict[str, str]:
        if token := credential.part("token"):
            return {**self._headers, "authorization": f"Bearer {token}"}
        if key := credential.part("api_key") or credential.part():
            return {**self._headers, "api-key": key}
        raise CredentialRejected("The credential has neither a key nor a token.")
