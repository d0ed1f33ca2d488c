"""h2oGPTe against its stand-in, without a gateway: every scene of an answer, for guests, logins and keys."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from parley import errors
from parley.catalog import CredentialPlan, Timeouts, Upstream
from parley.chat.events import Text
from parley.chat.prompt import Assistant, ResponseFormat, System, User
from parley.leases import Credential, Lease, Session
from parley.providers.h2ogpte import MODELS, H2oGPTe
from parley.providers.h2ogpte.web import Web
from parley.providers.optional import FindsOrphans, ListsModels, OpensSessions, ProbesCredential, RenewsCredential
from parley.sealed import Secret
from parley.settings import ConfigurationError
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

STAND_IN = "h2ogpte"
LOGIN = {"session": "s-login", "csrf": "csrf-login", "username": "ada"}
WORKSPACE = "workspaces/6f0d3c1e-6a52-4c51-9a54-0d0f6a3f0001"
KEY = {"api_key": "sk-h2o-test"}


class Desk:
    """A provider, and what the vault and the keeper would do around it."""

    def __init__(self, service: Emulator, net: Net, **options: Any) -> None:
        self.upstream = Upstream("h2o", "h2ogpte", service.url, timeouts=Timeouts(connect=5), options=options)
        self.provider = H2oGPTe(self.upstream, net)

    async def guest(self, place: Credential | None = None) -> Credential:
        place = place or credential({}, guest=True)
        renewal = await self.provider.renew(place)
        return Credential(
            place.id, place.alias, renewal.parts, place.generation + 1,
            place.epoch + (not renewal.same_account), place.guest,
        )  # fmt: skip

    async def lease(self, lent: Credential | None = None) -> Lease:
        lent = lent or await self.guest()
        return lease(self.upstream, lent, await self.provider.open_session(lent))


@pytest.fixture
def desk(service: Emulator, net: Net) -> Desk:
    return Desk(service, net, recovery_seconds=0.5)


@pytest.fixture(params=["guest", "login", "key"])
async def lent(request: pytest.FixtureRequest, desk: Desk, service: Emulator) -> Credential:
    """One credential of each kind."""
    if request.param == "guest":
        return await desk.guest()
    if request.param == "key":
        return credential(KEY)
    service.set(logins=[LOGIN])
    return credential({"cookie": LOGIN["session"], "csrf": LOGIN["csrf"]})


async def until(service: Emulator, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait in a thread: what is waited for may need this loop."""
    return await asyncio.to_thread(service.until, true)


