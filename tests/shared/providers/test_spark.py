"""iFlytek Spark against its stand-in, without a gateway: every scene of an answer, over sockets and over HTTP."""

from __future__ import annotations

import asyncio
import json
from socket import AF_INET, SOCK_STREAM
from typing import Any

import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Text
from parley.chat.prompt import ImagePart, ImageURL, TextPart, User
from parley.leases import Credential
from parley.providers.optional import ProbesCredential
from parley.providers.spark import SparkHTTP, SparkSocket
from parley.sealed import Secret
from parley.transports import Net
from tests.shared.providers.lending import (
    answered,
    asking,
    credential,
    failed,
    hung_up_after_the_first_event,
    lease,
    said,
)
from tests.shared.transports.peer import Peer, Scene, playing
from tests.shared.transports.socks import through_socks
from tests.upstreams.running import Emulator

STAND_IN = "spark"
APPLICATION = {"app_id": "demoapp1", "api_key": "demo-api-key", "api_secret": "demo-api-secret"}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
BASEL = '{"town":"Basel"}'


class Desk:
    """A provider, and who asks it."""

    def __init__(self, service: Emulator, net: Net, kind: str = "spark", **options: Any) -> None:
        self.upstream = Upstream("s", kind, service.url, timeouts=Timeouts(connect=2), options=options)
        self.provider = (SparkSocket if kind == "spark" else SparkHTTP)(self.upstream, net)
        self.credential = credential(APPLICATION if kind == "spark" else {"value": "demo-password"})

    async def said(self, text: str, model: str = "generalv3.5", **more: Any) -> str:
        return said(await answered(self.provider, asking(text, model=model, **more), self.lent()))

    async def fails(self, text: str = "hi", model: str = "generalv3.5", **more: Any) -> errors.Failure:
        return (await self.broken(text, model, **more))[1]

    async def broken(self, text: str, model: str, **more: Any) -> tuple[list[Event], errors.Failure]:
        return await failed(self.provider, asking(text, model=model, **more), self.lent())

    def lent(self) -> Any:
        return lease(self.upstream, self.credential)


@pytest.fixture
def socket(service: Emulator, net: Net) -> Desk:
    return Desk(service, net)


@pytest.fixture
def http(service: Emulator, net: Net) -> Desk:
    return Desk(service, net, "spark-http")


# --- sockets ------------------------------------------------------------------------------------------------------


async def test_every_version_answers_at_its_address(socket: Desk, service: Emulator) -> None:
    models = ("lite", "general", "generalv2", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra", "kjwx")
    for model in (*models, "x1", "v1.5", "v2.0", "v3.0", "v3.5", "v4.0"):
        assert await socket.said(f"!say:this is {model}", model) == f"this is {model}"
    counts = service.stats()["counts"]
    assert counts["socket"] == counts["question"] == len(models) + 6, "one question a socket"
    assert "second_question" not in counts and "hangup" not in counts


async def test_thoughts_calls_and_searches_are_told_apart(socket: Desk) -> None:
    thought = await answered(socket.provider, asking("!think:hm hm\n!say:yes", model="x1"), socket.lent())
    assert ("".join(thought.choices[0].thought), said(thought)) == ("hm hm", "yes")
    asked = asking(f"!tool:get_weather:{BASEL}", model="generalv3.5", tools=[WEATHER])
    called = (await answered(socket.provider, asked, socket.lent())).choices[0]
    assert [(call.name, "".join(call.arguments)) for call in called.calls] == [("get_weather", BASEL)]
    assert (called.finish, called.text) == ("tool_calls", [])
    assert await socket.said("!say:found", "4.0Ultra", web_search_options={}) == "found"


async def test_an_answer_that_fills_its_limit_says_so(socket: Desk, http: Desk) -> None:
    for desk in (socket, http):
        asked = asking("!say:one two three four", model="lite", max_tokens=3)
        answer = await answered(desk.provider, asked, desk.lent())
        assert (said(answer), answer.choices[0].finish) == ("one two thre", "length")
        assert answer.usage and answer.usage.completion == 3


async def test_an_unknown_model_is_asked_of_nobody(socket: Desk, service: Emulator) -> None:
    assert (await socket.fails(model="gpt-4o")).code == "model_not_found"
    assert "socket" not in service.stats()["counts"]


TWISTS = ("split", "no_usage", "empty_list", "no_sid", "late", "plugin", "header_status", "choices_status", "ping")


@pytest.mark.parametrize("twist", [*TWISTS, "binary", "single"])
async def test_oddities_of_frames_change_nothing(socket: Desk, service: Emulator, twist: str) -> None:
    service.fault(twist, route="question")
    assert await socket.said("!say:晴。明天有雨。") == "晴。明天有雨。"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("cut", errors.UpstreamTruncated),
        ("reset", errors.UpstreamTruncated),
        ("close", errors.UpstreamTruncated),
        ("not_json", errors.UpstreamMalformed),
        ("not_utf8", errors.UpstreamMalformed),
    ],
)
@pytest.mark.parametrize("frames", [0, 2])
async def test_a_socket_that_breaks_is_no_end(
    socket: Desk, service: Emulator, fault: str, kind: type[errors.Failure], frames: int
) -> None:
    service.fault(fault, route="question", frames=frames)
    before, failure = await socket.broken("!say:one two three four", "generalv3.5")
    assert (type(failure), before) == (kind, [Text("one "), Text("two ")][:frames])


