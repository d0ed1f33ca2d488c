"""The stand-in for h2oGPTe is what its page says: judged by the official clients and the page's recorded shapes."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import aiohttp
import openai
import pytest
from yarl import URL

from tests.upstreams.running import Emulator
from tests.upstreams.vendor import python_with, saw

CLIENTS = Path(__file__).parent / "clients"
GUEST = "workspaces/h2ogpte-guest"
KEY = {"Authorization": "Bearer sk-h2o-test"}
DELETE = "q:crawl_quick.DeleteChatSessionsJob"


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with Emulator("h2ogpte") as emulator:
        yield emulator


@pytest.fixture
def emu(process: Emulator) -> Emulator:
    process.reset()
    return process


class Conf(HTMLParser):
    """The `data-conf` attribute of a page, un-escaped."""

    found: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found = dict(attrs).get("data-conf", self.found)


class Browser:
    """As much of a browser as door A asks for."""

    def __init__(self, emu: Emulator, headers: dict[str, str] | None = None):
        self.url = emu.url
        self.http = aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.conf: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def visit(self, path: str = "/chats") -> Self:
        async with self.http.get(self.url + path) as response:
            parser = Conf()
            parser.feed(await response.text())
        self.conf = json.loads(parser.found) if parser.found else {}
        return self

    async def rpc(self, door: str, call: Any, **headers: str) -> tuple[int, Any]:
        headers = {"x-csrf-token": self.conf.get("csrf_token", ""), **headers}
        async with self.http.post(f"{self.url}/rpc/{door}", json=call, headers=headers) as response:
            return response.status, await response.json()

    async def create(self) -> str:
        status, made = await self.rpc("db", ["create_chat_session", None, GUEST])
        assert status == 200, made
        return str(made["id"])

    @asynccontextmanager
    async def socket(self, session: str | None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        query = f"?currentSessionID={session}" if session else ""
        async with self.http.ws_connect(f"{self.url}/ws{query}", max_msg_size=0, timeout=TIMEOUT) as ws:
            yield ws

    async def ask(self, session: str, body: str = "Say hi", **fields: Any) -> list[dict[str, Any]]:
        async with self.socket(session) as ws:
            await ws.send_json(query(session, body, **fields))
            return frames(await heard(ws))


TIMEOUT = aiohttp.ClientWSTimeout(ws_receive=5, ws_close=1)


def query(session: str, body: str, **fields: Any) -> dict[str, Any]:
    """The query frame of the page."""
    return {
        "t": "cq",
        "mode": "s",
        "session_id": session,
        "correlation_id": str(uuid.uuid4()),
        "body": body,
        "llm": "auto",
        "llm_args": '{"max_new_tokens":1024,"temperature":0.2}',
        "self_reflection_config": "null",
        "rag_config": '{"rag_type":"llm_only"}',
        "include_chat_history": "auto",
        "tags": [],
        "system_prompt": "You are terse.",
        "prompt_template_id": None,
        **fields,
    }


async def heard(ws: aiohttp.ClientWebSocketResponse, seconds: float = 5) -> list[str]:
    """The messages of one answer: up to its end, the server's closing, or long silence."""
    messages: list[str] = []
    while True:
        try:
            message = await ws.receive(timeout=seconds)
        except TimeoutError:
            return messages
        if message.type is aiohttp.WSMsgType.BINARY:
            messages.append(message.data.decode())
        elif message.type is aiohttp.WSMsgType.TEXT:
            messages.append(message.data)
        else:
            return messages
        ends = [line for line in messages[-1].split("\n") if '"t":"c' in line and line.startswith("{")]
        if any('"t":"ce"' in line or ('"t":"ca"' in line and "earlier" not in line) for line in ends):
            return messages


def frames(messages: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for message in messages for line in message.split("\n") if line.strip()]


def kinds(heard: list[dict[str, Any]]) -> list[str]:
    return [frame["t"] for frame in heard]


def said(heard: list[dict[str, Any]]) -> str:
    return "".join(frame["body"] for frame in heard if frame["t"] == "cp")


def last(heard: list[dict[str, Any]]) -> str:
    return str(heard[-1]["body"])