def report(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(said(answer))
    return told


def test_it_can_all_that_the_keeper_looks_for(desk: Desk):
    for ability in (OpensSessions, FindsOrphans, RenewsCredential, ProbesCredential, ListsModels):
        assert isinstance(desk.provider, ability)


# --- answers --------------------------------------------------------------------------------------------------------


async def test_hello(desk: Desk, service: Emulator, lent: Credential):
    lent_session = await desk.lease(lent)
    answer = await answered(desk.provider, asking("Hello there, 世界 🌍"), lent_session)
    assert said(answer) == "Hello there, 世界 🌍"
    assert answer.choices[0].finish == "stop"
    assert answer.usage is not None and answer.usage.measured and answer.usage.completion == 4
    stats = service.stats()
    assert stats["max_questions_per_session"] == 1
    assert stats["invalid_questions"] == stats["session_mismatch"] == stats["cross_credential_use"] == 0


async def test_hello_without_streaming(desk: Desk, lent: Credential):
    answer = await answered(desk.provider, asking("Hello", stream=False), await desk.lease(lent))
    assert said(answer) == "Hello"


async def test_several_turns_and_every_parameter_reach_the_model(desk: Desk, lent: Credential):
    schema = {"type": "object"}
    prompt = asking(
        System("Be terse."),
        User("Hi"),
        Assistant("Hello."),
        System("Be kind."),
        User("!report"),
        model="gpt-4o",
        temperature=0,
        max_tokens=4000,
        top_p=0.5,
        seed=7,
        reasoning_effort="low",
        response_format=ResponseFormat("json_schema", {"name": "x", "schema": schema}),
    )
    told = report(await answered(desk.provider, prompt, await desk.lease(lent)))
    assert told["body"] == "User: Hi\n\nAssistant: Hello.\n\nUser: !report\n\nAssistant:"
    assert told["system_prompt"] == "Be terse.\n\nBe kind."
    assert told["llm"] == "gpt-4o"
    assert told["rag_config"] == {"rag_type": "llm_only"}
    assert told["history"] == []
    args = told["llm_args"]
    assert args.pop("cost_controls", {"max_cost": 0.05})["max_cost"] == 0.05
    assert args == {
        "temperature": 0,
        "max_new_tokens": 4000,
        "top_p": 0.5,
        "seed": 7,
        "reasoning_effort": 10_000,
        "use_agent": False,
        "response_format": "json_object",
        "guided_json": schema,
    }


async def test_the_operators_options_reach_the_model(service: Emulator, net: Net):
    desk = Desk(service, net, system_prompt_inject="Always.", reasoning_effort=5, max_cost=0.2, rag_type="auto")
    told = report(await answered(desk.provider, asking(System("Terse."), "!report"), await desk.lease()))
    assert told["system_prompt"] == "Always.\n\nTerse."
    assert told["llm_args"]["reasoning_effort"] == 5
    assert told["llm_args"]["cost_controls"]["max_cost"] == 0.2
    assert told["rag_config"] == {"rag_type": "auto"}


async def test_an_answer_cut_at_the_limit_says_so(desk: Desk, lent: Credential):
    answer = await answered(desk.provider, asking("!words:50", max_tokens=7), await desk.lease(lent))
    assert said(answer) == "w1 w2 w3 w4 w5 w6 w7"
    assert answer.choices[0].finish == "length"


@pytest.mark.parametrize("version", ["1.6.10", "1.7.5"])
async def test_a_limit_is_seen_even_where_the_frames_bring_no_count(
    desk: Desk, service: Emulator, lent: Credential, version: str
):
    service.set(usage_in="none", version=version)
    answer = await answered(desk.provider, asking("!words:50", max_tokens=7), await desk.lease(lent))
    assert answer.choices[0].finish == "length"
    assert answer.usage is not None and answer.usage.completion == 7


async def test_an_answer_without_any_count_is_whole_all_the_same(desk: Desk, service: Emulator):
    service.set(usage_in="none")
    lent = await desk.lease()
    service.fault("http_500", None, route="rpc/db/list_chat_message_meta_part")
    answer = await answered(desk.provider, asking("Hello"), lent)
    assert (said(answer), answer.usage, answer.choices[0].finish) == ("Hello", None, "stop")


FRAMINGS = (
    "batch",
    "blank_lines",
    "crlf",
    "unknown_t",
    "foreign",
    "cp_before_cx",
    "no_cx",
    "duplicate_cr",
    "only_ca",
    "banner",
    "binary",
)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", FRAMINGS)
async def test_odd_frames_make_no_odd_answers(desk: Desk, service: Emulator, fault: str, stream: bool):
    service.fault(fault)
    answer = await answered(desk.provider, asking("Hello 世界, how are you?", stream=stream), await desk.lease())
    assert said(answer) == "Hello 世界, how are you?"
    assert answer.choices[0].finish == "stop"
    assert f"fault:{fault}" in service.stats()["counts"]


async def test_separators_inside_a_frame_end_no_line(desk: Desk, service: Emulator):
    service.fault("separators")
    answer = await answered(desk.provider, asking("one"), await desk.lease())
    assert said(answer) == "one\u2028two\u2029three\u0085four"


async def test_a_piece_of_six_megabytes_is_read(desk: Desk, service: Emulator):
    service.fault("huge")
    answer = await answered(desk.provider, asking("x"), await desk.lease())
    assert len(said(answer)) == 6 * 2**20


@pytest.mark.parametrize("ending", ["ca", "ca+cd", "cr+cd"])
async def test_every_way_to_end_is_an_end(desk: Desk, service: Emulator, ending: str):
    service.set(ending=ending, full_frame=ending == "cr+cd")
    assert said(await answered(desk.provider, asking("Hello"), await desk.lease())) == "Hello"


@pytest.mark.parametrize("size", range(1, 9))
async def test_words_arrive_whole_however_they_are_cut(desk: Desk, service: Emulator, size: int):
    service.set(chunk=size, chunk_by="bytes")
    answer = await answered(desk.provider, asking("a中b文🌍é"), await desk.lease())
    assert said(answer) == "a中b文🌍é"


async def test_where_the_whole_differs_only_a_unary_answer_can_follow_it(
    desk: Desk, service: Emulator, caplog: pytest.LogCaptureFixture
):
    service.fault("ca_differs", None)
    caplog.set_level("WARNING")
    streamed = await answered(desk.provider, asking("Hello"), await desk.lease())
    unary = await answered(desk.provider, asking("Hello", stream=False), await desk.lease())
    cut_at_stops = await answered(desk.provider, asking("Hello", stream=False, stop=["x"]), await desk.lease())
    assert said(streamed) == said(cut_at_stops) == "Hello"
    assert said(unary) == "On second thought: something else."
    assert len(caplog.messages) == 3


async def test_words_are_passed_on_as_they_come(desk: Desk, service: Emulator):
    service.set(chunk_delay=0.15, chunk=1)
    began = time.monotonic()
    lent = await desk.lease()
    stream = desk.provider.stream(asking("abcd"), lent)
    assert isinstance(await anext(stream), Text)
    assert time.monotonic() - began < 0.45
    await stream.aclose()


async def test_a_wordless_upstream_is_seen_to_be_alive(desk: Desk, service: Emulator):
    service.set(first_token_delay=0.2)
    lent = await desk.lease()
    assert lent.active == 0.0
    before = asyncio.get_running_loop().time()
    await answered(desk.provider, asking("Hello"), lent)
    assert lent.active > before


async def test_answers_beside_each_other_share_nothing(desk: Desk, service: Emulator):
    service.set(chunk=2, chunk_delay=0.005)
    lent = await desk.guest()

    async def ask(number: int) -> str:
        return said(await answered(desk.provider, asking(f"I am {number} of many"), await desk.lease(lent)))

    assert await asyncio.gather(*map(ask, range(20))) == [f"I am {number} of many" for number in range(20)]
    assert service.stats()["max_questions_per_session"] == 1


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("ce", {}, errors.UpstreamBroken),
        ("ce", {"in_body": True}, errors.UpstreamBroken),
        ("ce", {"at": "after_cx"}, errors.UpstreamBroken),
        ("ce_rate_limit", {}, errors.Throttled),
        ("ce_rate_limit", {"at": "after_cx"}, errors.Throttled),
        ("ce_cost", {}, errors.QuotaExhausted),
        ("ce_context", {}, errors.ContextTooLong),
        ("ce_timeout", {}, errors.FirstTokenTimeout),
        ("ce_model", {}, errors.ModelNotFound),
        ("empty", {}, errors.UpstreamEmpty),
        ("close", {"at": "before_cx"}, errors.UpstreamTruncated),
        ("close", {"at": "after_cx", "stored": False}, errors.UpstreamTruncated),
    ],
)
async def test_a_failure_before_the_first_word(
    desk: Desk, service: Emulator, lent: Credential, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    lent_session = await desk.lease(lent)
    service.fault(fault, **params)
    events, failure = await failed(desk.provider, asking("Hello there"), lent_session)
    assert (events, type(failure)) == ([], kind)


async def test_a_rate_limit_says_when_to_come_back(desk: Desk, service: Emulator):
    service.fault("ce_rate_limit", retry_after=17)
    _, failure = await failed(desk.provider, asking("Hello"), await desk.lease())
    assert failure.retry_after == 17


@pytest.mark.parametrize("version", ["1.6.10", "1.7.5"])
async def test_an_unknown_model_is_the_callers_mistake(desk: Desk, service: Emulator, version: str):
    service.set(version=version)
    _, failure = await failed(desk.provider, asking("Hello", model="gpt-3.5-turbo"), await desk.lease())
    assert isinstance(failure, errors.ModelNotFound)


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("ce", {"at": "mid_cp"}, errors.UpstreamBroken),
        ("cp_error", {}, errors.UpstreamBroken),
        ("close", {"stored": False}, errors.UpstreamTruncated),
        ("close", {"stored": False, "code": 1000}, errors.UpstreamTruncated),
        ("close", {"stored": False, "code": None}, errors.UpstreamTruncated),
        ("close", {"stored": False, "at": "before_ca"}, errors.UpstreamTruncated),
        ("ce_timeout", {"at": "mid_cp"}, errors.UpstreamStalled),
        ("not_json", {}, errors.UpstreamMalformed),
    ],
)
async def test_a_failure_amid_the_words(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.set(chunk=4)
    lent = await desk.lease()
    service.fault(fault, **params)
    events, failure = await failed(desk.provider, asking("Hello there, how are you?"), lent)
    assert type(failure) is kind
    assert events and all(isinstance(event, Text) for event in events)
    assert "Hello there, how are you?".startswith("".join(e.text for e in events if isinstance(e, Text)))


@pytest.mark.parametrize("at", ["after_cx", "mid_cp", "before_ca"])
@pytest.mark.parametrize("code", [1011, 1000, None])
async def test_an_answer_whose_socket_breaks_is_fetched_and_not_asked_again(
    desk: Desk, service: Emulator, lent: Credential, at: str, code: int | None
):
    lent_session = await desk.lease(lent)
    service.fault("close", at=at, code=code, stored_after=0.2)
    answer = await answered(desk.provider, asking("Hello there, how are you?"), lent_session)
    assert said(answer) == "Hello there, how are you?"
    assert answer.choices[0].finish == "stop"
    stats = service.stats()
    assert stats["duplicate_questions"] == 0
    assert stats["counts"]["question"] == 1


async def test_an_answer_that_cannot_be_fetched_is_truncated_soon(desk: Desk, service: Emulator):
    lent = await desk.lease()
    service.fault("close")
    service.fault("http_500", None, route="rpc/db/list_chat_messages_full")
    began = time.monotonic()
    _, failure = await failed(desk.provider, asking("Hello there"), lent)
    assert isinstance(failure, errors.UpstreamTruncated)
    assert time.monotonic() - began < 0.9


async def test_a_stalled_answer_keeps_waiting_until_somebody_ends_it(desk: Desk, service: Emulator):
    lent = await desk.lease()
    service.fault("stall")
    stream = desk.provider.stream(asking("Hello there"), lent)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    stats = await until(service, lambda stats: stats["hangups"] and stats["stop_calls"])
    assert stats["hangups"][0]["sent"] >= 2


@pytest.mark.parametrize("check", ["refuse"])
async def test_a_session_that_is_not_known_is_lost(desk: Desk, service: Emulator, lent: Credential, check: str):
    service.set(session_check=check)
    stale = lease(desk.upstream, lent, Session("00000000-0000-4000-8000-000000000000", lent.id, 1))
    _, failure = await failed(desk.provider, asking("Hello"), stale)
    assert isinstance(failure, errors.SessionLost)
    assert failure.try_next


async def test_no_session_is_a_lost_one(desk: Desk):
    _, failure = await failed(desk.provider, asking("Hello"), lease(desk.upstream, credential(KEY)))
    assert isinstance(failure, errors.SessionLost)


@pytest.mark.parametrize(
    ("fault", "params", "kinds"),
    [
        ("http_401", {}, (errors.CredentialExpired, errors.CredentialRejected)),
        ("http_403", {}, (errors.CredentialExpired, errors.CredentialRejected)),
        ("http_429", {"retry_after": 9}, (errors.Throttled,)),
        ("http_500", {}, (errors.UpstreamBroken,)),
        ("http_503", {}, (errors.UpstreamOverloaded,)),
        ("waf", {"status": 403}, (errors.Challenged,)),
        ("waf", {"status": 503}, (errors.Challenged,)),
        ("redirect_away", {}, (errors.Challenged,)),
        ("redirect_away", {"to": "/login"}, (errors.CredentialExpired, errors.CredentialRejected)),
    ],
)
async def test_a_refused_handshake(
    desk: Desk,
    service: Emulator,
    lent: Credential,
    fault: str,
    params: dict[str, Any],
    kinds: tuple[type[errors.Failure], ...],
):
    """Where two kinds are named: a web session can be renewed, an API key cannot."""
    lent_session = await desk.lease(lent)
    service.fault(fault, route="ws", **params)
    _, failure = await failed(desk.provider, asking("Hello"), lent_session)
    assert type(failure) is (kinds[-1] if "api_key" in lent.parts else kinds[0])
    assert failure.retry_after == params.get("retry_after")


async def test_a_handshake_that_is_reset_has_not_reached_anybody(desk: Desk, service: Emulator):
    lent = await desk.lease()
    service.fault("reset", route="ws")
    _, failure = await failed(desk.provider, asking("Hello"), lent)
    assert isinstance(failure, errors.UpstreamFailure) and failure.try_next


async def test_nobody_at_home(net: Net, desk: Desk):
    nowhere = Upstream("h2o", "h2ogpte", "http://127.0.0.1:9", timeouts=Timeouts(connect=2))
    provider = H2oGPTe(nowhere, net)
    lent = lease(nowhere, credential({"cookie": "x", "csrf": "y"}), Session("s", "cred-1", 1))
    assert isinstance((await failed(provider, asking("Hello"), lent))[1], errors.Unreachable)
    with pytest.raises(errors.Unreachable):
        await provider.renew(credential({}, guest=True))


# --- hang-up --------------------------------------------------------------------------------------------------------


async def test_a_hang_up_reaches_the_upstream_at_once(desk: Desk, service: Emulator, lent: Credential):
    service.set(chunk=1, chunk_delay=0.05)
    lent_session = await desk.lease(lent)
    left, took = await hung_up_after_the_first_event(desk.provider, asking("x" * 200), lent_session)
    assert took < 0.1
    stats = await until(service, lambda stats: stats["hangups"] and stats["stop_calls"])
    assert stats["hangups"][0]["at"] - left < 0.1
    assert stats["sockets"]["now"] == 0


async def test_a_hang_up_before_the_first_word_reaches_the_upstream_at_once(desk: Desk, service: Emulator):
    service.set(first_token_delay=30)
    lent = await desk.lease()
    waiting = asyncio.ensure_future(anext(desk.provider.stream(asking("Hello"), lent)))
    await until(service, lambda stats: stats["answering"])
    await asyncio.sleep(0.05)
    left = time.time()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    stats = await until(service, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["at"] - left < 0.1


async def test_a_complete_answer_is_not_stopped(desk: Desk, service: Emulator):
    await answered(desk.provider, asking("Hello"), await desk.lease())
    await asyncio.sleep(0.1)
    assert service.stats()["stop_calls"] == 0


# --- guests, logins and keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirects", [0, 1, 2])
@pytest.mark.parametrize("cookie_on", ["redirect", "final", "both"])
@pytest.mark.parametrize("conf", ["single", "double", "apostrophe"])
async def test_a_guest_is_made_from_any_page(desk: Desk, service: Emulator, redirects: int, cookie_on: str, conf: str):
    if redirects == 0 and cookie_on == "redirect":
        cookie_on = "final"
    service.set(redirects=redirects, cookie_on=cookie_on, conf=conf)
    guest = await desk.guest()
    assert said(await answered(desk.provider, asking("Hello"), await desk.lease(guest))) == "Hello"
    stats = service.stats()
    assert stats["guests_issued"] == 1
    assert guest.part("username") == "guest-0001"
    assert guest.part("user_id") == stats["credentials"]["guest-0001"]["user_id"]


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("redirects", [0, 1, 2])
async def test_an_expired_guest_is_renewed_as_the_same_account(
    desk: Desk, service: Emulator, redirects: int, rotate: bool
):
    service.set(redirects=redirects, rotate_cookie=rotate, cookie_on="redirect" if redirects else "final")
    guest = await desk.guest()
    session = await desk.provider.open_session(guest)
    service.control("POST", "expire", {})
    with pytest.raises(errors.CredentialExpired):
        await desk.provider.open_session(guest)
    renewal = await desk.provider.renew(guest)
    assert renewal.same_account
    again = Credential(guest.id, guest.alias, renewal.parts, 2, 1, guest=True)
    assert said(await answered(desk.provider, asking("Hi"), lease(desk.upstream, again, session))) == "Hi"
    stats = service.stats()
    assert (stats["guests_issued"], stats["renewals"]) == (1, 1)


async def test_a_guest_whom_the_service_forgot_becomes_another(desk: Desk, service: Emulator):
    guest = await desk.guest()
    service.control("POST", "expire", {"what": "account"})
    renewal = await desk.provider.renew(guest)
    assert not renewal.same_account
    assert renewal.parts["user_id"] != guest.parts["user_id"]


async def test_an_expired_token_is_a_matter_of_renewal_once(desk: Desk, service: Emulator):
    guest = await desk.guest()
    service.control("POST", "expire", {"what": "csrf"})
    with pytest.raises(errors.CredentialExpired):
        await desk.provider.open_session(guest)
    renewed = await desk.guest(guest)
    await desk.provider.open_session(renewed)
    service.fault("http_403", 2)
    with pytest.raises(errors.CredentialExpired):
        await desk.provider.open_session(renewed)
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.open_session(await desk.guest(renewed))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"conf": "missing"}, errors.UpstreamMalformed),
        ({"conf": "empty_token"}, errors.UpstreamMalformed),
        ({"cookie_on": "none"}, errors.UpstreamMalformed),
        ({"conf": "login_page"}, errors.CredentialRejected),
        ({"guests": False}, errors.CredentialRejected),
        ({"redirects": 20}, errors.UpstreamBroken),
    ],
)
async def test_a_page_that_signs_nobody_in(
    desk: Desk, service: Emulator, settings: dict[str, Any], kind: type[errors.Failure]
):
    service.set(**settings)
    with pytest.raises(kind):
        await desk.guest()


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("http_401", {}, errors.CredentialRejected),
        ("http_403", {}, errors.CredentialRejected),
        ("http_429", {"retry_after": 30}, errors.Throttled),
        ("http_500", {"body": "html"}, errors.UpstreamBroken),
        ("http_503", {}, errors.UpstreamOverloaded),
        ("waf", {"status": 200}, errors.Challenged),
        ("waf", {"status": 403}, errors.Challenged),
        ("redirect_away", {"to": "https://sso.example.org/login"}, errors.CredentialRejected),
        ("reset", {}, errors.UpstreamBroken),
    ],
)
async def test_a_page_that_does_not_come(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, None, route="bootstrap", **params)
    with pytest.raises(kind):
        await desk.guest()


