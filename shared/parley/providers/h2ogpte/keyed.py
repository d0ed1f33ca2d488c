"""Doors B and C of h2oGPTe: an API key. Sessions and the rest over REST, the chat over the same socket as door A."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from parley.clock import looks
from parley.dialects.challenge import is_page
from parley.dialects.h2ogpte import failure
from parley.errors import Failure, UpstreamBroken, UpstreamMalformed
from parley.leases import Credential
from parley.providers.h2ogpte.options import Options
from parley.providers.h2ogpte.refusals import refusal
from parley.providers.h2ogpte.site import Site, parsed
from parley.providers.h2ogpte.web import names

_DELETE_SECONDS: Final = 20.0
_PAGE: Final = 100
_MOST_PAGES: Final = 20


@dataclass(frozen=True, slots=True)
class Keyed:
    """One API key at one place."""

    site: Site
    credential: Credential
    options: Options

    @property
    def handshake(self) -> Mapping[str, str]:
        """The key itself."""
        key = self.credential.part("api_key") or self.credential.part()
        return {"authorization": f"Bearer {key.strip()}"}

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What an answer without success means."""
        return refusal(status, headers, body, keyed=True)

    async def create(self) -> str:
        """Open a chat session in the configured workspace, and bind the configured template."""
        workspace = {"workspace": self.options.workspace} if self.options.workspace else None
        made = await self._rest("POST", "/chats", workspace)
        if isinstance(made, dict) and made.get("error"):
            raise failure(str(made["error"]))
        session = made.get("id") if isinstance(made, dict) else None
        if not isinstance(session, str) or not session:
            raise UpstreamMalformed("The upstream made a chat session without an id.")
        if self.options.prompt_template:
            template = {"prompt_template_id": self.options.prompt_template}
            try:
                await self._rest("PUT", f"/chats/{quote(session, safe='')}/prompt_template", template)
            except BaseException:
                await self._discard(session)
                raise
        return session

    async def _discard(self, session: str) -> None:
        try:
            await self._rest("POST", "/chats/delete_job", {"session_ids": [session]})
        except Failure:
            return  # why the template could not be bound matters more

    async def delete(self, sessions: list[str]) -> None:
        """Start the job and look after it until it is over."""
        job = await self._rest("POST", "/chats/delete_job", {"session_ids": sessions})
        if not isinstance(job, dict) or not job.get("id"):
            raise UpstreamMalformed("The upstream does not take the job to delete chat sessions.")
        path = f"/jobs/{quote(str(job['id']), safe='')}"
        async for _ in looks(_DELETE_SECONDS):
            state = job.get("overall_status") if isinstance(job, dict) else None
            if state == "completed":
                return
            if state in ("failed", "canceled"):
                raise UpstreamBroken("The upstream failed to delete chat sessions.")
            job = await self._rest("GET", path, headers={"x-h2ogpte-internal-poll": "true"})
        raise UpstreamBroken("The upstream did not delete chat sessions in time.")

    async def recent(self) -> list[str]:
        """All pages of the list."""
        ids: list[str] = []
        for number in range(_MOST_PAGES):
            page = await self._rest("GET", f"/chats?offset={number * _PAGE}&limit={_PAGE}")
            if not isinstance(page, list):
                raise UpstreamMalformed("The upstream's list of chat sessions is not a list.")
            ids += [one["id"] for one in page if isinstance(one, dict) and isinstance(one.get("id"), str)]
            if len(page) < _PAGE:
                break
        return ids

    async def messages(self, session: str) -> Any:
        """The last four: enough for one question and its answer."""
        return await self._rest("GET", f"/chats/{quote(session, safe='')}/messages?offset=0&limit=4")

    async def statistics(self, answer: str) -> Any:
        """What is stored with the answer."""
        return await self._rest("GET", f"/messages/{quote(answer, safe='')}/meta?info_type=usage_stats")

    async def stop(self, question: str) -> None:
        """End the answer to this question."""
        await self._rest("POST", f"/messages/{quote(question, safe='')}/stop")

    async def probe(self) -> None:
        """A call that every key may make."""
        await self._rest("GET", "/users/current/roles")

    async def models(self) -> list[str]:
        """The models that this key may use."""
        return names(await self._rest("GET", "/models"))

    async def _rest(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        signed = {"accept": "application/json", **self.handshake, **(headers or {})}
        response = await self.site.call(method, f"/api/v1{path}", signed, body)
        status, said = response.status_code, response.content
        if not 200 <= status < 300 or is_page(response.headers.get("content-type", ""), said):
            raise self.refusal(status, response.headers, said)
        return parsed(response) if said else None