@pytest.mark.parametrize("frames", [0, 2])
async def test_codes_count_whenever_they_come(socket: Desk, http: Desk, service: Emulator, frames: int) -> None:
    for desk in (socket, http):
        route = "question" if desk is socket else "chat"
        service.fault("code", route=route, code=10012, frames=frames)
        before, failure = await desk.broken("!say:one two three four", "generalv3.5")
        assert (type(failure), before) == (errors.UpstreamBroken, [Text("one "), Text("two ")][:frames])
        service.fault("code", route=route, code=10014, frames=frames)
        answer = await answered(desk.provider, asking("!say:one two three four", model="lite"), desk.lent())
        assert (said(answer), answer.choices[0].finish) == ("one two "[: 4 * frames], "content_filter")
        service.fault("code", route=route, code=10013, frames=frames, message="内容违规 (code=10013)")
        refused = await desk.fails("!say:one two three four")
        assert (refused.status, refused.code, "内容违规" in refused.message) == (400, "content_filter", True)


async def test_what_the_service_itself_refuses_is_blamed_where_it_belongs(socket: Desk, service: Emulator) -> None:
    async def met(**parts: str) -> tuple[type, str]:
        socket.credential = credential({**APPLICATION, **parts})
        failure = await socket.fails()
        for secret in socket.credential.parts.values():
            assert secret.reveal() not in failure.message
        return type(failure), failure.blames

    rejected = (errors.CredentialRejected, "credential")
    assert await met(api_secret="wrong-secret") == rejected
    assert await met(api_key="unknown-key") == rejected
    assert await met(app_id="somebody-else") == (errors.ModelExhausted, "credential")
    locked = {"app_id": "demoapp4", "api_key": "demo-api-key-locked", "api_secret": "demo-api-secret-4"}
    assert await met(**locked) == rejected
    lite = {"app_id": "demoapp3", "api_key": "demo-api-key-lite", "api_secret": "demo-api-secret-3"}
    assert await met(**lite) == (errors.ModelExhausted, "credential")
    service.set(rate={"requests": 0})
    assert await met() == (errors.Throttled, "credential")
    service.set(rate=None, daily=0)
    assert await met() == (errors.QuotaExhausted, "credential")
    service.set(daily=None)
    assert type(await socket.fails("x" * 40000)) is errors.ContextTooLong


async def test_no_more_answers_at_a_time_than_allowed(socket: Desk, service: Emulator) -> None:
    service.set(concurrency=1)
    slow = asyncio.ensure_future(socket.said("!slow:100:one two three four"))
    await asyncio.to_thread(service.until, lambda stats: stats["counts"].get("question"))
    assert type(await socket.fails()) is errors.Throttled
    assert await slow == "one two three four"
    assert await socket.said("!say:now") == "now", "the place is free when the socket is closed"


async def test_a_clock_that_goes_wrong_is_set_by_the_services(socket: Desk, service: Emulator) -> None:
    for offset in (-3600, 3600):
        service.set(clock_offset=offset)
        assert await socket.said("!say:on time") == "on time"
    assert service.stats()["counts"]["socket"] == 4
    service.fault("clock", times=2, route="socket")
    failure = await socket.fails()
    assert (failure.status, failure.blames, failure.try_next) == (502, "upstream", False)


async def test_a_handshake_may_not_take_for_ever(socket: Desk, service: Emulator) -> None:
    service.fault("slow", route="socket", seconds=0.05)
    assert await socket.said("!say:late") == "late"
    socket.credential = credential(APPLICATION, timeouts={"connect": 0.1})
    service.fault("hang", route="socket")
    assert type(await socket.fails()) is errors.FirstTokenTimeout