async def test_a_login_is_renewed_from_its_cookie(desk: Desk, service: Emulator):
    service.set(logins=[LOGIN])
    login = credential({"cookie": "h2ogpte.session=s-login; other=1", "csrf": "csrf-login"})
    service.control("POST", "expire", {"credential": "ada"})
    with pytest.raises(errors.CredentialExpired):
        await desk.provider.probe(login)
    renewal = await desk.provider.renew(login)
    assert renewal.same_account
    again = Credential(login.id, login.alias, renewal.parts, 2)
    await desk.provider.probe(again)
    assert again.part("username") == "ada"
    assert service.stats()["guests_issued"] == 0


async def test_a_login_whose_cookie_makes_a_guest_is_dead(desk: Desk, service: Emulator):
    for parts in ({"cookie": "gone", "csrf": "x"}, {"cookie": "gone", "csrf": "x", "user_id": "u-1"}):
        with pytest.raises(errors.CredentialRejected):
            await desk.provider.renew(credential(parts))


async def test_a_probe_costs_nothing_and_tells_who_is_dead(desk: Desk, service: Emulator, lent: Credential):
    await desk.provider.probe(lent)
    service.fault("http_401")
    with pytest.raises(errors.CredentialRejected if "api_key" in lent.parts else errors.CredentialExpired):
        await desk.provider.probe(lent)
    stats = service.stats()
    assert "question" not in stats["counts"]
    assert stats["sessions"]["created"] == 0


