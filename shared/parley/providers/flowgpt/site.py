"""The web site beside the chat backend: its public catalogue, and tokens for a login cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from parley.dialects.cookies import Jar
from parley.dialects.flowgpt import failure_of
from parley.dialects.flowgpt.catalogue import CATALOGUE, REFRESH, fresh_token, prompt_ids
from parley.leases import Place
from parley.providers.flowgpt.options import HOST, SITE
from parley.transports.http import HTTP

_FAMILY: Final = "next-auth"


@dataclass(frozen=True, slots=True)
class Site:
    """The site as one credential reaches it."""

    http: HTTP
    place: Place
    url: str
    """Empty: the site itself, or the credential's own base URL where somebody else's was configured."""

    async def prompts(self) -> list[str]:
        """Ids of the prompts in the catalogue. It is public: no token is shown there. Raises Failure."""
        return prompt_ids((await self._get(CATALOGUE, {})).content)

    async def token(self, cookie: str) -> tuple[str, str]:
        """A fresh token for a login cookie, and the cookie as it is from now on. Raises Failure."""
        page = await self._get(REFRESH, {"cookie": cookie})
        jar = Jar(cookie)
        jar.roll(page.headers.get_list("set-cookie"), _FAMILY)
        return fresh_token(page.content), jar.header

    async def _get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        page = await self.http.request(
            "GET",
            self._base + path,
            headers={"accept": "application/json", "referer": f"{self._base}/", **headers},
            timeouts=self.place.timeouts,
            proxy=self.place.proxy,
        )
        if page.status_code != 200:
            raise failure_of(page.status_code, page.headers, page.content)
        return page

    @property
    def _base(self) -> str:
        given = self.place.base_url
        return (self.url or (given if given and given != HOST else SITE)).rstrip("/")