def report(heard: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(last(heard))
    return told


# The official clients


@pytest.mark.timeout(600)  # the first run makes the environment
def test_the_official_client_1_6_is_served_over_rpc_and_socket(emu: Emulator) -> None:
    python_with("h2ogpte16")
    emu.set(version="1.6.10")

    told = saw("h2ogpte16", CLIENTS / "h2ogpte16.py", emu.url)

    assert_common(told)
    assert told["meta"] == "key:sk-h2o-test"
    assert told["model_timeout"] == [
        "SessionError",
        "Remote error: TimeoutError: LLM gpt-4o timed out after 600.0 seconds",
    ]
    assert told["no_such_meta"][0] == "ObjectNotFoundError"
    assert told["templates_gone"] == "completed"
    assert told["stateless"] == "And in French?"
    assert told["sessions"] == [1, [True]]
    assert told["create_error"] == "no more sessions"
    assert told["delete"] == [True, "DeleteChatSessionsJob", ["deleted"]]
    assert told["http_429"][1].startswith("HTTPError[429]: <html>")
    assert told["not_found"].startswith("ObjectNotFoundError")
    stats = emu.stats()
    assert (stats["malformed_requests"], stats["invalid_questions"], stats["sessions"]["live"]) == (0, 0, 0)


@pytest.mark.timeout(600)
def test_the_official_client_1_7_is_served_over_rest_and_socket(emu: Emulator) -> None:
    python_with("h2ogpte17")

    told = saw("h2ogpte17", CLIENTS / "h2ogpte17.py", emu.url)

    assert_common(told)
    assert (told["meta"], told["roles"], told["workspace"]) == (False, ["user"], "workspaces/default")
    assert told["usage_frame"] == [[{"llm": "auto-small", "input_tokens": 13, "output_tokens": 4}]]
    strange = ("batch", "crlf", "unknown_t", "foreign", "duplicate_cr", "only_ca")
    assert told["oddities"] == [f"Nothing wrong with {name}?" for name in strange]
    assert told["rate_limit"] == ["Remote error: Rate limit exceeded", 30]
    assert told["context"][0] == "SessionError"
    assert "maximum context length" in told["context"][1]
    assert told["cp_error"] == ["SessionError", "Remote error: the model went away"]
    assert told["unknown_model"][0] == "SessionError"
    assert told["stopped"].startswith("w1 w2")
    assert len(told["stopped"].split()) < 200
    assert told["stateless"] == [[["Hi", "Hello"]], "gpt-4o", 4]
    assert told["answer_error"] == ["SessionError", "overloaded"]
    assert told["unknown_model_rest"][0] == "ObjectNotFoundError"
    assert (told["completion"]["door"], told["completion"]["llm_args"]) == ("completions", {"temperature": 0.1})
    assert told["sessions"] == [2, ["a copy", None]]
    assert told["delete"] == [True, "DeleteChatSessionsJob", ["deleted", "deleted"]]
    assert told["gone"][0] == "ObjectNotFoundError"
    errors = [told[f"http_{status}"][0] for status in (403, 429, 500, 503)]
    assert errors == ["ForbiddenError", "HTTPError", "InternalServerError", "HTTPError"]
    assert told["handshake_401"][0] == "UnauthorizedError"
    assert told["async"] == "Are you async?"
    stats = emu.stats()
    assert (stats["malformed_requests"], stats["invalid_questions"], stats["sessions"]["live"]) == (0, 0, 0)
    assert (stats["stop_calls"], set(stats["client_versions"])) == (1, {"1.7.5"})


def assert_common(told: dict[str, Any]) -> None:
    """What both clients can see."""
    assert "deepseek-ai/DeepSeek-R1" in told["models"]
    assert told["answer"] == "My name is Ada."
    assert told["pieces"] == ["one two ", "three fo", "ur"]
    assert told["whole"] == "one two three four"
    report = told["report"]
    assert (report["system_prompt"], report["llm"]) == ("Be brief.", "gpt-4o")
    assert report["llm_args"] == {"temperature": 0.5, "max_new_tokens": 500}
    assert report["rag_config"] == {"rag_type": "llm_only"}
    assert report["history"][0] == ["My name is Ada.", "My name is Ada."]
    assert told["alone"]["history"] == []
    assert told["messages"] == [["My name is Ada.", False], ["My name is Ada.", True]]
    assert told["usage"]["usage"][0]["output_tokens"] == 4
    assert (told["template"], told["as_pirate"]) == ("Talk like a pirate.", "Talk like a pirate.")
    assert told["no_template"] is None
    assert told["templates"] == ["Default", "pirate"]
    assert told["limit"] == 1.0
    assert told["messages_gone"] == "completed"
    assert told["left"] == 0
    assert told["wrong_key"][0] == "UnauthorizedError"
    assert told["http_500"][0] == "InternalServerError"


# Door A: the bootstrap page


async def test_the_shortest_trace_of_the_page(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        async with browser.http.get(f"{emu.url}/chats", allow_redirects=False) as hop:
            assert (hop.status, hop.headers["Location"][:6]) == (302, "/chats")
            assert hop.headers["Set-Cookie"].startswith("h2ogpte.session=s%3A")
        await browser.visit(hop.headers["Location"])
        assert browser.conf.keys() >= {"csrf_token", "user_id", "username", "is_guest"}
        session = await browser.create()
        uuid.UUID(session)
        asked = query(session, "Hello")
        async with browser.socket(session) as ws:
            await ws.send_json(asked)
            answer = frames(await heard(ws))
        status, job = await browser.rpc("job", [DELETE, {"name": "x", "chat_session_ids": [session]}])
        assert (status, job["error"]) == (200, "")
        jobs = await finished(browser, job["id"])

    ack, status_frame, piece, full, meta, final = answer
    question, reply = ack["message_id"], piece["message_id"]
    assert ack == {
        "t": "cx",
        "session_id": session,
        "correlation_id": asked["correlation_id"],
        "message_id": question,
        "username": browser.conf["username"],
        "body": "Hello",
        "use_agent": False,
    }
    assert status_frame["t"] == "cs"
    sender = {"session_id": session, "message_id": reply, "reply_to_id": question, "error": ""}
    assert piece == {"t": "cp", **sender, "body": "Hello", "meta": []}
    assert full == {"t": "cr", **sender, "body": "Hello", "meta": []}
    assert (meta["t"], meta["body"], meta["meta"][0]["message_type"]) == ("cm", "", "usage_stats")
    assert json.loads(meta["meta"][0]["content"])["usage"][0]["output_tokens"] == 1
    assert final == {"t": "ca", **sender, "body": "Hello", "meta": []}
    assert (jobs[0]["progress"], jobs[0]["statuses"]) == (1.0, [{"id": session, "status": "deleted"}])
    stats = emu.until(lambda stats: stats["sockets"]["now"] == 0)
    assert stats["guests_issued"] == 1
    assert stats["sessions"] == {"created": 1, "deleted": 1, "live": 0}
    assert stats["never_deleted"] == stats["hangups"] == []
    assert (stats["max_questions_per_session"], stats["sockets"]["max"]) == (1, 1)
    assert stats["counts"]["socket_closed:1000"] == 1


async def finished(browser: Browser, job_id: str) -> list[dict[str, Any]]:
    for _ in range(200):
        _, jobs = await browser.rpc("job", [".Get", {"job_id": job_id}, str(uuid.uuid4())])
        if jobs[0]["completed"]:
            return list(jobs)
        await asyncio.sleep(0.01)
    raise AssertionError("the job never completed")


@pytest.mark.parametrize("path", ["/", "/chats"])
@pytest.mark.parametrize("redirects", [0, 1, 2])
@pytest.mark.parametrize("cookie_on", ["redirect", "final", "both"])
async def test_a_jar_gets_one_working_guest_wherever_the_cookie_is_set(
    emu: Emulator, path: str, redirects: int, cookie_on: str
) -> None:
    emu.set(redirects=redirects, cookie_on=cookie_on)
    async with Browser(emu) as browser:
        await browser.visit(path)
        await browser.create()
        first = browser.conf
        await browser.visit(path)
        await browser.create()

    stats = emu.stats()
    assert browser.conf["user_id"] == first["user_id"]
    assert browser.conf["csrf_token"] != first["csrf_token"]
    assert (stats["guests_issued"], stats["renewals"]) == (1, 1)


async def test_of_two_cookies_only_the_last_is_good(emu: Emulator) -> None:
    emu.set(cookie_on="both")
    async with Browser(emu) as browser, browser.http.get(f"{emu.url}/chats") as page:
        cookies = [hop.cookies["h2ogpte.session"].value for hop in (*page.history, page)]
        statuses = []
        for cookie in cookies:
            async with aiohttp.request("GET", f"{emu.url}/rpc/meta", cookies={"h2ogpte.session": cookie}) as meta:
                statuses.append(meta.status)
    assert (len(set(cookies)), statuses) == (2, [401, 200])


@pytest.mark.parametrize("conf", ["single", "double", "apostrophe"])
async def test_data_conf_can_be_read_however_it_is_quoted(emu: Emulator, conf: str) -> None:
    emu.set(conf=conf)
    async with Browser(emu) as browser:
        await browser.visit()
        await browser.create()
    assert ("greeting" in browser.conf) == (conf == "apostrophe")


async def test_pages_without_a_guest(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        for conf in ("missing", "login_page"):
            emu.fault("page", conf=conf)
            assert (await browser.visit()).conf == {}
        emu.fault("page", conf="empty_token", redirects=0)
        assert (await browser.visit()).conf["csrf_token"] == ""
    async with Browser(emu) as browser:
        emu.set(cookie_on="none")
        await browser.visit()
        assert (await browser.rpc("db", ["count_chat_sessions"]))[0] == 401
    emu.set(guests=False)
    async with Browser(emu) as browser:
        assert (await browser.visit()).conf == {}


async def test_a_renewal_that_loses_its_cookie_on_the_redirect_makes_a_new_guest(emu: Emulator) -> None:
    async with Browser(emu) as browser, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as forgetful:
        await browser.visit()
        cookie = browser.http.cookie_jar.filter_cookies(URL(browser.url))["h2ogpte.session"].value
        async with forgetful.get(f"{emu.url}/chats", headers={"Cookie": f"h2ogpte.session={cookie}"}) as page:
            assert page.status == 200
    assert emu.stats()["guests_issued"] == 1  # aiohttp sends an explicit header again
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as forgetful:
        async with forgetful.get(
            f"{emu.url}/chats", headers={"Cookie": f"h2ogpte.session={cookie}"}, allow_redirects=False
        ) as hop:
            assert hop.status == 302
        async with forgetful.get(emu.url + hop.headers["Location"]) as page:
            assert page.status == 200
    stats = emu.stats()
    assert (stats["guests_issued"], stats["renewals"]) == (2, 1)


# Door A: the life of a credential


async def test_an_expired_guest_is_401_until_it_is_renewed(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        emu.control("POST", "expire", {})
        assert (await browser.rpc("db", ["get_chat_session", session]))[0] == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ask(session)
        assert refused.value.status == 401
        await browser.visit()
        assert (await browser.rpc("db", ["get_chat_session", session]))[0] == 200
    stats = emu.stats()
    assert (stats["expired_calls"], stats["renewals"], stats["guests_issued"]) == (2, 1, 1)
    assert stats["credentials"]["guest-0001"]["renewals"] == 1


async def test_a_fault_expires_the_credential_that_sends_the_request(emu: Emulator) -> None:
    async with Browser(emu) as one, Browser(emu) as two:
        await one.visit()
        await two.visit()
        emu.fault("expire", route="rpc/db", credential=two.conf["username"])
        assert (await one.rpc("db", ["count_chat_sessions"]))[0] == 200
        assert (await two.rpc("db", ["count_chat_sessions"]))[0] == 401
        assert (await two.rpc("db", ["count_chat_sessions"]))[0] == 401
        assert (await one.rpc("db", ["count_chat_sessions"]))[0] == 200


async def test_renewing_ends_the_old_csrf_token(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        old = browser.conf["csrf_token"]
        await browser.visit()
        assert (await browser.rpc("db", ["count_chat_sessions"], **{"x-csrf-token": old}))[0] == 403
        emu.set(csrf_status=401)
        assert (await browser.rpc("db", ["count_chat_sessions"], **{"x-csrf-token": old}))[0] == 401
        emu.set(old_csrf_dies=False)
        old = browser.conf["csrf_token"]
        await browser.visit()
        assert (await browser.rpc("db", ["count_chat_sessions"], **{"x-csrf-token": old}))[0] == 200
    assert emu.stats()["csrf_mismatches"] == 2


async def test_a_renewal_can_rotate_the_cookie_or_silently_make_another_guest(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        first = browser.conf["user_id"]
        emu.set(rotate_cookie=True)
        async with browser.http.get(f"{emu.url}/chats") as page:
            rotated = [hop.cookies["h2ogpte.session"].value for hop in (*page.history, page) if hop.cookies]
        assert len(rotated) == 1
        await browser.visit()
        assert browser.conf["user_id"] == first
        emu.fault("new_guest")
        await browser.visit()
        assert browser.conf["user_id"] != first
        second = browser.conf["user_id"]
        emu.control("POST", "expire", {"what": "account"})
        await browser.visit()
        assert browser.conf["user_id"] not in {first, second}
    assert emu.stats()["guests_issued"] == 3


async def test_guests_live_for_so_many_calls_or_seconds(emu: Emulator) -> None:
    emu.set(guest_calls=2)
    async with Browser(emu) as browser:
        await browser.visit()
        statuses = [(await browser.rpc("db", ["count_chat_sessions"]))[0] for _ in range(3)]
        assert statuses == [200, 200, 401]
        emu.set(guest_calls=None, guest_seconds=60)
        await browser.visit()
        assert (await browser.rpc("db", ["count_chat_sessions"]))[0] == 200
        emu.control("POST", "advance", {"seconds": 61})
        assert (await browser.rpc("db", ["count_chat_sessions"]))[0] == 401


async def test_a_guest_has_a_quota_of_questions(emu: Emulator) -> None:
    emu.set(guest_quota=1)
    async with Browser(emu) as browser:
        await browser.visit()
        session, other = await browser.create(), await browser.create()
        await browser.ask(session)
        assert (await browser.rpc("db", ["create_chat_session", None, GUEST]))[0] == 429
        assert (await browser.rpc("job", [DELETE, {"chat_session_ids": [session]}]))[0] == 200  # tidying up is free
        emu.set(guest_quota_as="ce_rate_limit")
        (limited,) = await browser.ask(other)
        assert (limited["t"], limited["error_type"], limited["retry_after"]) == ("ce", "rate_limit", 30)
        emu.set(guest_quota_as="ce_cost")
        (limited,) = await browser.ask(other)
        assert "USD" in limited["error"]
        assert "error_type" not in limited


async def test_a_login_is_known_by_the_pair_its_operator_pasted(emu: Emulator) -> None:
    emu.set(logins=[{"session": "cookie-1", "csrf": "csrf-1", "username": "ada@example.org"}])
    async with Browser(emu, {"Cookie": "h2ogpte.session=cookie-1"}) as browser:
        browser.conf = {"csrf_token": "csrf-1"}
        mine = "workspaces/0b0e7a0e-0000-4000-8000-000000000001"
        assert (await browser.rpc("db", ["create_chat_session", None, mine]))[0] == 200
        assert (await browser.rpc("db", ["create_chat_session", None, GUEST]))[0] == 403
        session = (await browser.rpc("db", ["create_chat_session", None]))[1]["id"]
        template = (await browser.rpc("db", ["create_prompt_template", "t", None, None, "Be a cat."]))[1]["id"]
        assert (await browser.rpc("db", ["set_chat_session_prompt_template", session, template]))[1] == {"id": session}
        told = report(await browser.ask(session, "!report", system_prompt=None))
        assert (told["system_prompt"], told["session_template_id"]) == ("Be a cat.", template)
        await browser.visit()
    assert browser.conf["is_guest"] is False
    assert emu.stats()["guests_issued"] == 0


# Door A: calls


async def test_sessions_belong_to_their_credential(emu: Emulator) -> None:
    async with Browser(emu) as one, Browser(emu) as two:
        await one.visit()
        await two.visit()
        session = await one.create()
        assert (await two.rpc("db", ["get_chat_session", session]))[0] == 404
        (refused,) = await two.ask(session)
        assert refused["t"] == "ce"
        _, job = await two.rpc("job", [DELETE, {"chat_session_ids": [session]}])
        assert (await finished(two, job["id"]))[0]["statuses"][0]["status"] == "not found"
        assert (await two.rpc("job", [".Get", {"job_id": "job-of-nobody"}]))[1] == []
        assert (await one.rpc("db", ["get_chat_session", session]))[1]["username"] == one.conf["username"]
    stats = emu.stats()
    assert stats["cross_credential_use"] == 3
    assert [left["session"] for left in stats["never_deleted"]] == [session]
    assert stats["credentials"][one.conf["username"]]["live"] == 1


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (["create_chat_session"], 200),
        (["create_chat_session", None], 200),
        (["create_chat_session", None, GUEST], 200),
        (["create_chat_session", None, "workspaces/another"], 403),
        (["create_chat_session", None, GUEST, "too many"], 400),
        (["no_such_method"], 400),
        ({"method": "create_chat_session"}, 400),
        ([], 400),
        (["get_chat_session", "no-such-session"], 404),
        (["count_chat_sessions"], 200),
        (["list_recent_chat_sessions", 0, 10], 200),
        (["get_llm_usage_24h_with_limits"], 200),
    ],
)
async def test_a_guest_calls_the_database(emu: Emulator, call: Any, status: int) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        got, told = await browser.rpc("db", call)
    assert got == status
    assert status == 200 or set(told) == {"error", "request_id"}


async def test_a_guest_has_no_prompt_template(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        assert (await browser.rpc("db", ["set_chat_session_prompt_template", session, str(uuid.uuid4())]))[0] == 400
        assert (await browser.rpc("db", ["get_chat_session_prompt_template", session]))[1] == [
            {"prompt_template_id": None}
        ]
        (refused,) = await browser.ask(session, prompt_template_id=str(uuid.uuid4()))
        assert "guests" in refused["error"]


async def test_a_session_can_fail_to_be_made(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        answers = []
        for name in ("create_error", "create_no_id", "create_bare"):
            emu.fault(name)
            answers.append(await browser.rpc("db", ["create_chat_session", None, GUEST]))
        bare = answers.pop()[1]
        assert answers == [(200, {"error": "could not create chat session"}), (200, {})]
        assert kinds(await browser.ask(bare))[-1] == "ca"
    assert emu.stats()["sessions"]["created"] == 1


@pytest.mark.parametrize("rest", [[], [str(uuid.uuid4())]])
@pytest.mark.parametrize("prefix", ["", "q:"])
async def test_deleting_takes_its_time_and_really_deletes(emu: Emulator, prefix: str, rest: list[str]) -> None:
    emu.set(delete_delay=0.3)
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        call = [f"{prefix}crawl_quick.DeleteChatSessionsJob", {"chat_session_ids": [session]}, *rest]
        _, job = await browser.rpc("job", call)
        _, (running,) = await browser.rpc("job", [".Get", {"job_id": job["id"]}])
        assert (running["completed"], running["progress"]) == (False, 0.0)
        assert emu.stats()["sessions"]["live"] == 1
        await finished(browser, job["id"])
        assert (await browser.rpc("db", ["get_chat_session", session]))[0] == 404
    assert emu.stats()["sessions"]["live"] == 0


async def test_deleting_can_go_wrong(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        call = [DELETE, {"chat_session_ids": [session]}]
        emu.fault("delete_refused")
        assert (await browser.rpc("job", call))[1]["error"]
        emu.fault("http_500", route="rpc/job")
        assert (await browser.rpc("job", call))[0] == 500
        emu.fault("delete_fails")
        failed = (await finished(browser, (await browser.rpc("job", call))[1]["id"]))[0]
        assert (failed["failed"], failed["statuses"][0]["status"], len(failed["errors"])) == (1.0, "failed", 1)
        emu.set(delete_mode="hangs")
        _, hanging = await browser.rpc("job", call)
        await asyncio.sleep(0.2)
        assert (await browser.rpc("job", [".Get", {"job_id": hanging["id"]}]))[1][0]["completed"] is False
        assert emu.stats()["never_deleted"][0]["delete_asked"] == 2
        emu.set(delete_mode="works")
        await finished(browser, (await browser.rpc("job", call))[1]["id"])
        await finished(browser, (await browser.rpc("job", call))[1]["id"])
    stats = emu.stats()
    assert stats["sessions"] == {"created": 1, "deleted": 1, "live": 0}
    assert stats["counts"]["delete_of_deleted"] == 1


async def test_rpc_tells_who_i_am_and_what_models_there_are(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        async with browser.http.get(f"{emu.url}/rpc/meta") as response:
            meta = await response.json()
        _, models = await browser.rpc("lang", {"method": "get_llms", "params": {}})
        async with browser.http.get(f"{emu.url}/rpc/health/readiness") as response:
            assert response.status == 200
    assert (meta["is_guest"], meta["username"], meta["workspaces"]) == (True, browser.conf["username"], [GUEST])
    assert models["result"][0]["base_model"] == "auto-small"


# The socket


async def test_a_question_reaches_the_model_as_it_was_asked(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        await browser.ask(session, "My secret is 42.")
        told = report(await browser.ask(session, "!report", llm="gpt-4o", tags=["a"]))
        alone = report(await browser.ask(session, "!report", include_chat_history="off"))
    assert told["history"] == [["My secret is 42.", "My secret is 42."]]
    assert (told["llm"], told["tags"], told["system_prompt"]) == ("gpt-4o", ["a"], "You are terse.")
    assert told["llm_args"] == {"max_new_tokens": 1024, "temperature": 0.2}
    assert alone["history"] == []
    stats = emu.stats()
    assert stats["questions_per_session"] == {session: 3}
    assert (stats["max_questions_per_session"], stats["duplicate_questions"]) == (3, 1)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        ("你好, wörld 👩‍👩‍👧", "你好, wörld 👩‍👩‍👧"),
        ("Do !say:exactly this", "exactly this"),
        ("!words:3", "w1 w2 w3"),
        ("User: a\nAssistant: b\nUser: and c?\nAssistant:", "and c?"),
        ("User: a\n\nAssistant: b\n\nUser: !say:x\n\ny\n\nAssistant:", "x\n\ny"),
    ],
)
async def test_the_model_answers_what_was_said_last(emu: Emulator, body: str, reply: str) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        answer = await browser.ask(await browser.create(), body)
    assert (said(answer), last(answer)) == (reply, reply)


async def test_pieces_can_be_small_and_measured_in_characters_or_bytes(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        emu.set(chunk=1)
        one = [f["body"] for f in await browser.ask(session, "né漢") if f["t"] == "cp"]
        emu.set(chunk=3, chunk_by="bytes")
        two = [f["body"] for f in await browser.ask(session, "né漢字a") if f["t"] == "cp"]
    assert one == ["n", "é", "漢"]
    assert two == ["né", "漢", "字", "a"]


async def test_the_answer_is_cut_at_max_new_tokens(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        answer = await browser.ask(await browser.create(), "one two three four", llm_args='{"max_new_tokens":2}')
    usage = json.loads(next(f for f in answer if f["t"] == "cm")["meta"][0]["content"])["usage"][0]
    assert (last(answer), usage["output_tokens"]) == ("one two", 2)


async def test_delays_pace_the_answer(emu: Emulator) -> None:
    emu.set(first_token_delay=0.2, chunk_delay=0.05, chunk=3)
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        began = time.monotonic()
        async with browser.socket(session) as ws:
            await ws.send_json(query(session, "aaabbbccc"))
            arrived = [((await ws.receive_json())["t"], time.monotonic() - began) for _ in range(5)]
    at = [when for kind, when in arrived if kind == "cp"]
    assert 0.2 <= at[0] < 1
    assert at[2] - at[0] >= 0.1


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"llm_args": {"temperature": 0}}, "llm_args"),
        ({"rag_config": {"rag_type": "llm_only"}}, "rag_config"),
        ({"self_reflection_config": None}, "self_reflection_config"),
        ({"llm_args": "{not json"}, "llm_args"),
        ({"llm_args": '{"temperature": 1.5}'}, "temperature"),
        ({"llm_args": '{"max_new_tokens": 40000}'}, "max_new_tokens"),
        ({"rag_config": '{"rag_type": "magic"}'}, "rag_type"),
        ({"include_chat_history": "true"}, "include_chat_history"),
        ({"mode": "stream"}, "mode"),
        ({"body": ""}, "body"),
        ({"llm": 1.5}, "llm"),
        ({"t": "hello"}, "cq"),
        ({"stream": True}, "unknown: stream"),
        ({"prompt_template_id": "not-a-uuid"}, "prompt_template_id"),
        ({"llm": "no-such-model"}, "no-such-model"),
    ],
)
async def test_a_question_must_be_right_in_every_field(emu: Emulator, changed: dict[str, Any], why: str) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        asked = query(session, "Say hi") | changed
        async with browser.socket(session) as ws:
            await ws.send_json(asked)
            (refused,) = frames(await heard(ws))
    assert (refused["t"], refused["correlation_id"]) == ("ce", asked["correlation_id"])
    assert why in refused["error"]
    assert emu.stats()["questions_per_session"] == {}


async def test_a_question_belongs_to_the_session_of_its_connection(emu: Emulator) -> None:
    async with Browser(emu) as browser:
        await browser.visit()
        one, two = await browser.create(), await browser.create()

        async def crossed(seconds: float) -> list[str]:
            async with browser.socket(one) as ws:
                await ws.send_json(query(two, "Say hi"))
                return kinds(frames(await heard(ws, seconds)))

        assert await crossed(5) == ["ce"]
        emu.set(session_check="silent")
        assert await crossed(0.3) == []
        emu.set(session_check="tolerate")
        assert (await crossed(5))[-1] == "ca"
        async with browser.socket(None) as ws:  # the bare address of old clients
            await ws.send_json(query(two, "Say hi there"))
            assert kinds(frames(await heard(ws)))[-1] == "ca"
    assert emu.stats()["session_mismatch"] == 3


@pytest.mark.parametrize(
    ("ending", "kinds_at_the_end"), [("ca", ["cm", "ca"]), ("ca+cd", ["ca", "cd"]), ("cr+cd", ["cm", "cd"])]
)
async def test_an_answer_can_end_in_three_ways(emu: Emulator, ending: str, kinds_at_the_end: list[str]) -> None:
    emu.set(ending=ending)
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        async with browser.socket(session) as ws:
            await ws.send_json(query(session, "Hi"))
            seen: list[str] = []
            while len(seen) < 6 + (ending == "ca+cd"):
                seen.append((await ws.receive_json())["t"])
    assert seen[-2:] == kinds_at_the_end
    emu.until(lambda stats: stats["sockets"]["now"] == 0)
    assert emu.stats()["hangups"] == []


async def test_old_servers_speak_only_four_kinds_with_few_fields(emu: Emulator) -> None:
    emu.set(version="1.6.10")
    async with Browser(emu) as browser:
        await browser.visit()
        answer = await browser.ask(await browser.create(), "Hello")
    assert kinds(answer) == ["cx", "cp", "ca"]
    assert answer[0].keys() == {"t", "session_id", "correlation_id", "message_id"}
    assert answer[1].keys() == answer[2].keys() == {"t", "session_id", "message_id", "reply_to_id", "body", "error"}


# What goes wrong on the socket


async def one_answer(emu: Emulator, body: str = "abcdefghij", seconds: float = 5) -> tuple[list[str], str, list[Any]]:
    """The messages of one answer, the closing code, and what the session holds afterwards."""
    emu.set(chunk=4)
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        async with browser.socket(session) as ws:
            await ws.send_json(query(session, body))
            messages = await heard(ws, seconds)
        _, stored = await browser.rpc("db", ["list_chat_messages_full", session, 0, 10])
    return messages, str(ws.close_code), [message["content"] for message in stored]


@pytest.mark.parametrize(
    ("at", "kinds_before", "stored"),
    [
        ("before_cx", [], []),
        ("after_cx", ["cx"], ["abcdefghij", "abcdefghij"]),
        ("mid_cp", ["cx", "cs", "cp"], ["abcdefghij", "abcdefghij"]),
        ("before_ca", ["cx", "cs", "cp", "cp", "cp", "cr", "cm"], ["abcdefghij", "abcdefghij"]),
    ],
)
async def test_the_server_can_close_at_four_places(
    emu: Emulator, at: str, kinds_before: list[str], stored: list[str]
) -> None:
    emu.fault("close", at=at, code=1001)
    messages, code, left = await one_answer(emu)
    assert (kinds(frames(messages)), code, left) == (kinds_before, "1001", stored)
    assert emu.stats()["hangups"] == []


async def test_the_server_can_reset_and_forget_the_answer_or_store_it_later(emu: Emulator) -> None:
    emu.fault("close", code=None, stored=False, pieces=2)
    messages, code, left = await one_answer(emu)
    assert (said(frames(messages)), code, left) == ("abcdefgh", "1006", ["abcdefghij"])
    emu.fault("close", stored_after=0.3)
    _, _, left = await one_answer(emu)
    assert left == ["abcdefghij"]


@pytest.mark.parametrize(("at", "before"), [("before_cx", 0), ("after_cx", 1), ("mid_cp", 3), ("before_ca", 7)])
async def test_the_answer_can_stall_at_four_places(emu: Emulator, at: str, before: int) -> None:
    emu.fault("stall", at=at)
    messages, _, _ = await one_answer(emu, seconds=0.3)
    assert len(messages) == before
    assert emu.until(lambda stats: stats["hangups"])["hangups"][0]["sent"] == before
    emu.fault("stall", at=at, seconds=0.3)
    messages, _, _ = await one_answer(emu)
    assert kinds(frames(messages))[-1] == "ca"


@pytest.mark.parametrize(
    ("name", "text", "acknowledged"),
    [
        ("ce", "Something went wrong", False),
        ("ce_rate_limit", "Rate limit exceeded", False),
        ("ce_cost", "cost limit", False),
        ("ce_context", "maximum context length", False),
        ("ce_timeout", "TimeoutError", True),
        ("ce_model", "not authorized", False),
    ],
)
async def test_an_error_frame_comes_before_or_after_the_acknowledgement(
    emu: Emulator, name: str, text: str, acknowledged: bool
) -> None:
    emu.fault(name)
    answer = frames((await one_answer(emu))[0])
    assert kinds(answer) == (["cx", "ce"] if acknowledged else ["ce"])
    assert text in answer[-1]["error"]
    assert ("correlation_id" in answer[-1]) == (not acknowledged)
    assert bool(answer[-1]["reply_to_id"]) == acknowledged
    emu.fault(name, at="mid_cp", pieces=2)
    answer = frames((await one_answer(emu))[0])
    assert kinds(answer) == ["cx", "cs", "cp", "cp", "ce"]
    assert answer[-1]["reply_to_id"] == answer[0]["message_id"]


async def test_an_error_can_hide_in_the_body_or_in_a_piece(emu: Emulator) -> None:
    emu.fault("ce", in_body=True, error="boom", error_type="odd", retry_after=7)
    (error,) = frames((await one_answer(emu))[0])
    assert (error["body"], error["error"], error["error_type"], error["retry_after"]) == ("boom", "", "odd", 7)
    emu.fault("cp_error", error="boom")
    answer = frames((await one_answer(emu, seconds=0.3))[0])
    assert (answer[-1]["t"], answer[-1]["error"], said(answer)) == ("cp", "boom", "abcd")


@pytest.mark.parametrize(
    ("name", "params", "kinds_seen"),
    [
        ("unknown_t", {}, "cz cx cz cs cz cp cz cp cz cp cz cr cz cm cz cu ca"),
        ("cp_before_cx", {}, "cp cx cs cp cp cr cm ca"),
        ("no_cx", {}, "cs cp cp cp cr cm ca"),
        ("duplicate_cr", {}, "cx cs cp cp cp cr cr cm ca"),
        ("only_ca", {}, "cx cs cm ca"),
        ("blank_lines", {}, "cx cs cp cp cp cr cm ca"),
        ("crlf", {}, "cx cs cp cp cp cr cm ca"),
        ("batch", {"size": 3}, "cx cs cp cp cp cr cm ca"),
        ("binary", {}, "cx cs cp cp cp cr cm ca"),
    ],
)
async def test_odd_frames_leave_the_answer_whole(
    emu: Emulator, name: str, params: dict[str, Any], kinds_seen: str
) -> None:
    emu.fault(name, **params)
    messages, _, _ = await one_answer(emu)
    assert (" ".join(kinds(frames(messages))), last(frames(messages))) == (kinds_seen, "abcdefghij")
    if name == "batch":
        assert [message.count("\n") for message in messages] == [2, 2, 1]
    elif name == "blank_lines":
        assert all(message.startswith("\n\n") and message.endswith("\n\n") for message in messages)
    elif name == "crlf":
        assert all(message.endswith("}\r\n") for message in messages)


async def test_frames_of_others_come_in_between(emu: Emulator) -> None:
    emu.fault("foreign")
    answer = frames((await one_answer(emu))[0])
    question = next(f for f in answer if f["t"] == "cx")["message_id"]
    session = answer[-1]["session_id"]
    ours = [f for f in answer if f["session_id"] == session and f.get("reply_to_id", question) == question]
    assert (said(ours), last(ours)) == ("abcdefghij", "abcdefghij")
    assert {f["body"] for f in answer if f not in ours} == {"NOT YOURS", "NOT THIS QUESTION"}


@pytest.mark.parametrize(
    ("name", "params", "pieces", "final"),
    [
        ("empty", {}, "", ""),
        ("banner", {}, "#### LLM Only (no RAG):\nabcdefghij", "#### LLM Only (no RAG):\nabcdefghij"),
        ("ca_differs", {"body": "Else."}, "abcdefghij", "Else."),
        ("huge", {}, "x" * 6 * 2**20, "x" * 6 * 2**20),
        ("separators", {}, "abcdefghij\u2028two\u2029three\u0085four", "abcdefghij\u2028two\u2029three\u0085four"),
    ],
)
async def test_the_text_itself_can_be_odd(
    emu: Emulator, name: str, params: dict[str, Any], pieces: str, final: str
) -> None:
    emu.fault(name, **params)
    messages, _, _ = await one_answer(emu)
    answer = frames(messages)
    assert said(answer) == pieces
    assert last(answer) == final
    assert ("\u2028" in "".join(messages)) == (name == "separators")


async def test_a_line_can_be_no_json(emu: Emulator) -> None:
    emu.fault("not_json")
    messages, _, _ = await one_answer(emu)
    with pytest.raises(json.JSONDecodeError):
        frames(messages)


async def test_a_hang_up_is_seen_at_once_and_the_answer_is_kept(emu: Emulator) -> None:
    emu.set(chunk=1, chunk_delay=0.05)
    async with Browser(emu) as browser:
        await browser.visit()
        session = await browser.create()
        async with browser.socket(session) as ws:
            await ws.send_json(query(session, "a long answer"))
            for _ in range(4):
                await ws.receive_json()
            left_at = time.time()
        hangup = emu.until(lambda stats: stats["hangups"])["hangups"][0]
        assert -0.01 < hangup["at"] - left_at < 0.1
        assert (hangup["session"], hangup["close_code"]) == (session, 1000)
        assert 4 <= hangup["sent"] <= 6
        _, stored = await browser.rpc("db", ["list_chat_messages_full", session, 0, 10])
        assert stored[0]["content"] == "a long answer"
        async with browser.socket(session) as ws:
            await ws.send_json(query(session, "another answer"))
            await ws.receive_json()
            ws._response.connection.transport.abort()  # type: ignore[union-attr]  # as a killed process does
        await asyncio.sleep(0)
        stats = await asyncio.to_thread(emu.until, lambda stats: len(stats["hangups"]) == 2)
        assert stats["hangups"][1]["sent"] <= 3
    assert emu.stats()["answering"] == 0


async def test_an_api_key_opens_the_same_socket(emu: Emulator) -> None:
    async with Browser(emu, KEY) as client:
        async with client.http.post(f"{emu.url}/api/v1/chats", json={"workspace": None}) as response:
            assert response.status == 201
            session = (await response.json())["id"]
        assert kinds(await client.ask(session))[-1] == "ca"
    async with Browser(emu, {"Authorization": "Bearer sk-wrong"}) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ask(session)
    assert refused.value.status == 401


# Doors C and D


async def jsonl(client: Browser, session: str, **fields: Any) -> tuple[list[str], bool]:
    """The lines of a streamed completion, and whether the connection ended as it should."""
    wish = {"message": "abcdefghij", "stream": True, "include_chat_history": "false", **fields}
    path = f"{client.url}/api/v1/chats/{session}/completions"
    got, whole = b"", True
    async with client.http.post(path, json=wish) as response:
        assert (response.status, response.content_type) == (200, "application/jsonl")
        try:
            async for piece in response.content.iter_any():
                got += piece
        except (aiohttp.ClientError, ConnectionError):
            whole = False
    return got.decode().split("\n"), whole


@asynccontextmanager
async def rest(emu: Emulator) -> AsyncIterator[tuple[Browser, str]]:
    async with Browser(emu, KEY) as client:
        async with client.http.post(f"{emu.url}/api/v1/chats") as response:
            session = (await response.json())["id"]
        yield client, session


async def test_the_rest_trace_of_the_page(emu: Emulator) -> None:
    emu.set(chunk=4)
    async with rest(emu) as (client, session):
        lines, _ = await jsonl(client, session)
        *deltas, final, end = lines
        assert [json.loads(line) for line in deltas] == [
            {"body": part, "finished": False} for part in ("abcd", "efgh", "ij")
        ]
        message_id = json.loads(final)["message_id"]
        assert json.loads(final) == {"message_id": message_id, "body": "abcdefghij", "finished": True}
        assert end == ""
        meta = f"{emu.url}/api/v1/messages/{message_id}/meta?info_type=usage_stats"
        async with client.http.get(meta) as response:
            assert (await response.json())[0]["message_type"] == "usage_stats"
        wish = {"message": "!report", "include_chat_history": "true", "llm_args": {"temperature": 0}}
        async with client.http.post(f"{emu.url}/api/v1/chats/{session}/completions", json=wish) as response:
            told = await response.json()
            assert set(told) == {"message_id", "body"}
            assert json.loads(told["body"])["history"] == [["abcdefghij", "abcdefghij"]]
        async with client.http.delete(f"{emu.url}/api/v1/chats/{session}") as response:
            assert response.status == 204
    assert emu.stats()["sessions"] == {"created": 1, "deleted": 1, "live": 0}


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"message": ""}, 400),
        ({"llm_args": "{}"}, 400),
        ({"include_chat_history": "off"}, 400),
        ({"include_chat_history": False}, 400),
        ({"rag_config": {"rag_type": "magic"}}, 400),
        ({"body": "hi"}, 400),
        ({"llm": "no-such-model"}, 404),
    ],
)
async def test_a_completion_must_be_right_in_every_field(emu: Emulator, wrong: dict[str, Any], status: int) -> None:
    async with rest(emu) as (client, session):
        path = f"{emu.url}/api/v1/chats/{session}/completions"
        async with client.http.post(path, json={"message": "hi"} | wrong) as response:
            assert response.status == status
            assert (await response.json())["code"] == status


async def test_rest_streams_go_wrong(emu: Emulator) -> None:
    emu.set(chunk=4)
    async with rest(emu) as (client, session):
        emu.fault("rest_unfinished", pieces=2)
        assert [json.loads(line)["body"] for line in (await jsonl(client, session))[0][:-1]] == ["abcd", "efgh"]
        emu.fault("rest_error_line", error="boom")
        assert json.loads((await jsonl(client, session))[0][-2]) == {"error": "boom"}
        emu.fault("rest_broken")
        assert (await jsonl(client, session))[1] is False
        emu.fault("rest_empty")
        assert json.loads((await jsonl(client, session))[0][-2])["body"] == ""
        emu.fault("rest_split_line")
        lines, whole = await jsonl(client, session, message="漢字かな")
        assert (whole, json.loads(lines[-2])["body"]) == (True, "漢字かな")
        emu.fault("rest_stall")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(jsonl(client, session), 0.3)
    hangups = emu.until(lambda stats: stats["hangups"])["hangups"]
    assert [(hangup["door"], hangup["session"]) for hangup in hangups] == [("completions", session)]


async def test_rest_stops_a_stream_and_waits_for_a_deletion(emu: Emulator) -> None:
    emu.set(chunk=1, chunk_delay=0.05)
    async with rest(emu) as (client, session):
        streaming = asyncio.create_task(jsonl(client, session, message="x" * 200))
        question = next(entry for entry in await noted(emu, "question"))["question"]
        await asyncio.sleep(0.15)
        async with client.http.post(f"{emu.url}/api/v1/messages/{question}/stop") as response:
            assert response.status == 204
        lines, _ = await streaming
        assert 1 <= len(json.loads(lines[-2])["body"]) < 100
        emu.fault("delete_fails")
        async with client.http.delete(f"{emu.url}/api/v1/chats/{session}") as response:
            assert response.status == 409
        emu.fault("delete_hangs")
        async with client.http.delete(f"{emu.url}/api/v1/chats/{session}?timeout=0.2") as response:
            assert response.status == 409
    stats = emu.stats()
    assert (stats["stop_calls"], stats["sessions"]["live"]) == (1, 1)


async def noted(emu: Emulator, what: str) -> list[dict[str, Any]]:
    stats = await asyncio.to_thread(emu.until, lambda stats: any(entry["what"] == what for entry in stats["log"]))
    return [entry for entry in stats["log"] if entry["what"] == what]


async def test_the_stateless_question_takes_a_model_with_a_slash(emu: Emulator) -> None:
    async with Browser(emu, KEY) as client:
        body = {"question": "!report", "system_prompt": "", "chat_conversation": [["Say hi", "Hello"]], "timeout": 5}
        path = f"{emu.url}/api/v1/models/deepseek-ai/DeepSeek-R1/answer_question"
        async with client.http.post(path, json=body) as response:
            told = await response.json()
        async with client.http.post(f"{emu.url}/api/v1/models/nobody/answer_question", json=body) as response:
            assert (response.status, (await response.json())["error_type"]) == (404, "model_access")
    assert (told["llm"], told["error"], told["input_tokens"] > 0) == ("deepseek-ai/DeepSeek-R1", "", True)
    assert json.loads(told["content"])["history"] == [["Say hi", "Hello"]]


def test_the_official_openai_client_is_served_at_door_d(emu: Emulator) -> None:
    client = openai.OpenAI(base_url=f"{emu.url}/openai_api/v1", api_key="sk-h2o-test", max_retries=0)
    assert "gpt-4o" in [model.id for model in client.models.list()]
    messages: Any = [{"role": "system", "content": "S"}, {"role": "user", "content": "!report"}]
    whole = client.chat.completions.create(model="gpt-4o", messages=messages, max_tokens=500)
    told = json.loads(whole.choices[0].message.content or "")
    assert (told["system_prompt"], told["llm_args"], told["messages"]) == ("S", {"max_new_tokens": 500}, messages)
    assert whole.choices[0].finish_reason == "stop"
    hello: Any = [{"role": "user", "content": "Hello over there"}]
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=hello, stream=True, stream_options=options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[-1].usage and chunks[-1].usage.completion_tokens) == ("Hello over there", 3)
    short = client.chat.completions.create(model="gpt-4o", messages=hello, max_tokens=1)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("Hello", "length")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-wrong").models.list()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=hello)