async def test_a_login_that_has_become_a_guest_fails_its_probe(desk: Desk, service: Emulator):
    guest = await desk.guest()
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.probe(Credential(guest.id, guest.alias, guest.parts))


async def test_a_key_whose_rights_could_not_be_checked_is_kept(desk: Desk, service: Emulator):
    service.fault("http_401", error_type="authorization_unavailable")
    with pytest.raises(errors.UpstreamOverloaded):
        await desk.provider.probe(credential(KEY))


async def test_a_key_is_not_renewed(desk: Desk):
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.renew(credential(KEY))


async def test_the_models_of_the_service_are_listed(desk: Desk, service: Emulator, lent: Credential):
    service.set(models=["a/b", "c"])
    assert await desk.provider.models(lease(desk.upstream, lent)) == ["auto", "a/b", "c"]


async def test_a_service_without_a_list_has_the_pages_models(desk: Desk, service: Emulator, lent: Credential):
    service.fault("http_404")
    assert await desk.provider.models(lease(desk.upstream, lent)) == list(MODELS)
    service.fault("http_500")
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.models(lease(desk.upstream, lent))


# --- sessions -------------------------------------------------------------------------------------------------------


async def test_sessions_are_deleted_for_good(desk: Desk, service: Emulator, lent: Credential):
    sessions = [(await desk.provider.open_session(lent)).id for _ in range(3)]
    await desk.provider.close_sessions(lent, sessions)
    assert service.stats()["sessions"] == {"created": 3, "deleted": 3, "live": 0}
    await desk.provider.close_sessions(lent, [*sessions, "unknown"])
    await desk.provider.close_sessions(lent, [])


