"""What the doctor says where there is no Parley: one sentence, and no more questions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from parley.doctor import Report, examine
from parley.sealed import Secret


@asynccontextmanager
async def somebody(*answers: tuple[int, str]) -> AsyncIterator[str]:
    """Answers one request per connection, in this order, with a status and a body."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if left:
            status, body = left.pop(0)
            head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write((head + body).encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert not left, "the doctor did not ask so often"


def only(report: Report) -> str:
    assert report.verdict == "fault"
    [found] = [check for check in report.checks if check.verdict == "fault"]
    assert report.checks[-1] is found
    return found.sentence


@pytest.mark.parametrize("said", ["<html>Welcome to nginx!</html>", '{"status": "UP"}', "[]", ""])
async def test_somebody_else_is_told_from_parley(said: str) -> None:
    async with somebody((200, said)) as url:
        assert "it is not Parley" in only(await examine(url, Secret("key")))


async def test_whoever_hangs_up_is_nobody() -> None:
    async with somebody() as url:
        assert only(await examine(url)).startswith(f"Nobody answers at {url}: ")


HEALTH = json.dumps({"status": "ok", "replica": "gateway-1", "version": "0.1.0", "authentication": "key"})


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            401,
            '{"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}}',
            "not accepted: Incorrect",
        ),
        (404, '{"error": {"message": "Invalid URL", "code": "unknown_url"}}', "older than the doctor"),
        (429, '{"error": {"message": "Too many wrong keys.", "code": "rate_limit_exceeded"}}', "Too many wrong keys"),
        (200, "hello", "no mirror of Parley's"),
    ],
)
async def test_a_key_that_does_not_open_is_the_last_that_is_tried(status: int, body: str, sentence: str) -> None:
    async with somebody((200, HEALTH), (status, body)) as url:
        report = await examine(url, Secret("sk-canary"))
    assert sentence in only(report)
    assert "canary" not in repr(report)


@pytest.mark.parametrize("key", ["sk-canary\n", "sk canary", "sk-canary-ü"])
async def test_a_key_that_cannot_be_sent_is_not_quoted(key: str) -> None:
    async with somebody((200, HEALTH)) as url:
        report = await examine(url, Secret(key))
    assert "no key has" in only(report)
    assert "canary" not in repr(report)