def test_tools_are_called_at_door_d(emu: Emulator) -> None:
    client = openai.OpenAI(base_url=f"{emu.url}/openai_api/v1", api_key="sk-h2o-test", max_retries=0)
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    ask: Any = {"model": "gpt-4o", "tools": [tool], "messages": [{"role": "user", "content": '!tool:f:{"a":1}'}]}
    whole = client.chat.completions.create(**ask).choices[0]
    with client.chat.completions.stream(**ask) as events:
        streamed = events.until_done().get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or ()
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("f", '{"a":1}')


# What goes wrong before any door answers


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 502, 503, 504])
async def test_every_status_at_every_door(emu: Emulator, status: int) -> None:
    doors = {
        "bootstrap": ("GET", "/chats", {"error", "request_id"}),
        "rpc/db": ("POST", "/rpc/db", {"error", "request_id"}),
        "ws": ("GET", "/ws", {"error", "request_id"}),
        "api/v1": ("GET", "/api/v1/models", {"code", "message"}),
        "openai_api": ("GET", "/openai_api/v1/models", {"error"}),
    }
    async with aiohttp.ClientSession() as http:
        for route, (method, path, shape) in doors.items():
            emu.fault(f"http_{status}", route=route, retry_after=7)
            async with http.request(method, emu.url + path, json=["count_chat_sessions"]) as response:
                assert (response.status, response.headers["Retry-After"]) == (status, "7")
                assert set(await response.json()) == shape