async def test_a_session_belongs_to_its_credential(desk: Desk, lent: Credential):
    session = await desk.provider.open_session(lent)
    assert (session.credential, session.epoch) == (lent.id, lent.epoch)


@pytest.mark.parametrize("fault", ["delete_refused", "delete_fails"])
async def test_a_session_that_stays_is_told(desk: Desk, service: Emulator, lent: Credential, fault: str):
    session = await desk.provider.open_session(lent)
    service.fault(fault)
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.close_sessions(lent, [session.id])
    await desk.provider.close_sessions(lent, [session.id])
    assert service.stats()["sessions"]["live"] == 0


async def test_a_deletion_that_hangs_is_not_waited_for_forever(
    desk: Desk, service: Emulator, lent: Credential, monkeypatch: pytest.MonkeyPatch
):
    for door in ("web", "keyed"):
        monkeypatch.setattr(f"parley.providers.h2ogpte.{door}._DELETE_SECONDS", 0.3)
    session = await desk.provider.open_session(lent)
    service.fault("delete_hangs")
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.close_sessions(lent, [session.id])


async def test_a_deletion_whose_job_was_forgotten_is_looked_after(
    desk: Desk, service: Emulator, monkeypatch: pytest.MonkeyPatch
):
    start = Web._start_deleting

    async def start_and_lose(door: Web, sessions: list[str]) -> str:
        await start(door, sessions)
        return "lost"

    monkeypatch.setattr(Web, "_start_deleting", start_and_lose)
    service.set(delete_delay=0.3)
    guest = await desk.guest()
    session = await desk.provider.open_session(guest)
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.close_sessions(guest, [session.id])
    await until(service, lambda stats: stats["sessions"]["deleted"])
    await desk.provider.close_sessions(guest, [session.id])


