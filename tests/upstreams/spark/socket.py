"""One signed socket: a handshake, one question, its frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import traceback
from collections.abc import Iterator
from typing import Any

from aiohttp import WSMsgType, web

from ..asked import headers_of
from ..delivery import FOREVER
from ..stage import Fault, reset_connection
from . import rules, signature
from .answer import Answer, answer, usage
from .desk import Desk
from .faults import ENDS, HANDSHAKE, TWISTS
from .settings import Application
from .versions import PATHS, Version

_TEXT, _CONTINUED, _LAST = 0x01, 0x00, 0x80


class Socket:
    """Every connection; a question is answered beside the reading, so that a hang-up is seen at once."""

    def __init__(self, desk: Desk):
        self._desk = desk

    async def open(self, request: web.Request) -> web.StreamResponse:
        """One connection, until somebody closes it."""
        desk, query = self._desk, request.query
        application = signature.application_of(query, desk.settings)
        who = application.app_id if application else ""
        desk.stage.note("socket", credential=who, path=request.path, query=dict(query), headers=headers_of(request))
        fault = desk.stage.fault(f"socket{request.path}", who, HANDSHAKE)
        if fault is not None and (instead := await self._instead(fault, request)) is not None:
            return instead
        why = signature.complaint(request.path, query, desk.settings)
        if why is not None or application is None:
            return self._refused(why or "no_credential")
        ws = web.WebSocketResponse(timeout=0.2, receive_timeout=desk.settings.idle, autoping=True)
        with desk.visits.of(who, request):
            await ws.prepare(request)
            await _Talk(desk, request, ws, PATHS[request.path], application).listen()
        return ws

    async def _instead(self, fault: Fault, request: web.Request) -> web.Response | None:
        params = fault.params
        if fault.name == "reset":
            reset_connection(request)
            return web.Response(status=500)  # never seen: there is no connection left
        if fault.name in ("slow", "hang"):
            await asyncio.sleep(params.get("seconds", 1.0) if fault.name == "slow" else FOREVER)
            return None
        if fault.name == "refuse":
            headers = {"Retry-After": str(params["retry_after"])} if "retry_after" in params else {}
            kind, _, more = params.get("content_type", "application/json").partition(";")
            del more
            text = params.get("text", '{"message":"no"}')
            return web.Response(status=params["status"], text=text, content_type=kind, headers=headers)
        return self._refused(fault.name)

    def _refused(self, why: str) -> web.Response:
        status, words = signature.WORDS[why]
        self._desk.stage.counts[f"status:{status}"] += 1
        headers = {"Date": self._desk.date()}
        return web.json_response({"message": words}, status=status, headers=headers)


class _Talk:
    """What is said on one socket."""

    def __init__(
        self,
        desk: Desk,
        request: web.Request,
        ws: web.WebSocketResponse,
        version: Version,
        application: Application,
    ):
        self._desk = desk
        self._request = request
        self._ws = ws
        self._version = version
        self._who = application.app_id
        self._application = application
        self._sid = desk.sid("cht")
        self._sent = 0
        self._ended = False
        self._fault: Fault | None = None

    async def listen(self) -> None:
        """The first message is the question; a second one is one too many."""
        answering: asyncio.Task[None] | None = None
        try:
            async for message in self._ws:
                if message.type is not WSMsgType.TEXT:
                    continue
                if answering is None:
                    answering = asyncio.ensure_future(self._take(message.data))
                else:
                    self._desk.stage.counts["second_question"] += 1
                    await self._error(10007, "the previous answer is not finished")
                    await self._ws.close()
        except TimeoutError:
            await self._ws.close()  # nobody asked anything in time
        finally:
            if answering is not None:
                if not self._ended:
                    self._desk.stage.hung_up(
                        credential=self._who, route="socket", sent=self._sent, close_code=self._ws.close_code
                    )
                answering.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await answering

    async def _take(self, text: str) -> None:
        """Answer, and let no slip of the stand-in pass for silence of the service."""
        try:
            await self._answer(text)
        except ConnectionError:
            pass  # the client left
        except Exception as slip:
            traceback.print_exc()
            self._desk.stage.note("slip", why=repr(slip))
            await self._ws.close(code=1011)

    async def _answer(self, text: str) -> None:
        desk = self._desk
        try:
            frame = json.loads(text)
        except ValueError:
            frame = None
        desk.stage.note("question", credential=self._who, path=self._request.path, frame=frame)
        try:
            fault = self._fault = desk.stage.fault("question", self._who, (*ENDS, *TWISTS))
            rules.check_frame(frame, self._version, self._application, desk.settings)
            with desk.admitted(self._who, frame["header"].get("uid")):
                await self._tell(frame, fault)
        except rules.Refused as refused:
            desk.stage.counts[f"refused:{refused.code}"] += 1
            await self._error(refused.code, refused.message)
        await asyncio.sleep(desk.settings.linger)
        await self._ws.close()

    async def _tell(self, frame: dict[str, Any], fault: Fault | None) -> None:
        settings, chat = self._desk.settings, frame["parameter"]["chat"]
        texts = [text for text in frame["payload"]["message"]["text"] if text.get("content_type") != "image"]
        said = answer(
            texts,
            settings,
            self._desk.report(self._request, self._who, frame=frame),
            limit=chat.get("max_tokens"),
            functions=(frame["payload"].get("functions") or {}).get("text"),
            searched="tools" in chat or self._has("plugin"),
        )
        if self._has("ping"):
            await self._ws.ping(b"are you there")
        frames = list(self._frames(said, texts))
        after = fault.params.get("frames", 0) if fault is not None and fault.name in ENDS else None
        await asyncio.sleep(settings.first_delay)
        for number, one in enumerate(frames):
            if fault is not None and number == after:
                break
            await asyncio.sleep(settings.piece_delay if said.pace is None else said.pace)
            await self._send(one)
            self._sent += 1
        if fault is not None and after is not None:
            await self._end(fault)
        self._ended = True

    def _frames(self, said: Answer, texts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """All frames of a healthy answer, twisted where it was asked for."""
        bits: list[dict[str, Any]] = [{"content": "", "reasoning_content": piece} for piece in said.thoughts]
        bits += [{"content": piece} for piece in said.pieces]
        if said.thoughts:
            bits = [{"reasoning_content": "", **bit} for bit in bits]
        for name, arguments in said.calls[:1]:  # the service never makes a second one
            call = {"content_type": "text", "function_call": {"name": name, "arguments": arguments}}
            bits.append(call if self._has("no_content") else {"content": "", **call})
        if self._has("single"):
            bits = [{"content": "".join(said.pieces)}]
        if self._has("empty") or not bits:
            bits = [{"content": ""}]
        if said.plugin:
            found = {
                "name": "ifly_search",
                "content": "[]",
                "content_type": "text",
                "role": "tool",
                "status": "finished",
            }
            yield self._frame(0, {"plugins": {"text": [{**found, "invoked": {"namespace": "ifly_search"}}]}})
        if self._has("empty_list"):
            yield self._frame(0, {"choices": {"status": 0, "seq": 0, "text": []}})
        for seq, bit in enumerate(bits):
            last = seq == len(bits) - 1
            status = 2 if last else min(seq, 1)
            text = {**bit, "role": "assistant", "index": 0}
            payload: dict[str, Any] = {"choices": {"status": status, "seq": seq, "text": [text]}}
            if last and not self._has("no_usage"):
                payload["usage"] = {"text": usage(texts, said)}
            if last and self._has("header_status"):
                payload["choices"]["status"] = 1
            yield self._frame(1 if self._has("choices_status") else status, payload)
        if self._has("late"):
            text = {"content": "too late", "role": "assistant", "index": 0}
            yield self._frame(1, {"choices": {"status": 1, "seq": len(bits), "text": [text]}})

    def _frame(self, status: int, payload: dict[str, Any]) -> dict[str, Any]:
        header = {"code": 0, "message": "Success", "sid": self._sid, "status": status}
        if self._has("no_sid"):
            del header["sid"]
        return {"header": header, "payload": payload}

    async def _error(self, code: int, message: str) -> None:
        self._ended = True
        header = {"code": code, "message": message, "sid": self._sid, "status": 2}
        with contextlib.suppress(ConnectionError):
            await self._send({"header": header})

    async def _end(self, fault: Fault) -> None:
        params = fault.params
        match fault.name:
            case "code":
                await self._error(params["code"], params.get("message", f"failed (code={params['code']})"))
            case "not_json":
                await self._ws.send_str('{"header":{"code":0,')
            case "not_utf8":
                self._raw(_LAST | _TEXT, b'{"header":"\xff"}')
            case "close":
                self._ended = True
                await self._ws.close(code=params.get("code", 1000))
            case "stall":
                await asyncio.sleep(FOREVER)
            case "cut":
                self._ended = True
                await asyncio.sleep(0.02)  # what was written before still arrives
                if self._request.transport is not None:
                    self._request.transport.close()
            case "reset":
                self._ended = True
                await asyncio.sleep(0.02)
                reset_connection(self._request)

    async def _send(self, frame: dict[str, Any]) -> None:
        text = json.dumps(frame, ensure_ascii=False)
        if self._has("split"):
            assert self._fault is not None
            size = self._fault.params.get("size", 1)
            data = text.encode()
            for at in range(0, len(data), size):
                last = at + size >= len(data)
                self._raw((_LAST if last else 0) | (_CONTINUED if at else _TEXT), data[at : at + size])
        elif self._has("binary"):
            await self._ws.send_bytes(text.encode())
        else:
            await self._ws.send_str(text)

    def _raw(self, head: int, data: bytes) -> None:
        """A frame as it stands, past the library: it would not cut characters."""
        size = len(data)
        long = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
        if self._request.transport is not None:
            self._request.transport.write(bytes([head]) + long + data)

    def _has(self, name: str) -> bool:
        return self._fault is not None and self._fault.name == name