async def test_the_words_of_a_refusal_can_be_chosen(emu: Emulator) -> None:
    async with aiohttp.ClientSession(headers=KEY) as http:

        async def get(name: str, **params: Any) -> tuple[int, str, str, dict[str, str]]:
            emu.fault(name, **params)
            async with http.get(f"{emu.url}/api/v1/models", allow_redirects=False) as response:
                return response.status, response.content_type, await response.text(), dict(response.headers)

        status, kind, text, headers = await get("http_429", body="html")
        assert (status, kind, "Retry-After" in headers) == (429, "text/html", False)
        assert (await get("http_503", body="empty"))[2] == ""
        assert (await get("http_500", body="text", message="Ouch"))[2] == "Ouch"
        text = (await get("http_503", error_type="authorization_unavailable"))[2]
        assert json.loads(text)["error_type"] == "authorization_unavailable"
        status, kind, text, _ = await get("waf")
        assert (status, kind) == (200, "text/html")
        assert "challenge" in text
        status, _, _, headers = await get("redirect_away")
        assert (status, headers["Location"]) == (302, "/")


async def test_a_connection_can_be_reset_hang_or_be_slow(emu: Emulator) -> None:
    async with aiohttp.ClientSession(headers=KEY) as http:
        emu.fault("reset", 2)  # aiohttp itself asks a second time
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await http.get(f"{emu.url}/api/v1/models")
        emu.fault("hang")
        with pytest.raises(TimeoutError):
            await http.get(f"{emu.url}/api/v1/models", timeout=aiohttp.ClientTimeout(total=0.3))
        emu.fault("slow", seconds=0.2)
        began = time.monotonic()
        async with http.get(f"{emu.url}/api/v1/models") as response:
            assert (response.status, time.monotonic() - began >= 0.2) == (200, True)
        emu.fault("http_403", route="ws")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{emu.url}/ws")
    assert refused.value.status == 403