@pytest.mark.parametrize("fault", ["create_error", "create_no_id"])
async def test_a_session_that_was_not_made_is_a_failure(desk: Desk, service: Emulator, lent: Credential, fault: str):
    service.fault(fault)
    with pytest.raises(errors.UpstreamFailure):
        await desk.provider.open_session(lent)


async def test_a_session_may_come_as_a_bare_id(desk: Desk, service: Emulator):
    guest = await desk.guest()
    service.fault("create_bare")
    assert said(await answered(desk.provider, asking("Hello"), await desk.lease(guest))) == "Hello"


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("http_429", {"retry_after": 9}, errors.Throttled),
        ("http_429", {"message": "Guest usage quota exceeded"}, errors.QuotaExhausted),
        ("http_403", {"message": "no permission for this workspace"}, errors.CredentialRejected),
        ("http_500", {}, errors.UpstreamBroken),
        ("http_502", {"body": "html"}, errors.UpstreamBroken),
        ("http_503", {}, errors.UpstreamOverloaded),
        ("waf", {}, errors.Challenged),
        ("reset", {}, errors.UpstreamBroken),
    ],
)
async def test_a_call_that_is_refused(
    desk: Desk, service: Emulator, lent: Credential, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, None, **params)  # a reset on a kept connection is asked again once, on a new one
    with pytest.raises(kind) as refused:
        await desk.provider.open_session(lent)
    assert type(refused.value) is kind
    assert refused.value.retry_after == params.get("retry_after")


