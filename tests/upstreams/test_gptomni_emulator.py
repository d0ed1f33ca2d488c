"""The stand-in for gptomni has the recorded shapes, counts what it must count, and breaks where it is told to."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.upstreams.gptomni.accounts import OWNER, TOKEN
from tests.upstreams.gptomni.faults import DELIVERIES, NAMES, PAGES
from tests.upstreams.running import Emulator

TEXT = "text/plain;charset=UTF-8"
PATH = "/api/chatWithText"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("gptomni") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def http(upstream: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, trust_env=False, verify=False, timeout=5) as made:
        yield made


def cookie(token: str = "tok-1", more: str = "") -> str:
    return f"NEXT_LOCALE=zh; __Host-next-auth.csrf-token=a%7Cb; {TOKEN}={token}; _ga=GA1.1.1{more}"


def say(http: httpx.Client, prompt: str, token: str = "tok-1", more: str = "", **settings: Any) -> httpx.Response:
    headers = {"content-type": TEXT, "cookie": cookie(token, more)}
    http.cookies.clear()
    return http.post(PATH, content=json.dumps({"prompt": prompt}), headers=headers, **settings)


# --- recorded shapes ----------------------------------------------------------------------------------------------


def test_an_answer_is_raw_text_in_pieces_that_cut_characters(http: httpx.Client) -> None:
    words = "A monad i\u4e2d ok\r\n\n 世界 "
    headers = {"content-type": TEXT, "cookie": cookie()}
    with http.stream("POST", PATH, content=json.dumps({"prompt": words}), headers=headers) as answer:
        pieces = list(answer.iter_raw())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert b"".join(pieces).decode() == words


def raw_exchange(upstream: Emulator, prompt: str) -> tuple[bytes, bytes, str]:
    """Head, body as it travelled, and how the connection ended."""
    content = json.dumps({"prompt": prompt}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nCookie: {cookie()}\r\nContent-Type: {TEXT}\r\nConnection: close\r\n"
    seen, end = bytearray(), "fin"
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as line:
        line.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        try:
            while piece := line.recv(65536):
                seen += piece
        except ConnectionResetError:
            end = "rst"
    said, _, body = bytes(seen).partition(b"\r\n\r\n")
    return said.lower(), body, end


def test_pieces_are_cut_by_bytes(upstream: Emulator) -> None:
    upstream.set(piece=2)
    _, body, _ = raw_exchange(upstream, "中文")
    assert body == b"2\r\n\xe4\xb8\r\n2\r\n\xad\xe6\r\n2\r\n\x96\x87\r\n0\r\n\r\n"


def test_the_three_framings(upstream: Emulator) -> None:
    upstream.set(framing="close")
    head, body, end = raw_exchange(upstream, "中文")
    assert b"transfer-encoding" not in head
    assert b"content-length" not in head
    assert (body.decode(), end) == ("中文", "fin")
    upstream.set(framing="length")
    head, body, end = raw_exchange(upstream, "中文")
    assert b"content-length: 6" in head
    assert (body.decode(), end) == ("中文", "fin")


def test_the_session_probe_tells_who_is_logged_in(http: httpx.Client) -> None:
    known = http.get("/api/auth/session", headers={"cookie": cookie("tok-2")})
    assert known.json()["user"]["name"] == "tok-2"
    assert known.json()["expires"].endswith(".000Z")
    unknown = http.get("/api/auth/session", headers={"cookie": cookie("gone")})
    assert (unknown.status_code, unknown.json()) == (200, {})
    assert set(http.get("/api/auth/csrf").json()) == {"csrfToken"}
    assert http.get("/zh/login").text.startswith("<!DOCTYPE html>")


def test_directives_work_in_a_prompt_and_at_the_end_of_a_transcript(http: httpx.Client) -> None:
    assert say(http, "!say:two\n\nparagraphs").text == "two\n\nparagraphs"
    assert say(http, "Be brief.\n\nUser: !say:no\nAssistant: no\nUser: !say:yes").text == "yes"
    assert say(http, "User: hello\n\nUser: !say:yes\n\nAssistant:").text == "yes"
    assert say(http, "User: !say:yes\nUser: and now?").text == "User: !say:yes\nUser: and now?"


def test_a_report_tells_what_arrived(http: httpx.Client) -> None:
    told = say(http, "User: !report").json()
    assert told["prompt"] == "User: !report"
    assert told["account"] == "tok-1"
    assert told["cookies"]["NEXT_LOCALE"] == "zh"
    assert told["headers"]["content-type"] == TEXT


# --- who may ask --------------------------------------------------------------------------------------------------


def test_a_token_may_come_in_parts(http: httpx.Client) -> None:
    headers = {"content-type": TEXT, "cookie": f"{TOKEN}.1=-1; {TOKEN}.0=tok"}
    assert http.post(PATH, content='{"prompt":"hi"}', headers=headers).text == "hi"


@pytest.mark.parametrize(
    ("kind", "status", "type_", "start"),
    [
        ("401", 401, "application/json", '{"error"'),
        ("401_empty", 401, None, ""),
        ("403", 403, "application/json", '{"error"'),
        ("redirect", 302, None, ""),
        ("json_200", 200, "application/json", '{"error"'),
        ("html_200", 200, "text/html; charset=UTF-8", "<!DOCTYPE html>"),
    ],
)
def test_a_dead_cookie_is_answered_in_each_way(
    http: httpx.Client, upstream: Emulator, kind: str, status: int, type_: str | None, start: str
) -> None:
    upstream.set(bad_cookie=kind)
    answer = say(http, "hi", "gone")
    assert (answer.status_code, answer.headers.get("content-type")) == (status, type_)
    assert answer.text.startswith(start)
    if kind == "redirect":
        assert answer.headers["location"].startswith("/zh/login")
        assert "<html" in say(http, "hi", "gone", follow_redirects=True).text


def test_strict_mode_takes_only_the_browsers_shape(http: httpx.Client, upstream: Emulator) -> None:
    right = {"content-type": TEXT, "cookie": cookie()}
    assert http.post(PATH, json={"prompt": "hi"}, headers={"cookie": cookie()}).status_code == 415
    for body in ('{"prompt":["hi"]}', '{"prompt":"hi","model":"x"}', "hi", "{}"):
        assert http.post(PATH, content=body, headers=right).status_code == 400
    upstream.set(strict=False)
    assert http.post(PATH, json={"prompt": "hi", "model": "x"}, headers={"cookie": cookie()}).text == "hi"


def test_a_cookie_expires_and_an_account_is_paced(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(expire_after={"tok-1": 2})
    assert [say(http, "hi").status_code for _ in range(3)] == [200, 200, 401]
    upstream.reset()
    upstream.set(rate={"requests": 2, "seconds": 30})
    assert [say(http, "hi").status_code for _ in range(3)] == [200, 200, 429]
    assert say(http, "hi").headers["retry-after"] == "30"
    assert say(http, "hi", "tok-2").status_code == 200


def test_tokens_roll(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(roll_every=2)
    assert "set-cookie" not in say(http, "hi").headers
    second = say(http, "hi")
    assert (second.cookies[TOKEN], second.cookies[OWNER]) == ("tok-1~1", "tok-1")
    assert [say(http, "hi", token).status_code for token in ("tok-1~1", "tok-1~9")] == [200, 401]
    upstream.set(roll_every=0, roll_replaces=True)
    assert [say(http, "hi", token).status_code for token in ("tok-1", "tok-1~1")] == [401, 200]
    assert upstream.stats()["tokens"] == {"tok-1": "tok-1~1"}


def test_a_shared_jar_is_found_out(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("roll", credential="tok-1")
    assert say(http, "hi", "tok-1", more=f"; {OWNER}=tok-1").status_code == 200
    assert upstream.stats()["leaks"] == []
    say(http, "hi", "tok-2", more=f"; {OWNER}=tok-1")
    assert [leak["accounts"] for leak in upstream.stats()["leaks"]] == [["tok-1", "tok-2"]]
    # The source project's way: one account's redirect is followed with the jar that another one filled.
    upstream.fault("redirect_login", credential="tok-2")
    target = say(http, "hi", "tok-2").headers["location"]
    http.get(target, headers={"cookie": cookie("tok-1~1")})
    stats = upstream.stats()
    assert stats["leaks"][-1]["accounts"] == ["tok-1", "tok-2"]
    assert stats["counts"]["leak"] == 2


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_comes_instead_of_an_answer(http: httpx.Client, upstream: Emulator, name: str) -> None:
    upstream.fault(name, retry_after=7)
    answer = say(http, "steady words")
    page = PAGES[name]
    assert (answer.status_code, answer.text) == (page.status, page.content.decode())
    assert answer.headers.get("content-type", "") == page.content_type
    assert answer.headers["retry-after"] == "7"
    if name.startswith("cloudflare_") and name != "cloudflare_block":
        assert (answer.headers["server"], answer.headers["cf-mitigated"]) == ("cloudflare", "challenge")
        assert "Just a moment..." in answer.text
    assert say(http, "steady words").text == "steady words"


BYTES = {
    "empty": b"",
    "whitespace": b" \n\t\r\n",
    "invalid_utf8": "中".encode() + b"\xff\xc3\x28" + "文".encode(),
    "half_character": "中文".encode() + b"\xe4\xb8",
    "bom": b"\xef\xbb\xbf" + "中文".encode(),
    "json_text": b'{"error": "is a word", "answer": 42}',
    "bytewise": "中文".encode(),
    "slow_drip": "中文".encode(),
    "gzip": "中文".encode(),
    "close_delimited": "中文".encode(),
    "fixed_length": "中文".encode(),
    "no_content_type": "中文".encode(),
    "event_stream_type": "中文".encode(),
    "roll": "中文".encode(),
}


@pytest.mark.parametrize("name", BYTES)
def test_an_answer_has_these_bytes(http: httpx.Client, upstream: Emulator, name: str) -> None:
    upstream.fault(name)
    answer = say(http, "中文")
    assert (answer.status_code, answer.content) == (200, BYTES[name])
    types = {"no_content_type": None, "event_stream_type": "text/event-stream"}
    assert answer.headers.get("content-type") == types.get(name, "text/plain; charset=utf-8")
    assert ("content-encoding" in answer.headers) == (name == "gzip")


def test_every_fault_is_tried_somewhere_here() -> None:
    assert set(NAMES) == {*PAGES, *BYTES, *DELIVERIES, "raw", "long"}


def test_an_answer_can_be_very_long_or_any_bytes(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(piece=65536)
    upstream.fault("long", bytes=1 << 20)
    assert len(say(http, "hi").content) == 1 << 20
    upstream.fault("raw", hex="e4b8")
    assert say(http, "hi").content == b"\xe4\xb8"


@pytest.mark.parametrize("count", [0, 1, 4, 10])
def test_a_broken_body_stops_after_so_many_bytes(upstream: Emulator, count: int) -> None:
    upstream.set(framing="close")
    for name, ended in (("reset", "rst"), ("cut", "fin")):
        upstream.fault(name, bytes=count)
        _, body, end = raw_exchange(upstream, "twelve bytes")
        assert (body, end) == (b"twelve bytes"[:count], ended)
    upstream.set(framing="chunked")
    upstream.fault("cut", bytes=count)
    assert not raw_exchange(upstream, "twelve bytes")[1].endswith(b"0\r\n\r\n")
    upstream.set(framing="length")
    upstream.fault("cut", bytes=count)
    head, body, _ = raw_exchange(upstream, "twelve bytes")
    assert b"content-length: 12" in head
    assert len(body) == count
    assert upstream.stats()["hangups"] == []


def test_silence_before_the_head_and_in_the_middle(http: httpx.Client, upstream: Emulator) -> None:
    for name, sent in (("hang", 0), ("stall", 5)):
        upstream.reset()
        upstream.fault(name, bytes=5)
        with pytest.raises(httpx.ReadTimeout):
            say(http, "twelve bytes", timeout=0.2)
        assert upstream.until(lambda stats: stats["hangups"])["hangups"][0]["sent"] == sent
    upstream.fault("slow_first_byte", seconds=0.2)
    started = time.monotonic()
    assert say(http, "hi").text == "hi"
    assert time.monotonic() - started > 0.2


# --- what is counted ----------------------------------------------------------------------------------------------


def test_a_hang_up_is_noticed_at_once(http: httpx.Client, upstream: Emulator) -> None:
    headers = {"content-type": TEXT, "cookie": cookie()}
    body = json.dumps({"prompt": "!slow:50:" + "word " * 100})
    with http.stream("POST", PATH, content=body, headers=headers) as answer:
        next(answer.iter_raw())
        closed = time.time()
    (hangup,) = upstream.until(lambda stats: stats["hangups"])["hangups"]
    assert hangup["at"] - closed < 0.1
    assert (hangup["account"], hangup["route"]) == ("tok-1", "chat")
    assert hangup["sent"] > 0


async def test_requests_and_concurrency_are_counted_per_cookie(upstream: Emulator) -> None:
    async with httpx.AsyncClient(base_url=upstream.url, trust_env=False, verify=False) as client:

        async def ask(token: str) -> None:
            headers = {"content-type": TEXT, "cookie": cookie(token)}
            await client.post(PATH, content='{"prompt":"!slow:30:some more words"}', headers=headers)

        started = time.time()
        await asyncio.gather(*(ask("tok-1") for _ in range(3)), ask("tok-2"))
    rows = upstream.stats()["credentials"]
    assert {name: (row["requests"], row["most"], row["now"]) for name, row in rows.items()} == {
        "tok-1": (3, 3, 0),
        "tok-2": (1, 1, 0),
    }
    assert all(started <= at <= time.time() for at in rows["tok-1"]["at"])