async def test_a_fault_waits_repeats_and_gambles(emu: Emulator) -> None:
    async with aiohttp.ClientSession(headers=KEY) as http:

        async def statuses(number: int) -> list[int]:
            seen = []
            for _ in range(number):
                async with http.get(f"{emu.url}/api/v1/models") as response:
                    seen.append(response.status)
            return seen

        emu.fault("http_500", 2, after=1, route="api", credential="key:sk-h2o-test")
        assert await statuses(4) == [200, 500, 500, 200]
        emu.fault("http_500", 1, credential="key:another")
        assert await statuses(1) == [200]
        emu.reset()
        emu.fault("http_503", None, probability=0.5)
        assert 5 < (await statuses(40)).count(503) < 35


def test_a_slip_in_a_test_is_told(emu: Emulator) -> None:
    with pytest.raises(AssertionError, match="no fault is called"):
        emu.fault("clos")
    with pytest.raises(AssertionError, match="close has no place"):
        emu.fault("close", place="mid_cp")
    with pytest.raises(AssertionError, match="chunk_dely"):
        emu.set(chunk_dely=1)
    with pytest.raises(AssertionError, match="400"):
        emu.set(chunk="many")
    emu.set(chunk=3)
    assert emu.set(redirects=0) == {"chunk": 3, "redirects": 0}