async def test_a_spent_guest_is_not_replaced(desk: Desk, service: Emulator):
    service.set(guest_quota=1)
    guest = await desk.guest()
    await answered(desk.provider, asking("Hello"), await desk.lease(guest))
    with pytest.raises(errors.QuotaExhausted):
        await desk.provider.open_session(guest)
    assert service.stats()["guests_issued"] == 1


async def test_a_guests_sessions_are_listed_and_a_persons_are_not(desk: Desk, service: Emulator, lent: Credential):
    sessions = {(await desk.provider.open_session(lent)).id for _ in range(3)}
    assert set(await desk.provider.list_sessions(lent)) == (sessions if lent.guest else set())


async def test_the_list_of_sessions_has_many_pages(desk: Desk, service: Emulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("parley.providers.h2ogpte.web._PAGE", 2)
    guest = await desk.guest()
    sessions = {(await desk.provider.open_session(guest)).id for _ in range(5)}
    assert set(await desk.provider.list_sessions(guest)) == sessions


@pytest.mark.parametrize("parts", [{"cookie": LOGIN["session"], "csrf": LOGIN["csrf"]}, KEY])
async def test_a_session_is_set_up_with_workspace_and_template(service: Emulator, net: Net, parts: dict[str, str]):
    service.set(logins=[LOGIN])
    maker, lent = Desk(service, net), credential(parts)
    door: Any = maker.provider._door(lent)
    if "api_key" in parts:
        made = await door._rest("POST", "/prompt_templates", {"name": "t", "system_prompt": "From the template."})
    else:
        made = await door._db("create_prompt_template", "t", "", "", "From the template.")
    desk = Desk(service, net, workspace=WORKSPACE, prompt_template=made["id"])
    told = report(await answered(desk.provider, asking("!report"), await desk.lease(lent)))
    assert told["session_template_id"] == made["id"]
    assert told["system_prompt"] == "From the template."


@pytest.mark.parametrize("parts", [{"cookie": LOGIN["session"], "csrf": LOGIN["csrf"]}, KEY])
async def test_a_session_whose_template_is_refused_is_thrown_away(service: Emulator, net: Net, parts: dict[str, str]):
    service.set(logins=[LOGIN])
    lent = credential(parts)
    desk = Desk(service, net, prompt_template="00000000-0000-4000-8000-00000000dead")
    with pytest.raises(errors.UpstreamFailure):
        await desk.provider.open_session(lent)
    await until(service, lambda stats: stats["sessions"] == {"created": 1, "deleted": 1, "live": 0})


@pytest.mark.parametrize("fault", ["http_401", "http_403", "http_429", "http_500", "waf", "redirect_away", "reset"])
@pytest.mark.parametrize(
    "parts", [{"cookie": "canary-1", "csrf": "canary-2", "user_id": "canary-3"}, {"api_key": "canary-4"}]
)
async def test_no_secret_is_in_a_failure(desk: Desk, service: Emulator, fault: str, parts: dict[str, str]):
    service.fault(fault, None)
    lent = credential(parts, proxy=None)
    told = [repr(desk.provider._door(lent)), repr(lent)]
    for call in (desk.provider.open_session, desk.provider.renew, desk.provider.probe):
        with pytest.raises(errors.Failure) as failure:
            await call(lent)
        told.append("".join(traceback.format_exception(failure.value)))
    with_session = lease(desk.upstream, lent, Session("s", lent.id, 1))
    told.append("".join(traceback.format_exception((await failed(desk.provider, asking("Hi"), with_session))[1])))
    assert "canary" not in "".join(told)


# --- options --------------------------------------------------------------------------------------------------------

WEB = CredentialPlan("web", {"cookie": Secret("x"), "csrf": Secret("y")})
GUEST = CredentialPlan("guest", {}, guest=True)


@pytest.mark.parametrize(
    ("credentials", "options"),
    [
        ((WEB,), {"workspace": "workspaces/h2ogpte-guest"}),
        ((WEB,), {"workspace": "6f0d3c1e"}),
        ((WEB,), {"workspace": "workspaces/"}),
        ((GUEST,), {"prompt_template": "x"}),
        ((CredentialPlan("odd", {"csrf": Secret("y")}),), {}),
    ],
)
def test_options_that_cannot_work_are_refused_at_the_start(
    net: Net, credentials: tuple[CredentialPlan, ...], options: dict[str, Any]
):
    with pytest.raises(ConfigurationError):
        H2oGPTe(Upstream("h2o", "h2ogpte", "http://127.0.0.1:9", credentials, options=options), net)


def test_unknown_options_are_refused(net: Net):
    with pytest.raises(ValueError, match="tempo"):
        H2oGPTe(Upstream("h2o", "h2ogpte", "http://127.0.0.1:9", options={"tempo": 1}), net)


def test_a_guests_leftover_workspace_is_no_mistake(net: Net):
    options = {"workspace": "workspaces/h2ogpte-guest"}
    H2oGPTe(Upstream("h2o", "h2ogpte", "http://127.0.0.1:9", (GUEST,), options=options), net)