@pytest.mark.parametrize("kind", ["spark", "spark-http"])
async def test_leaving_closes_the_connection_at_once(service: Emulator, net: Net, kind: str) -> None:
    desk = Desk(service, net, kind)
    asked = asking("!slow:20:one two three four five six seven", model="generalv3.5")
    left, took = await hung_up_after_the_first_event(desk.provider, asked, desk.lent())
    assert took < 0.1
    (hangup,) = (await asyncio.to_thread(service.until, lambda stats: stats["hangups"]))["hangups"]
    assert hangup["at"] - left < 0.1


async def test_a_probe_asks_nothing(socket: Desk, http: Desk, service: Emulator) -> None:
    assert isinstance(socket.provider, ProbesCredential)
    await socket.provider.probe(socket.credential)
    with pytest.raises(errors.CredentialRejected):
        await socket.provider.probe(credential({**APPLICATION, "api_secret": "wrong-secret"}))
    assert "question" not in service.stats()["counts"]
    assert not isinstance(http.provider, ProbesCredential), "nothing there is free"


async def test_answers_side_by_side_share_nothing(socket: Desk, http: Desk) -> None:
    texts = [f"{number} " * 20 for number in range(100)]
    for desk in (socket, http):
        assert await asyncio.gather(*(desk.said(f"!say:{text}") for text in texts)) == texts


async def test_a_tuned_model_is_asked_with_its_patch(service: Emulator, net: Net) -> None:
    url = service.url.replace("http", "ws") + "/maas/v1.1/chat"
    versions = {"mine": {"url": url, "domain": "xtuned", "patch_id": "p-1", "max_tokens": 2000}}
    desk = Desk(service, net, versions=versions, temperature="halve")
    frame = (await report(desk, "mine", temperature=1))["frame"]
    assert frame["header"]["patch_id"] == ["p-1"]
    assert frame["parameter"]["chat"] == {"domain": "xtuned", "max_tokens": 2000, "temperature": 0.5}


async def report(desk: Desk, model: str, **more: Any) -> Any:
    return json.loads(await desk.said("!report", model, **more))


async def test_a_version_can_be_told_what_it_has_learnt(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, versions={"generalv3.5": {"functions": False}})
    assert (await desk.fails(tools=[WEATHER])).param == "tools[0]"


# --- images -------------------------------------------------------------------------------------------------------


def showing(url: str) -> Any:
    return asking(User([ImagePart(ImageURL(url)), TextPart("!say:a cat")]), model="image")


def serving(head: bytes, content: bytes) -> Scene:
    async def scene(peer: Peer) -> None:
        await peer.asked()
        await peer.say(b"HTTP/1.1 " + head + b"\r\ncontent-length: %d\r\n\r\n" % len(content) + content)

    return scene


async def test_an_image_that_is_only_named_is_fetched(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, image_hosts=["127.0.0.1"])
    async with playing(serving(b"200 OK\r\ncontent-type: image/png", b"\x89PNG")) as stage:
        assert said(await answered(desk.provider, showing(f"{stage.url}/cat.png"), desk.lent())) == "a cat"
    frames = [entry["frame"] for entry in service.stats()["log"] if entry["what"] == "question"]
    assert frames[-1]["payload"]["message"]["text"][0]["content"] == "iVBORw=="


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"404 Not Found\r\ncontent-type: image/png", b"x"),
        (b"302 Found\r\nlocation: http://127.0.0.1/", b""),
        (b"200 OK\r\ncontent-type: text/html", b"<html>"),
        (b"200 OK\r\ncontent-type: image/png", b""),
        (b"200 OK\r\ncontent-type: image/png", b"x" * (4 * 2**20 + 1)),
        (b"garbage", b""),
    ],
    ids=["missing", "moved", "page", "empty", "large", "garbage"],
)
async def test_what_is_fetched_must_be_an_image(service: Emulator, net: Net, head: bytes, content: bytes) -> None:
    desk = Desk(service, net, image_hosts=["127.0.0.1"])
    async with playing(serving(head, content)) as stage:
        _, failure = await failed(desk.provider, showing(f"{stage.url}/cat.png"), desk.lent())
    assert (failure.status, failure.code, failure.param) == (400, "invalid_image_url", "messages[0].content[0]")
    assert "question" not in service.stats()["counts"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "10.0.0.1", "169.254.169.254"]
)
async def test_nobody_looks_into_our_own_network(socket: Desk, host: str) -> None:
    async with playing(serving(b"200 OK\r\ncontent-type: image/png", b"x")) as stage:
        url = f"http://{host.format(port=stage.url.rpartition(':')[2])}/secret.png"
        _, failure = await failed(socket.provider, showing(url), socket.lent())
        assert (failure.code, stage.connections) == ("invalid_image_url", 0)
    for url in ("ftp://there.example/x.png", "http://[x/", "file:///etc/passwd", "http://nowhere.invalid/x.png"):
        _, failure = await failed(socket.provider, showing(url), socket.lent())
        assert failure.code == "invalid_image_url"


