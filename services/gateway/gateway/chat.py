"""POST /v1/chat/completions: a plain ASGI object, so that a chunk passes through nothing but the wire.

The answer runs in the request's own task. A watcher waits for the client to hang up and then cancels that task, which
closes every generator down to the upstream's connection at once.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Final, Self

from starlette.types import Receive, Scope, Send

from gateway.accounting import Outcome, Tally
from gateway.delivery import PUT, Delivery, Put, put_nothing
from gateway.parts import Parts
from gateway.routing import Directory
from gateway.wire import stream
from gateway.wire.body import completion
from gateway.wire.failure import frame
from gateway.wire.request import Asked, parse
from parley.catalog import Caller
from parley.chat.answer import Answer
from parley.chat.events import Event
from parley.envelope import JSON, Headers, told, unexpected
from parley.errors import Failure, TooLarge

log = logging.getLogger(__name__)

_MEGABYTE: Final = 1024 * 1024


class HungUp(Exception):  # nothing went wrong: the caller left
    """The client closed the connection before the answer was complete."""


class Chat:
    """The endpoint. All that it needs is in the lifespan's `Parts`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        parts: Parts = scope["state"]["parts"]
        scope["state"]["recorded"] = True  # by the books
        tally = parts.books.open(scope["state"]["request_id"])
        tally.client = parts.visitors.address(scope["headers"])
        exchange = Exchange(parts, tally, send, scope["state"].pop(PUT, put_nothing))
        try:
            async with Watch(receive) as watch:
                snapshot, caller = await parts.enter(scope["headers"], tally.client)
                asked = parse(await _body(scope, receive, parts.settings.max_body_mb))
                watch.begin()
                await exchange.run(asked, snapshot.directory, caller, watch)
        except HungUp:
            exchange.close("hung_up")
        except Failure as failure:
            await exchange.fail(failure)
        except asyncio.CancelledError:
            exchange.close("failed")  # we are being stopped: the socket breaks, which is an honest ending too
            raise
        except Exception as bug:  # the last stop: whatever it is, the caller gets an envelope and we get a traceback
            request_id = exchange.tally.request_id
            log.exception("a request failed unexpectedly", extra={"facts": {"request_id": request_id}}, exc_info=bug)
            await exchange.fail(unexpected(request_id))


class Exchange:
    """One request's answer on its way out, and the tally of it."""

    def __init__(self, parts: Parts, tally: Tally, send: Send, put: Put) -> None:
        self.tally = tally
        self._parts = parts
        self._send = send
        self._put = put
        self._delivery: Delivery | None = None

    async def run(self, asked: Asked, directory: Directory, caller: Caller, watch: Watch) -> None:
        """Answer, streaming or not. Raises Failure."""
        prompt = asked.prompt
        self.tally.caller, self.tally.model, self.tally.stream = caller.name, prompt.model, bool(prompt.stream)
        if prompt.stream:
            await self._stream(asked, directory, caller, watch)
        else:
            await self._whole(asked, directory, caller, watch)
        self.close("done")

    async def fail(self, failure: Failure) -> None:
        """Tell the caller, as a response if none has begun, else inside the stream; then the connection ends."""
        self.tally.failure = failure
        delivery = self._delivery
        if delivery is not None and delivery.begun:
            await delivery.write(frame(failure), last=True)
        else:
            self.tally.status = failure.status
            status, headers, body = told(failure)
            await self._respond(status, headers, body)
        self.close("refused" if failure.blames == "caller" else "failed")

    def close(self, outcome: Outcome) -> None:
        """Write the record."""
        self.tally.close(outcome)
        self._delivery = None  # it refers to us

    async def _whole(self, asked: Asked, directory: Directory, caller: Caller, watch: Watch) -> None:
        model = asked.prompt.model  # as asked: a route may set the upstream's name
        answer = Answer()
        self.tally.say = lambda events: True  # nothing is told before all is said
        async with aclosing(self._parts.converse(directory, asked.prompt, caller, self.tally, answer)) as events:
            async for _ in events:
                pass
        body = completion(answer, model or self._default_model, legacy=asked.legacy)
        watch.end()
        await self._respond(200, [JSON, (b"content-length", b"%d" % len(body))], body)

    async def _stream(self, asked: Asked, directory: Directory, caller: Caller, watch: Watch) -> None:
        prompt = asked.prompt
        delivery = self._delivery = Delivery(self._send, self._stream_headers, self._parts.pulse, self._put)
        options = prompt.stream_options
        frames: stream.Frames | None = None
        model = prompt.model

        def say(events: list[Event]) -> bool:
            return frames is not None and delivery.put(b"".join(map(frames.feed, events)))

        self.tally.say = say
        with self._parts.pulse.watching(delivery):
            said = Answer()
            async with aclosing(self._parts.converse(directory, prompt, caller, self.tally, said)) as events:
                async for event in events:
                    if frames is None:
                        frames = stream.Frames(
                            model or self._default_model,
                            include_usage=bool(options and options.include_usage),
                            legacy=asked.legacy,
                        )
                    if data := frames.feed(event):
                        await delivery.write(data)
            last = (frames or stream.Frames(model)).end()
            watch.end()
            await delivery.write(last, last=True)

    @property
    def _default_model(self) -> str:
        """Who answered, where the caller named nobody."""
        return self.tally.attempts[-1].model if self.tally.attempts else ""

    def _stream_headers(self) -> Headers:
        self.tally.status = 200
        return [*stream.HEADERS, *self.tally.headers()]

    async def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        self.tally.status = status
        headers = [*headers, *self.tally.headers()]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


class Watch:
    """Cancels the current task when the client hangs up, and turns that cancellation into HungUp."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False
        self._over = False

    async def __aenter__(self) -> Self:
        return self

    def begin(self) -> None:
        """Start watching; the body must have been read, because watching reads what comes after it."""
        self._task = asyncio.current_task()
        self._watcher = asyncio.get_running_loop().create_task(self._look_out())

    def end(self) -> None:
        """The answer is complete: from now on a closed connection is none of our business."""
        self._over = True

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None  # how it ends refers to us: without this, only the garbage collector would free both
        if self._gone and self._task is not None and self._task.uncancel() == 0:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # the cancellation may not have been delivered yet
            raise HungUp from problem

    async def _look_out(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._over and self._task is not None:
            self._gone = True
            self._task.cancel()


async def _body(scope: Scope, receive: Receive, megabytes: int) -> bytes:
    """The request's body. Raises TooLarge, as early as the length is known; HungUp when it does not come to an end."""
    most = megabytes * _MEGABYTE
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(megabytes)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(megabytes)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(megabytes: int) -> TooLarge:
    return TooLarge(f"The request is larger than {megabytes} MB, which is the limit here (MAX_BODY_MB).")
