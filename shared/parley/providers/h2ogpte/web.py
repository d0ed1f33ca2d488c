"""Door A of h2oGPTe: the web session of a guest or of a signed-in browser, and the calls that the page makes.

This rides a web session: it is off until an operator supplies one, or switches guest access on. A cookie and its CSRF
token are one thing; they come together from `bootstrap` and are never mixed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from parley.clock import looks, monotonic
from parley.dialects import h2ogpte as dialect
from parley.dialects.challenge import is_page
from parley.dialects.cookies import Jar
from parley.errors import CredentialExpired, CredentialRejected, Failure, SessionLost, UpstreamBroken, UpstreamMalformed
from parley.leases import Credential, Renewal
from parley.providers.h2ogpte.bootstrap import COOKIE, SignedIn, bootstrap
from parley.providers.h2ogpte.options import Options
from parley.providers.h2ogpte.refusals import refusal
from parley.providers.h2ogpte.site import Site, parsed
from parley.sealed import Secret

_DELETE_SECONDS: Final = 20.0
_PAGE: Final = 100
_MOST_PAGES: Final = 20
_HELPED_WITHIN: Final = 120.0
_NAMED: Final = ("id", "base_model", "display_name", "name")


class Doubts:
    """Credentials that were forbidden something, until a call of theirs succeeds.

    A wrong CSRF token and a missing right look alike (403, or a page). The first is cured by renewing; where a renewal
    just did not help, it is the second, and renewing for every request would only hammer the page.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, float]] = {}

    def forbidden(self, credential: Credential) -> bool:
        """Note it; True when this credential was renewed for one a moment ago."""
        generation, when = self._since.pop(credential.id, (credential.generation, 0.0))
        helpless = generation + 1 == credential.generation and monotonic() - when < _HELPED_WITHIN
        if not helpless:
            self._since[credential.id] = (credential.generation, monotonic())
        return helpless

    def succeeded(self, credential: Credential) -> None:
        """A call went through."""
        self._since.pop(credential.id, None)