async def test_a_name_that_leads_into_our_own_network_once_it_was_looked_at_is_sent_nothing(
    socket: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.215.14"])

    def rebinding(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        return [(AF_INET, SOCK_STREAM, 0, "", (next(answers, "127.0.0.1"), int(port or 0)))]

    async with playing(serving(b"200 OK\r\ncontent-type: image/png", b"x")) as stage:
        monkeypatch.setattr("socket.getaddrinfo", rebinding)
        url = f"http://rebinding.example:{stage.url.rpartition(':')[2]}/secret.png"
        _, failure = await failed(socket.provider, showing(url), socket.lent())
        assert (failure.code, failure.message) == ("invalid_image_url", "The image cannot be fetched.")
        assert (next(answers, None), stage.requests) == (None, [])


# --- HTTP ---------------------------------------------------------------------------------------------------------


async def test_every_model_answers_over_http(http: Desk) -> None:
    for model in ("lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra", "x1", "x1-preview", "spark-x"):
        assert await http.said(f"!say:this is {model}", model) == f"this is {model}"


TWISTS_HTTP = ("spaced", "no_usage", "no_done", "finish_reason", "json_for_stream", "bytewise", "gzip")


@pytest.mark.parametrize("twist", TWISTS_HTTP)
async def test_oddities_of_chunks_change_nothing(http: Desk, service: Emulator, twist: str) -> None:
    service.fault(twist, route="chat")
    assert await http.said("!say:晴。明天有雨。") == "晴。明天有雨。"


@pytest.mark.parametrize("twist", ["", "tool_calls_object", "no_ids", "json_for_stream", "finish_reason"])
async def test_a_call_is_read_in_either_form(http: Desk, service: Emulator, twist: str) -> None:
    if twist:
        service.fault(twist, route="chat")
    asked = asking(f"!tool:get_weather:{BASEL}", model="generalv3.5", tools=[WEATHER])
    called = (await answered(http.provider, asked, http.lent())).choices[0]
    assert [(call.name, "".join(call.arguments)) for call in called.calls] == [("get_weather", BASEL)]
    assert called.calls[0].id and called.finish == "tool_calls"


async def test_the_http_api_is_opened_by_a_password_or_by_a_pair(http: Desk, service: Emulator) -> None:
    for parts in ({"api_password": "demo-password-2"}, {"api_key": "demo-api-key", "api_secret": "demo-api-secret"}):
        http.credential = credential(parts)
        assert await http.said("!say:hi") == "hi"
    http.credential = credential({"value": "demo-password-lite"})
    assert type(await http.fails()) is errors.ModelExhausted, "a password is of one version"
    service.set(errors="code")
    assert type(await http.fails()) is errors.ModelExhausted, "with status 200, too"
    http.credential = credential({"value": "nobodys-password"})
    assert type(await http.fails()) is errors.CredentialRejected
    service.fault("bad_form", route="chat")
    assert type(await http.fails()) is errors.CredentialRejected


# --- proxies ------------------------------------------------------------------------------------------------------


def tunnelled(service: Emulator) -> Scene:
    """Whatever comes goes to the stand-in, and back."""

    async def scene(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        try:
            await asyncio.gather(_pumped(peer.reader, writer), _pumped(reader, peer.writer))
        finally:
            writer.close()

    return scene


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def connected(scene: Scene) -> Scene:
    """The same, behind a proxy that is asked for a tunnel."""

    async def play(peer: Peer) -> None:
        assert (await peer.asked()).startswith(b"CONNECT upstream.invalid:80 ")
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await scene(peer)

    return play


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_a_credential_may_go_through_a_proxy_of_its_own(socket: Desk, service: Emulator, scheme: str) -> None:
    wrapped = connected if scheme == "http" else through_socks
    async with playing(wrapped(tunnelled(service))) as stage:
        proxy = stage.url.replace("http://", f"{scheme}://")
        base = "ws://upstream.invalid" if scheme != "socks5" else "ws://127.0.0.2"
        parts = {name: Secret(text) for name, text in APPLICATION.items()}
        socket.credential = Credential("c", "c", parts, proxy=Secret(proxy), base_url=base)
        assert await socket.said("!say:around the corner") == "around the corner"
        assert isinstance(socket.provider, SparkSocket)
        await socket.provider.probe(socket.credential)
        assert stage.connections == 2
