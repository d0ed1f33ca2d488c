"""The mirror: tells a caller what of his request arrived here, so that `parley doctor` can judge nginx from outside.

    pieces=3&pause_ms=50    the answer is a stream: the reflection at once, the other pieces after pauses
    plain=1                 of a length that is known, and nobody is told not to buffer it
    about=NAME              what became of the request so named (x-parley-doctor), if it came to this gateway
    broken_at=REPLICA       that gateway closes the connection without a word, as if it had died

It tells nothing that its caller, who has a key, did not send or may not know: names of headers, and values only of
those that nginx writes. What it costs is bounded: few streams at a time, few broken connections (nginx rests a gateway
after ten in a second), and a memory of the last requests alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextlib import suppress
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.parts import Parts
from parley.clock import monotonic
from parley.doctor.reflection import PATH, TRIAL, Reflection, Visit
from parley.errors import BadRequest, LimitReached, TooLarge

_SHOWN: Final = frozenset(
    {"connection", "host", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x-request-id", TRIAL}
)
_MOST_PIECES: Final = 100
_LONGEST: Final = 600_000  # milliseconds
_MOST_STREAMS: Final = 64
_MOST_BREAKS, _BREAKS_WITHIN = 4, 5.0
_REMEMBERED: Final = 256
_LONGEST_VALUE: Final = 400

_encode = msgspec.json.Encoder().encode


def mirror() -> APIRouter:
    """The route, with a memory of its own. Whoever includes it asks for a key."""
    visits = Visits()

    async def look(request: Request) -> Response:
        """Tell what arrived."""
        return await _look(request, visits)

    router = APIRouter()
    router.add_api_route(PATH, look, methods=["GET", "POST"], include_in_schema=False)
    return router


class Visits:
    """The last requests that came, by their names, and how many connections were broken lately."""

    def __init__(self) -> None:
        self.streams = 0
        self._known: OrderedDict[str, Visit] = OrderedDict()
        self._breaks: deque[float] = deque(maxlen=_MOST_BREAKS)

    def about(self, name: str) -> Visit | None:
        """What became of a request."""
        return self._known.get(name)

    def arrived(self, name: str) -> None:
        """A request came, for the first time or again."""
        before = self._known.pop(name, Visit(0))
        self._known[name] = Visit(before.arrivals + 1)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def hung_up(self, name: str) -> None:
        """Its caller left before the end."""
        if before := self._known.get(name):
            self._known[name] = Visit(before.arrivals, hung_up=True)

    def may_break(self) -> bool:
        """Whether one more connection may be broken now; if so, it counts."""
        now = monotonic()
        if len(self._breaks) == _MOST_BREAKS and now - self._breaks[0] < _BREAKS_WITHIN:
            return False
        self._breaks.append(now)
        return True


async def _look(request: Request, visits: Visits) -> Response:
    parts: Parts = request.scope["state"]["parts"]
    # A name of its own: the id of a request may be what nginx gets wrong.
    name = request.headers.get(TRIAL, "")[:_LONGEST_VALUE]
    pieces, pause = _number(request, "pieces", _MOST_PIECES), _number(request, "pause_ms", _LONGEST)
    if pieces * pause > _LONGEST:
        raise BadRequest(f"A stream may last {_LONGEST} ms here.", param="pause_ms", code="invalid_value")
    began = monotonic()
    size = await _size(request, parts.settings.max_body_mb)
    seconds = monotonic() - began
    if name:
        visits.arrived(name)
    spared = False
    if request.query_params.get("broken_at") == parts.health.replica:
        if visits.may_break():
            await _break(request)
            return Response()  # nobody hears it
        spared = True
    state = parts.health.status()
    living = state["processes"] if state["redis"]["status"] == "ok" else ()
    reflection = _encode(
        Reflection(
            replica=parts.health.replica,
            replicas=tuple(name for name in living if name.startswith("gateway-")),
            peer="{}:{}".format(*(request.scope["client"] or ("", 0))),
            http_version=request.scope["http_version"],
            names=tuple(sorted(set(request.headers.keys()))),
            values={name: value[:_LONGEST_VALUE] for name, value in request.headers.items() if name in _SHOWN},
            client=parts.visitors.address(request.scope["headers"]),
            body_bytes=size,
            body_seconds=round(seconds, 4),
            max_body_mb=parts.settings.max_body_mb,
            total_seconds=parts.settings.total_seconds,
            about=visits.about(request.query_params.get("about", "")),
            spared=spared,
        )
    )
    if not pieces:
        return Response(reflection, media_type="application/json")
    return Paced(reflection, pieces, pause / 1000, visits, name, plain="plain" in request.query_params)


class Paced(Response):
    """A stream with pauses, which notices when its reader leaves, also while it says nothing."""

    media_type = "text/event-stream"

    def __init__(self, reflection: bytes, pieces: int, pause: float, visits: Visits, name: str, *, plain: bool) -> None:
        if visits.streams >= _MOST_STREAMS:
            raise LimitReached(f"{_MOST_STREAMS} streams of the mirror are under way at this gateway.", retry_after=1)
        super().__init__(None, headers={"cache-control": "no-cache"})
        self._frames = [b"data: %b\n\n" % (b'{"piece":%d}' % n if n else reflection) for n in range(pieces)]
        if plain:
            # nginx holds this back until it fills a buffer, if it may. What comes in chunks, it does not.
            self.headers["content-length"] = str(sum(map(len, self._frames)))
        else:
            self.headers["x-accel-buffering"] = "no"
            del self.headers["content-length"]
        self._pause = pause
        self._visits = visits
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        self._visits.streams += 1
        left = asyncio.create_task(_until_left(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            for last, frame in zip([*[False] * (len(self._frames) - 1), True], self._frames, strict=True):
                await send({"type": "http.response.body", "body": frame, "more_body": not last})
                if not last and (await asyncio.wait((left,), timeout=self._pause))[0]:
                    self._visits.hung_up(self._name)
                    return
        finally:
            self._visits.streams -= 1
            left.cancel()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break(request: Request) -> None:
    """Close the connection without an answer. ASGI has no word for it; uvicorn's own request has."""
    cycle = getattr(request.receive, "__self__", None)
    assert isinstance(cycle, RequestResponseCycle)  # noqa: S101  # gateway.protocol is built on it
    cycle.transport.close()
    await _until_left(request.receive)


async def _size(request: Request, megabytes: int) -> int:
    """Bytes of the body, which is read and forgotten. Raises TooLarge."""
    size = 0
    with suppress(ClientDisconnect):  # what came until then counts; nobody hears of it
        async for part in request.stream():
            size += len(part)
            if size > megabytes * 2**20:
                raise TooLarge(f"The request is larger than {megabytes} MB, which is the limit here (MAX_BODY_MB).")
    return size


def _number(request: Request, name: str, most: int) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) > most:
        raise BadRequest(f"'{name}' must be a number from 0 to {most}.", param=name, code="invalid_value")
    return int(text)
