"""gptomni.ai against its stand-in, without a gateway: every scene of an answer."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Text
from parley.chat.prompt import Assistant, System, User
from parley.leases import Lease
from parley.providers import PROVIDERS
from parley.providers.gptomni import GPTOmni, gptomni
from parley.providers.optional import OpensSessions, ProbesCredential, RenewsCredential
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
from tests.upstreams.running import Emulator

STAND_IN = "gptomni"
COOKIE = "__Host-next-auth.csrf-token=t%7Ch; __Secure-next-auth.session-token=tok-1; NEXT_LOCALE=zh; _ga=GA1.1.2"
TOKEN = "__Secure-next-auth.session-token"


class Desk:
    """A provider, and leases as the vault would lend them."""

    def __init__(self, service: Emulator, net: Net, *, per_minute: int = 0, **options: Any) -> None:
        timeouts = Timeouts(connect=5, first_token=20, between_tokens=20)
        self.upstream = Upstream(
            "gptomni", "gptomni", service.url, per_minute=per_minute, timeouts=timeouts, options=options
        )
        self.provider = gptomni(self.upstream, net)

    def lease(self, cookie: str = COOKIE, name: str = "cred-1") -> Lease:
        made = lease(self.upstream, credential({"value": cookie}))
        return Lease(made.id, self.upstream, type(made.credential)(name, name, made.credential.parts))


@pytest.fixture
def desk(service: Emulator, net: Net) -> Desk:
    return Desk(service, net)


# --- answers --------------------------------------------------------------------------------------------------------


async def test_hello(desk: Desk, service: Emulator):
    answer = await answered(desk.provider, asking("Hello\r\n  世界 🌍\n"), desk.lease())
    assert said(answer) == "Hello\r\n  世界 🌍\n"
    assert answer.choices[0].finish == "stop"
    assert answer.usage is None
    stats = service.stats()
    assert stats["counts"]["chat"] == 1
    assert "leak" not in stats["counts"]


async def test_the_request_is_the_pages_own(desk: Desk, service: Emulator):
    told = json.loads(said(await answered(desk.provider, asking("!report"), desk.lease())))
    headers = told["headers"]
    assert told["prompt"] == "!report"
    assert headers["cookie"] == COOKIE
    assert headers["content-type"] == "text/plain;charset=UTF-8"
    assert headers["origin"] == service.url
    assert headers["referer"] == f"{service.url}/zh"
    assert headers["accept"] == "*/*"
    assert headers["accept-language"] == "zh-CN,zh;q=0.9,en;q=0.8"
    assert headers["user-agent"].startswith("Mozilla/5.0")


TALK = (System("Be terse."), User("Hi"), Assistant("Hello."), User("!report"))


async def test_the_whole_history_is_told(desk: Desk):
    told = json.loads(said(await answered(desk.provider, asking(*TALK), desk.lease())))
    assert told["prompt"] == "System: Be terse.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: !report\n\nAssistant:"


async def test_only_the_last_words_are_told_where_that_is_wished(service: Emulator, net: Net):
    desk = Desk(service, net, history="last_only")
    told = json.loads(said(await answered(desk.provider, asking(*TALK), desk.lease())))
    assert told["prompt"] == "!report"


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1000])
async def test_words_arrive_whole_however_their_bytes_are_cut(desk: Desk, service: Emulator, piece: int, framing: str):
    service.set(piece=piece, framing=framing)
    text = "单子 é 🌍\r\n\r\n  好\u2028的"
    assert said(await answered(desk.provider, asking(text), desk.lease())) == text


ODD_BUT_FINE = ("bom", "json_text", "no_content_type", "event_stream_type", "gzip", "close_delimited", "fixed_length")


@pytest.mark.parametrize("fault", [*ODD_BUT_FINE, "bytewise", "slow_first_byte"])
async def test_odd_answers_are_answers(desk: Desk, service: Emulator, fault: str):
    service.fault(fault, **({"seconds": 0.1} if fault == "slow_first_byte" else {}))
    answer = await answered(desk.provider, asking("Hello 世界"), desk.lease())
    expected = json.dumps({"error": "is a word", "answer": 42}) if fault == "json_text" else "Hello 世界"
    assert said(answer) == expected
    assert f"fault:{fault}" in service.stats()["counts"]


async def test_a_long_answer_is_read_whole(desk: Desk, service: Emulator):
    service.set(piece=1 << 16)
    service.fault("long")
    assert len(said(await answered(desk.provider, asking("x"), desk.lease()))) == 4 << 20


async def test_words_are_passed_on_as_they_come(desk: Desk, service: Emulator):
    service.set(piece=4, piece_delay=0.3)
    began = time.monotonic()
    stream = desk.provider.stream(asking("A slow answer"), desk.lease())
    assert isinstance(await anext(stream), Text)
    assert time.monotonic() - began < 0.9
    await stream.aclose()


async def test_answers_beside_each_other_share_nothing(desk: Desk, service: Emulator):
    service.set(piece_delay=0.005)

    async def ask(number: int) -> str:
        lent = desk.lease(f"{TOKEN}=tok-{number % 3 + 1}", f"cred-{number % 3}")
        return said(await answered(desk.provider, asking(f"I am {number} of many"), lent))

    assert await asyncio.gather(*map(ask, range(12))) == [f"I am {number} of many" for number in range(12)]
    stats = service.stats()
    assert "leak" not in stats["counts"]
    assert {name: row["requests"] for name, row in stats["credentials"].items()} == {"tok-1": 4, "tok-2": 4, "tok-3": 4}


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("unauthorized_json", {}, errors.CredentialRejected),
        ("unauthorized_empty", {}, errors.CredentialRejected),
        ("forbidden_json", {}, errors.CredentialRejected),
        ("redirect_login", {}, errors.CredentialRejected),
        ("redirect_login", {"status": 307, "location": "/api/auth/signin"}, errors.CredentialRejected),
        ("error_json_200", {}, errors.CredentialRejected),
        ("message_json_200", {}, errors.CredentialRejected),
        ("login_html_200", {}, errors.CredentialRejected),
        ("cloudflare_403", {}, errors.Challenged),
        ("cloudflare_503", {}, errors.Challenged),
        ("cloudflare_429", {}, errors.Challenged),
        ("cloudflare_200", {}, errors.Challenged),
        ("cloudflare_block", {}, errors.Challenged),
        ("rate_limit", {"retry_after": 30}, errors.Throttled),
        ("rate_limit_text", {}, errors.Throttled),
        ("quota", {}, errors.QuotaExhausted),
        ("quota", {"status": 403}, errors.QuotaExhausted),
        ("quota", {"status": 200}, errors.QuotaExhausted),
        ("too_large", {}, errors.ContextTooLong),
        ("bad_request", {}, errors.BadRequest),
        ("server_error", {}, errors.UpstreamBroken),
        ("server_error", {"status": 522}, errors.UpstreamBroken),
        ("bad_gateway_html", {}, errors.UpstreamBroken),
        ("empty", {}, errors.UpstreamEmpty),
    ],
)
async def test_a_failure_before_the_first_word(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, **params)
    events, failure = await failed(desk.provider, asking("Hello"), desk.lease())
    assert (events, type(failure)) == ([], kind)
    assert failure.retry_after == params.get("retry_after")
    stats = service.stats()
    assert stats["counts"]["chat"] == 1  # nothing was asked twice,
    assert "page" not in stats["counts"]  # and no redirect was followed


@pytest.mark.parametrize("answer", ["401", "401_empty", "403", "redirect", "json_200", "html_200"])
async def test_a_dead_cookie_is_told_whatever_the_site_says(desk: Desk, service: Emulator, answer: str):
    service.set(bad_cookie=answer)
    _, failure = await failed(desk.provider, asking("Hello"), desk.lease(f"{TOKEN}=dead"))
    assert isinstance(failure, errors.CredentialRejected)
    assert (failure.status, failure.blames, failure.try_next) == (502, "credential", True)


async def test_a_challenge_is_neither_solved_nor_tried_again(desk: Desk, service: Emulator):
    service.fault("cloudflare_503", None)
    _, failure = await failed(desk.provider, asking("Hello"), desk.lease())
    assert (failure.status, failure.blames, failure.try_next) == (503, "upstream", False)
    assert service.stats()["counts"]["chat"] == 1


@pytest.mark.parametrize(
    ("fault", "params", "kind", "before"),
    [
        ("whitespace", {}, errors.UpstreamEmpty, ""),
        ("invalid_utf8", {}, errors.UpstreamMalformed, "Hello there, "),
        ("half_character", {}, errors.UpstreamTruncated, "Hello there, how are you?"),
        ("reset", {}, errors.UpstreamTruncated, "Hello there,"),
        ("cut", {}, errors.UpstreamTruncated, "Hello there,"),
        ("cut", {"also": ["fixed_length"]}, errors.UpstreamTruncated, "Hello there,"),
        ("reset", {"also": ["close_delimited"]}, errors.UpstreamTruncated, "Hello there,"),
    ],
)
async def test_a_failure_amid_the_words(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure], before: str
):
    service.fault(fault, **params)
    events, failure = await failed(desk.provider, asking("Hello there, how are you?"), desk.lease())
    assert type(failure) is kind
    assert all(isinstance(event, Text) for event in events)
    words = "".join(event.text for event in events if isinstance(event, Text)).strip()
    # A reset may overtake what was sent before it; it never adds a word.
    assert before.strip().startswith(words) if fault == "reset" else words == before.strip()


async def test_an_answer_that_never_begins_can_be_given_up(desk: Desk, service: Emulator):
    service.fault("hang")
    waiting = asyncio.ensure_future(anext(desk.provider.stream(asking("Hello"), desk.lease())))
    await asyncio.to_thread(service.until, lambda stats: stats["counts"].get("chat"))
    left = time.time()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["at"] - left < 0.1


async def test_a_stalled_answer_keeps_waiting_until_somebody_ends_it(desk: Desk, service: Emulator):
    service.fault("stall")
    stream = desk.provider.stream(asking("Hello there, how are you?"), desk.lease())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            async for _ in stream:
                pass
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["sent"] >= 12


async def test_nobody_at_home(net: Net):
    nowhere = Upstream("gptomni", "gptomni", "http://127.0.0.1:9", timeouts=Timeouts(connect=2))
    _, failure = await failed(gptomni(nowhere, net), asking("Hello"), lease(nowhere, credential({"value": COOKIE})))
    assert isinstance(failure, errors.Unreachable)


# --- hang-up --------------------------------------------------------------------------------------------------------


async def test_a_hang_up_reaches_the_upstream_at_once(desk: Desk, service: Emulator):
    service.set(piece=1, piece_delay=0.02)
    left, took = await hung_up_after_the_first_event(desk.provider, asking("x" * 500), desk.lease())
    assert took < 0.1
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["at"] - left < 0.1


# --- cookies --------------------------------------------------------------------------------------------------------


async def test_a_prolonged_sign_in_is_kept(desk: Desk, service: Emulator):
    service.fault("roll")
    lent = desk.lease()
    await answered(desk.provider, asking("Hello"), lent)
    assert lent.renewed is not None
    assert lent.renewed.keys() == {"value"}
    rolled = lent.renewed["value"].reveal()
    assert rolled == COOKIE.replace("tok-1", service.stats()["tokens"]["tok-1"])
    assert rolled != COOKIE
    assert said(await answered(desk.provider, asking("Again"), desk.lease(rolled))) == "Again"
    assert "leak" not in service.stats()["counts"]


async def test_a_sign_in_that_was_not_prolonged_stays(desk: Desk):
    lent = desk.lease()
    await answered(desk.provider, asking("Hello"), lent)
    assert lent.renewed is None


async def test_a_refusal_prolongs_nothing(desk: Desk, service: Emulator):
    service.fault("forbidden_json", headers={"Set-Cookie": f"{TOKEN}=other; Path=/"})
    lent = desk.lease()
    await failed(desk.provider, asking("Hello"), lent)
    assert lent.renewed is None


# --- pace, probe, options -------------------------------------------------------------------------------------------


async def test_starts_of_one_cookie_are_drawn_apart(service: Emulator, net: Net):
    desk = Desk(service, net, spacing=0.2)
    lent = [*(desk.lease() for _ in range(3)), desk.lease(f"{TOKEN}=tok-2", "cred-2")]
    await asyncio.gather(*(answered(desk.provider, asking("Hello"), one) for one in lent))
    rows = service.stats()["credentials"]
    first, second, third = sorted(rows["tok-1"]["at"])
    assert second - first > 0.15
    assert third - second > 0.15
    assert rows["tok-2"]["at"][0] < second


@pytest.mark.parametrize(("per_minute", "seconds"), [(0, 0.0), (2, 1.0), (6, 1.0), (60, 0.1), (6000, 0.001)])
def test_the_spacing_follows_the_pace_of_the_fleet(service: Emulator, net: Net, per_minute: int, seconds: float):
    assert Desk(service, net, per_minute=per_minute).provider._spacing == pytest.approx(seconds)


async def test_a_probe_is_made_only_where_the_operator_wants_it(service: Emulator, net: Net):
    assert not isinstance(Desk(service, net).provider, ProbesCredential)
    desk = Desk(service, net, probe=True)
    assert isinstance(desk.provider, ProbesCredential)
    await desk.provider.probe(credential({"value": COOKIE}))
    for bad in (credential({"value": f"{TOKEN}=dead"}), credential({"value": "NEXT_LOCALE=zh"})):
        with pytest.raises(errors.CredentialRejected):
            await desk.provider.probe(bad)
    service.fault("cloudflare_403", route="session")
    with pytest.raises(errors.Challenged):
        await desk.provider.probe(credential({"value": COOKIE}))
    counts = service.stats()["counts"]
    assert counts["session"] == 4
    assert "chat" not in counts


def test_it_is_known_by_its_name_and_does_no_more_than_it_can(desk: Desk):
    assert PROVIDERS["gptomni"] is gptomni
    assert isinstance(desk.provider, GPTOmni)
    assert desk.provider.features == frozenset()
    for ability in (OpensSessions, RenewsCredential):
        assert not isinstance(desk.provider, ability)


def test_options_that_make_no_sense_are_refused(service: Emulator, net: Net):
    for options in ({"history": "all"}, {"tempo": 1}, {"challenges": "on"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Desk(service, net, **options)


async def test_nothing_is_asked_without_words(desk: Desk, service: Emulator):
    _, failure = await failed(desk.provider, asking(System("x"), User(" ")), desk.lease())
    assert isinstance(failure, errors.BadRequest)
    assert "chat" not in service.stats()["counts"]


async def test_no_cookie_is_in_a_failure(desk: Desk, service: Emulator):
    canary = "canary-7f3a"
    lent = desk.lease(f"{TOKEN}={canary}")
    _, failure = await failed(desk.provider, asking("Hello"), lent)
    told = f"{failure!r} {failure.__cause__!r} {lent!r} {Secret(canary)!r}"
    assert canary not in told
