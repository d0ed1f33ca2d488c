"""The front as a client sees it: requests to the mirror of whichever gateway nginx chooses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec

from parley.doctor.reflection import PATH, TRIAL, Reflection
from parley.sealed import Secret

PATIENCE: Final = httpx.Timeout(5)
_STREAM: Final = httpx.Timeout(5, read=15)
NOBODY: Final = "parley-doctor"
"""What stands for a key where none is needed, so that one can see whether it would arrive."""


class CannotTell(Exception):
    """A check has no answer; the sentence says why."""


class Refused(CannotTell):
    """The request was answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"The request was refused with {status}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Seen:
    """One request to the mirror: what the gateway saw of it, and what came back."""

    reflection: Reflection
    headers: httpx.Headers


class Front:
    """A client of one front. `seen` gathers the gateways that answered, `requests` counts what was asked."""

    def __init__(self, url: httpx.URL, key: Secret | None, http: httpx.AsyncClient) -> None:
        self.url = url
        self.address = str(url).rstrip("/")
        self.http = http
        self.requests = 0
        self.seen: set[str] = set()
        self.living: tuple[str, ...] = ()
        """The gateways that live, as the last reflection told; empty: nobody knows."""
        self._key = key

    def on(self, http: httpx.AsyncClient) -> Front:
        """The same front, on other connections; what is seen there is seen here."""
        front = Front(self.url, self._key, http)
        front.seen = self.seen
        return front

    @property
    def authorization(self) -> dict[str, str]:
        """The header with the key."""
        return {"authorization": f"Bearer {self._key.reveal() if self._key else NOBODY}"}

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] = b"",
        keyed: bool = True,
    ) -> httpx.Response:
        """One request, read to its end. Raises httpx.HTTPError."""
        self.requests += 1
        sent = {**(self.authorization if keyed else {}), **(headers or {})}
        return await self.http.request(method, path, headers=sent, params=params, content=content)

    async def mirror(
        self, method: str = "GET", *, headers: Mapping[str, str] | None = None, content: Any = b"", **params: str
    ) -> Seen:
        """What arrived of a request. Raises Refused, CannotTell, httpx.HTTPError."""
        answer = await self.ask(method, PATH, headers=headers, params=params, content=content)
        if answer.status_code != 200:
            raise refusal(answer.status_code, answer.content)
        return Seen(self._read(answer.content), answer.headers)

    @asynccontextmanager
    async def listen(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """A streamed answer; leaving the block before its end hangs up. Raises Refused, httpx.HTTPError."""
        self.requests += 1
        sent = {"accept-encoding": "identity", **self.authorization, **(headers or {})}
        async with self.http.stream(method, path, headers=sent, timeout=_STREAM, **options) as answer:
            if answer.status_code != 200:
                raise refusal(answer.status_code, await answer.aread())
            yield answer

    async def hold(self, seconds: float) -> Held:
        """A stream that says who sends it, and then nothing. Raises Refused, CannotTell, httpx.HTTPError."""
        self.requests += 1
        own = name()
        sent = {"accept-encoding": "identity", TRIAL: own, **self.authorization}
        params = {"pieces": "2", "pause_ms": str(round(seconds * 1000))}
        patience = httpx.Timeout(5, read=seconds + 5)
        request = self.http.build_request("GET", PATH, headers=sent, params=params, timeout=patience)
        answer = await self.http.send(request, stream=True)
        try:
            return await self._held(own, answer)
        except BaseException:
            await answer.aclose()
            raise

    async def _held(self, own: str, answer: httpx.Response) -> Held:
        if answer.status_code != 200:
            raise refusal(answer.status_code, await answer.aread())
        pieces = answer.aiter_raw()
        first = await anext(pieces, b"")
        return Held(own, self._read(first.partition(b"data: ")[2]).replica, answer, pieces)

    def _read(self, text: bytes) -> Reflection:
        try:
            reflection = msgspec.json.decode(text, type=Reflection)
        except msgspec.MsgspecError as problem:
            raise CannotTell(f"What answered at {PATH} is no mirror of Parley's ({problem}).") from problem
        self.seen.add(reflection.replica)
        self.living = reflection.replicas
        return reflection


@dataclass(slots=True)
class Held:
    """A request that is kept under way at a gateway."""

    name: str
    replica: str
    _answer: httpx.Response
    _pieces: AsyncIterator[bytes]

    async def wait(self) -> bool:
        """Wait for the second piece; whether it came."""
        try:
            return bool(await anext(self._pieces, b""))
        except httpx.HTTPError:
            return False

    async def release(self) -> None:
        """Hang up."""
        await self._answer.aclose()


def refusal(status: int, body: bytes) -> Refused:
    """What an answer that is no success says, in OpenAI's envelope or not."""
    try:
        error = json.loads(body)["error"]
        return Refused(status, str(error["code"] or ""), str(error["message"]))
    except (ValueError, TypeError, LookupError):
        return Refused(status, "", "it says no more, and not in the envelope of errors")


def name() -> str:
    """A name for a request, or an id, that is nobody else's."""
    return f"parley-doctor-{uuid4().hex}"