@dataclass(frozen=True, slots=True)
class Web:
    """One web session at one place."""

    site: Site
    credential: Credential
    options: Options
    doubts: Doubts

    @property
    def cookie(self) -> str:
        """The session cookie's value, whether it was pasted alone or with its name and neighbours."""
        pasted = self.credential.part("cookie").strip()
        return Jar(pasted)[COOKIE] or pasted

    @property
    def handshake(self) -> Mapping[str, str]:
        """The socket wants no CSRF token."""
        return {
            "cookie": f"{COOKIE}={self.cookie}",
            "origin": self.site.origin,
            "user-agent": self.options.user_agent,
        }

    @property
    def _headers(self) -> Mapping[str, str]:
        return {**self.handshake, "accept": "*/*", "x-csrf-token": self.credential.part("csrf")}

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What an answer without success means."""
        failure = refusal(status, headers, body, keyed=False)
        if status != 401 and isinstance(failure, CredentialExpired) and self.doubts.forbidden(self.credential):
            return CredentialRejected(f"{failure.message} Renewing it did not help.", upstream_status=status)
        return failure

    async def renew(self) -> Renewal:
        """Sign in again: the same account for a login, at best the same for a guest."""
        known = self.credential.part("user_id")
        found = await bootstrap(self.site, self.cookie, self.options.user_agent)
        if not found.user_id or (found.guest is None and not self.credential.guest and not known):
            found = await self._identified(found)
        if not self.credential.guest and (found.guest or (known and found.user_id and found.user_id != known)):
            raise CredentialRejected("The sign-in is over: the upstream takes the browser for somebody else now.")
        parts = {"cookie": found.cookie, "csrf": found.csrf, "user_id": found.user_id, "username": found.username}
        return Renewal(
            {name: Secret(text) for name, text in parts.items() if text},
            same_account=not (known and found.user_id and found.user_id != known),
        )

    async def _identified(self, found: SignedIn) -> SignedIn:
        """Ask who we are, where the page left it open; a server that does not tell leaves it open."""
        headers = {"cookie": f"{COOKIE}={found.cookie}", "user-agent": self.options.user_agent, "accept": "*/*"}
        response = await self.site.call("GET", "/rpc/meta", headers)
        try:
            meta = parsed(response) if response.status_code == 200 else {}
        except UpstreamMalformed:
            meta = {}
        if not isinstance(meta, dict):
            return found
        guest = meta.get("is_guest")
        return SignedIn(
            found.cookie,
            found.csrf,
            found.user_id or str(meta.get("user_id") or ""),
            found.username or str(meta.get("username") or ""),
            guest if isinstance(guest, bool) else found.guest,
        )

    async def create(self) -> str:
        """Open a chat session in the workspace of this account, with the operator's template if it is a login."""
        workspace = self.options.guest_workspace if self.credential.guest else self.options.workspace
        made = await self._db("create_chat_session", None, *([workspace] if workspace else []))
        session = made.get("id") if isinstance(made, dict) and not made.get("error") else made
        if isinstance(made, dict) and made.get("error"):
            raise dialect.failure(str(made["error"]))
        if not isinstance(session, str) or not session:
            raise UpstreamMalformed("The upstream made a chat session without an id.")
        if self.options.prompt_template and not self.credential.guest:
            try:
                await self._bind(session, self.options.prompt_template)
            except BaseException:
                await self._discard(session)
                raise
        return session

    async def _bind(self, session: str, template: str) -> None:
        bound = await self._db("set_chat_session_prompt_template", session, template)
        if isinstance(bound, dict) and bound.get("error"):
            raise UpstreamBroken(f"The upstream does not take the prompt template: {str(bound['error'])[:200]}")

    async def _discard(self, session: str) -> None:
        try:
            await self._start_deleting([session])
        except Failure:
            return  # the session is found and deleted as an orphan where that is ours to do; the cause matters more

    async def delete(self, sessions: list[str]) -> None:
        """Start the job and look after it until it is over."""
        job = await self._start_deleting(sessions)
        async for _ in looks(_DELETE_SECONDS):
            found = await self._rpc("job", [".Get", {"job_id": job}, str(uuid.uuid4())])
            state = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None
            if state is None:  # finished jobs may be forgotten
                return await self._be_gone(sessions)
            if state.get("completed") or state.get("canceled") or state.get("errors"):
                if state.get("canceled") or state.get("errors") or float(state.get("failed") or 0) > 0:
                    raise UpstreamBroken("The upstream failed to delete chat sessions.")
                return None
        raise UpstreamBroken("The upstream did not delete chat sessions in time.")

    async def _start_deleting(self, sessions: list[str]) -> str:
        params = {"name": "Deleting Chat Sessions", "chat_session_ids": sessions}
        job = await self._rpc("job", ["q:crawl_quick.DeleteChatSessionsJob", params])
        if not isinstance(job, dict) or job.get("error") or not job.get("id"):
            raise UpstreamBroken("The upstream does not take the job to delete chat sessions.")
        return str(job["id"])

    async def _be_gone(self, sessions: list[str]) -> None:
        for session in sessions:
            try:
                await self._db("get_chat_session", session)
            except SessionLost:
                continue
            raise UpstreamBroken("The upstream forgot the job to delete chat sessions, but not the sessions.")

    async def recent(self) -> list[str]:
        """All pages of the list."""
        ids: list[str] = []
        for number in range(_MOST_PAGES):
            page = await self._db("list_recent_chat_sessions", number * _PAGE, _PAGE)
            if not isinstance(page, list):
                raise UpstreamMalformed("The upstream's list of chat sessions is not a list.")
            ids += [one["id"] for one in page if isinstance(one, dict) and isinstance(one.get("id"), str)]
            if len(page) < _PAGE:
                break
        return ids

    async def messages(self, session: str) -> Any:
        """The last four: enough for one question and its answer."""
        return await self._db("list_chat_messages_full", session, 0, 4)

    async def statistics(self, answer: str) -> Any:
        """What is stored with the answer."""
        return await self._db("list_chat_message_meta_part", answer, "usage_stats")

    async def stop(self, question: str) -> None:
        """The newer REST call, which takes the web session too; older servers do not know it."""
        await self.site.call("POST", f"/api/v1/messages/{quote(question, safe='')}/stop", self._headers)

    async def probe(self) -> None:
        """Ask the service who we are."""
        response = await self.site.call("GET", "/rpc/meta", self._headers)
        meta = self._result(response)
        known = self.credential.part("user_id")
        if not isinstance(meta, dict):
            raise UpstreamMalformed("The upstream does not tell who we are.")
        stranger = bool(known and meta.get("user_id") and meta["user_id"] != known)
        if stranger or (meta.get("is_guest") is True and not self.credential.guest):
            raise (CredentialExpired if self.credential.guest else CredentialRejected)("The sign-in is over.")

    async def models(self) -> list[str]:
        """The names under `get_llms`."""
        told = await self._rpc("lang", {"method": "get_llms", "params": {}})
        result = told.get("result") if isinstance(told, dict) else None
        if isinstance(result, dict) and result.get("error"):
            raise dialect.failure(str(result["error"]))
        return names(result)

    async def _db(self, method: str, *arguments: Any) -> Any:
        return await self._rpc("db", [method, *arguments])

    async def _rpc(self, kind: str, body: Any) -> Any:
        return self._result(await self.site.call("POST", f"/rpc/{kind}", self._headers, body))

    def _result(self, response: Any) -> Any:
        status, headers, body = response.status_code, response.headers, response.content
        if status != 200 or is_page(headers.get("content-type", ""), body):
            raise self.refusal(status, headers, body)
        self.doubts.succeeded(self.credential)
        return parsed(response)


def names(listed: Any) -> list[str]:
    """Model ids of a list of names or of records. Raises UpstreamMalformed when there are none."""
    found: list[str] = []
    for one in listed if isinstance(listed, list) else []:
        told = [one.get(key) for key in _NAMED] if isinstance(one, dict) else [one]
        found += [name for name in told if isinstance(name, str) and name][:1]
    if not found:
        raise UpstreamMalformed("The upstream lists no models.")
    return found
