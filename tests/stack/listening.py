"""What the official client makes of an answer, beside the bytes that it was made from.

    heard = listen(stack, "hello", model="echo", stream=True)
    heard.text, heard.finish, heard.error, heard.status, heard.headers, heard.wire

Everything that is heard is checked: each body and chunk against OpenAI's published shapes, and that it ends in one of
the ways in which an answer may end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from tests.schema import check_chunk, check_completion, check_error, check_stream
from tests.stack.running import Stack

DONE = b"data: [DONE]\n\n"


@dataclass
class Heard:
    """One answer, whichever way it came."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Name and arguments of each tool call."""
    thoughts: str = ""
    others: list[str] = field(default_factory=list)
    """The texts of the choices after the first."""
    logprobs: list[Any] = field(default_factory=list)
    """The tokens of the first choice, each with its probability."""
    finish: str | None = None
    usage: dict[str, Any] | None = None
    error: openai.APIError | None = None
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    wire: bytes = b""
    """The body as it arrived."""

    @property
    def answer(self) -> tuple[str, list[tuple[str, str]], str | None]:
        """What must not depend on whether it was streamed."""
        return self.text, self.calls, self.finish

    @property
    def code(self) -> str | None:
        """The code of the error that it ended with."""
        return self.error.code if self.error else None


class Tape(httpx.BaseTransport):
    """Passes requests on, and keeps the last answer's status, headers and bytes."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport(verify=False)
        self.response: httpx.Response | None = None
        self.body = b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        self.response, self.body = response, b""
        assert isinstance(response.stream, httpx.SyncByteStream)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Copied(self, response.stream))

    def close(self) -> None:
        self._inner.close()


class _Copied(httpx.SyncByteStream):
    def __init__(self, tape: Tape, stream: httpx.SyncByteStream):
        self._tape = tape
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._tape.body += piece
            yield piece

    def close(self) -> None:
        self._stream.close()


def listen(stack: Stack, text: str | list[Any], *, model: str, stream: bool, **more: Any) -> Heard:
    """Ask with the official client, and hear the answer to its end. `text` may be a list of messages."""
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    ask = {"model": model, "messages": messages, **more}
    heard, tape = Heard(), Tape()
    with httpx.Client(transport=tape, timeout=60, trust_env=False) as http:
        client = stack.client(http_client=http)
        try:
            (_stream if stream else _whole)(client, ask, heard)
        except openai.APIStatusError as refused:
            heard.error = refused
            check_error(refused.response.json())
    assert tape.response is not None
    heard.status, heard.headers, heard.wire = tape.response.status_code, tape.response.headers, tape.body
    _ends_honestly(heard, stream)
    return heard


def _whole(client: openai.OpenAI, ask: dict[str, Any], heard: Heard) -> None:
    said = client.chat.completions.create(**ask)
    body = said.to_dict()
    check_completion(body)
    choice, *others = body["choices"]
    heard.thoughts = choice["message"].get("reasoning_content") or ""
    heard.others = [other["message"]["content"] or "" for other in others]
    heard.logprobs = (choice["logprobs"] or {}).get("content") or []
    heard.text, heard.finish = choice["message"]["content"] or "", choice["finish_reason"]
    heard.calls = [_call(call) for call in choice["message"].get("tool_calls", ())]
    heard.usage = body["usage"]


def _stream(client: openai.OpenAI, ask: dict[str, Any], heard: Heard) -> None:
    options = {"stream_options": {"include_usage": True}}
    chunks: list[dict[str, Any]] = []
    calls: dict[int, dict[str, Any]] = {}
    others: dict[int, str] = {}
    try:
        for chunk in client.chat.completions.create(stream=True, **options, **ask):
            said = chunk.to_dict()
            check_chunk(said)
            chunks.append(said)
            heard.usage = said["usage"]
            for choice in said["choices"]:
                if at := choice["index"]:
                    others[at] = others.get(at, "") + (choice["delta"].get("content") or "")
                    continue
                heard.thoughts += choice["delta"].get("reasoning_content") or ""
                heard.logprobs += (choice["logprobs"] or {}).get("content") or []
                heard.text += choice["delta"].get("content") or ""
                heard.finish = choice["finish_reason"] or heard.finish
                for call in choice["delta"].get("tool_calls", ()):
                    kind = "custom" if "custom" in call else "function"
                    known = calls.setdefault(call["index"], {kind: {}})[kind]
                    for name, piece in call[kind].items():
                        known[name] = known.get(name, "") + piece
    except openai.APIStatusError:
        raise
    except openai.APIError as broken:
        heard.error = broken
    else:
        check_stream(chunks, include_usage=True)
    heard.calls = [_call(call) for _, call in sorted(calls.items())]
    heard.others = [text for _, text in sorted(others.items())]


def _call(call: dict[str, Any]) -> tuple[str, str]:
    if "custom" in call:
        return call["custom"]["name"], call["custom"]["input"]
    return call["function"]["name"], call["function"]["arguments"]


def _ends_honestly(heard: Heard, stream: bool) -> None:
    """A finish reason and `[DONE]`, or an error and neither."""
    if not stream or heard.status != 200:
        assert (heard.error is None) == (heard.status == 200) == (heard.finish is not None)
        return
    assert heard.wire.endswith(DONE) == (heard.error is None), heard.wire[-300:]
    assert DONE not in heard.wire.removesuffix(DONE)
    if heard.error is None:
        assert heard.finish is not None
        return
    *_, last = [line for line in heard.wire.split(b"\n") if line.startswith(b"data: ")]
    check_error(json.loads(last.removeprefix(b"data: ")))
