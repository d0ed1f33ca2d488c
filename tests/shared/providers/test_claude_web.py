"""claude.ai against its stand-in, without a gateway: every scene of an answer, and what becomes of its conversation."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import PoolPlan, Timeouts, Upstream
from parley.chat.events import Text
from parley.chat.prompt import Assistant, System, User
from parley.dialects import claude_web as dialect
from parley.dialects.claude_web.encode import POINTER
from parley.leases import Credential, Lease, Session
from parley.providers import PROVIDERS
from parley.providers.claude_web import ClaudeWeb
from parley.providers.optional import ListsModels, MarksSessions, OpensSessions, ProbesCredential, RenewsCredential
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.shared.providers.lending import answered, asking, failed, hung_up_after_the_first_event, said
from tests.upstreams.claude_web.service import organization
from tests.upstreams.running import Emulator

STAND_IN = "claude_web"
KEY = "sk-ant-sid01-one"
MODEL = "claude-sonnet-4-5-20250929"
LONG = "!say:" + " ".join(f"word{n}" for n in range(60))


class Desk:
    """A provider, and leases as the vault would lend them."""

    def __init__(self, service: Emulator, net: Net, **options: Any) -> None:
        timeouts = Timeouts(connect=5, first_token=20, between_tokens=20)
        self.upstream = Upstream(
            "claude-web", "claude-web", service.url, timeouts=timeouts, options={"recovery_seconds": 1.0, **options}
        )
        self.provider = ClaudeWeb(self.upstream, net)

    def credential(self, key: str = KEY, name: str = "cred-1", **parts: str) -> Credential:
        return Credential(name, name, {"cookie": Secret(key), **{n: Secret(text) for n, text in parts.items()}})

    async def lease(self, *given: str, **parts: str) -> Lease:
        credential = self.credential(*given, **parts)
        return Lease("lease-1", self.upstream, credential, await self.provider.open_session(credential))

    async def report(self, *messages: Any, cookie: str = KEY, **parameters: Any) -> dict[str, Any]:
        prompt = asking(*(messages or ["!report"]), model=MODEL, **parameters)
        told: dict[str, Any] = json.loads(said(await answered(self.provider, prompt, await self.lease(cookie))))
        return told


@pytest.fixture
def desk(service: Emulator, net: Net) -> Desk:
    return Desk(service, net, transport="http")


def hello(text: str = "Hello\n  世界 🌍", **parameters: Any) -> Any:
    return asking(text, model=MODEL, **parameters)


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["browser", "http"])
async def test_hello(service: Emulator, net: Net, transport: str):
    desk = Desk(service, net, transport=transport)
    lease = await desk.lease()
    assert lease.session
    answer = await answered(desk.provider, hello(), lease)
    assert said(answer) == "Hello\n  世界 🌍"
    assert answer.choices[0].finish == "stop"
    assert answer.usage is None
    stats = service.stats()
    assert stats["counts"]["chat"] == stats["counts"]["organizations"] == 1
    assert stats["conversations"]["one"]["live"] == [lease.session.id]
    assert stats["hangups"] == [], "the end of the body was not waited for"


def test_what_it_can_do(desk: Desk):
    assert PROVIDERS["claude-web"] is ClaudeWeb
    for ability in (OpensSessions, MarksSessions, ProbesCredential):
        assert isinstance(desk.provider, ability)
    for ability in (RenewsCredential, ListsModels):
        assert not isinstance(desk.provider, ability)


@pytest.mark.parametrize("transport", ["browser", "http"])
async def test_the_request_is_the_pages_own(service: Emulator, net: Net, transport: str):
    told = await Desk(service, net, transport=transport).report()
    headers, body = told["headers"], told["body"]
    assert told["cookies"] == {"sessionKey": KEY}
    assert headers["anthropic-client-platform"] == "web_claude_ai"
    assert headers["origin"] == service.url
    assert headers["referer"] == f"{service.url}/chat/{told['conversation']}"
    assert headers["accept"] == "text/event-stream"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Mozilla/5.0 (")
    assert headers["sec-fetch-site"] == "same-origin"
    assert told["organization"] == organization("one"), "the API organisation has no chat"
    assert body["prompt"] == "!report"
    assert body["create_conversation_params"]["is_temporary"] is True
    assert told["branch"] == []


async def test_the_device_is_the_credentials_own_and_the_agent_may_be_given(service: Emulator, net: Net):
    agent = "Mozilla/5.0 (X11; Linux x86_64) Test/1"
    desk = Desk(service, net, transport="browser", user_agent=agent)
    first, second = [(await desk.report())["headers"] for _ in range(2)]
    assert first["anthropic-device-id"] == second["anthropic-device-id"] != dialect.device("cred-2")
    assert first["user-agent"] == agent
    mine = "4be0643f-1d98-4df6-9d1b-bd1f3ab5cd1d"
    told = await desk.report(cookie=f"sessionKey={KEY}; anthropic-device-id={mine}")
    assert told["headers"]["anthropic-device-id"] == mine


PASTED = f"_ga=GA1; sessionKey={KEY}; cf_clearance=cf; intercom=x; __cf_bm=bm; lastActiveOrg=nobody"


async def test_only_the_cookies_that_are_needed_are_sent_unless_all_are_wished(service: Emulator, net: Net):
    told = await Desk(service, net).report(cookie=PASTED)
    assert told["cookies"].keys() == {"sessionKey", "cf_clearance", "__cf_bm", "lastActiveOrg"}
    told = await Desk(service, net, whole_cookie=True).report(cookie=PASTED)
    assert told["cookies"].keys() == {"_ga", "sessionKey", "cf_clearance", "intercom", "__cf_bm", "lastActiveOrg"}


async def test_a_cookie_without_a_session_key_is_the_operators_matter(desk: Desk, service: Emulator):
    _, failure = await failed(desk.provider, hello(), await desk.lease("_ga=GA1; other=1"))
    assert isinstance(failure, errors.CredentialRejected)
    assert service.stats()["counts"] == {}


async def test_an_organisation_that_is_given_is_not_looked_up(desk: Desk, service: Emulator):
    lease = await desk.lease(organization=organization("one"))
    assert said(await answered(desk.provider, hello("hi"), lease)) == "hi"
    assert "organizations" not in service.stats()["counts"]


async def test_an_organisation_is_looked_up_once_and_anew_after_a_refusal(desk: Desk, service: Emulator):
    for _ in range(3):
        await answered(desk.provider, hello(), await desk.lease())
    assert service.stats()["counts"]["organizations"] == 1
    service.fault("not_found", route="completion")
    _, failure = await failed(desk.provider, hello(), await desk.lease())
    assert isinstance(failure, errors.SessionLost)
    await answered(desk.provider, hello(), await desk.lease())
    assert service.stats()["counts"]["organizations"] == 2


TALK = (System("Be terse."), User("Hi"), Assistant("Hello."), User("!report"))


async def test_the_whole_history_is_told_as_one_text(desk: Desk):
    told = await desk.report(*TALK)
    assert told["body"]["prompt"] == "System: Be terse.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: !report\n\nAssistant:"


async def test_a_long_history_is_attached(service: Emulator, net: Net):
    told = await Desk(service, net, attach_over=1000).report("Hi " * 400, Assistant("Hello."), "!report")
    (file,) = told["body"]["attachments"]
    assert file["extracted_content"].endswith("User: !report\n\nAssistant:")
    assert (file["file_name"], told["body"]["prompt"]) == ("conversation.txt", POINTER)


async def test_thoughts_are_kept_apart(desk: Desk):
    answer = await answered(
        desk.provider, hello("!think:hmm, well\n!say:done", reasoning_effort="high"), await desk.lease()
    )
    assert "".join(answer.choices[0].thought) == "hmm, well"
    assert said(answer) == "done"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "stop"),
        ("max_tokens", "length"),
        ("tool_use_limit", "length"),
        ("refusal", "content_filter"),
        ("cyber_refusal", "content_filter"),
        ("prompt_injection_risk", "content_filter"),
    ],
)
async def test_why_it_stopped(desk: Desk, reason: str, finish: str):
    answer = await answered(desk.provider, hello(f"!say:words\n!stop:{reason}"), await desk.lease())
    assert (said(answer), answer.choices[0].finish) == ("words", finish)


@pytest.mark.parametrize(
    "oddity",
    ["unknown_events", "limit_last", "old_form", "crlf", "cr", "comments", "multi_line", "last_unterminated", "gzip"],
)
async def test_an_odd_answer_is_an_answer(desk: Desk, service: Emulator, oddity: str):
    service.fault(oddity)
    assert said(await answered(desk.provider, hello(LONG), await desk.lease())) == LONG.removeprefix("!say:")


@pytest.mark.parametrize("transport", ["browser", "http"])
async def test_an_answer_that_comes_byte_by_byte(service: Emulator, net: Net, transport: str):
    service.fault("bytewise")
    desk = Desk(service, net, transport=transport)
    assert (
        said(await answered(desk.provider, hello("Grüße, 世界 👩‍👩‍👧‍👦"), await desk.lease())) == "Grüße, 世界 👩‍👩‍👧‍👦"
    )


# --- refusals -------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, dict[str, Any], type[errors.Failure]]] = [
    ("session_invalid", {}, errors.CredentialRejected),
    ("session_invalid", {"status": 401}, errors.CredentialRejected),
    ("authentication_error", {}, errors.CredentialRejected),
    ("redirect_login", {}, errors.CredentialRejected),
    ("redirect_login", {"location": "https://claude.ai/app-unavailable-in-region"}, errors.Challenged),
    ("org_disabled", {}, errors.CredentialRejected),
    ("org_disabled", {"status": 403}, errors.CredentialRejected),
    ("cloudflare_403", {}, errors.Challenged),
    ("cloudflare_503", {}, errors.Challenged),
    ("cloudflare_200", {}, errors.Challenged),
    ("quota", {}, errors.QuotaExhausted),
    ("quota", {"resets_in": None}, errors.Throttled),
    ("quota", {"resets_in": -60}, errors.Throttled),
    ("quota", {"per_model": True}, errors.ModelExhausted),
    ("throttle", {"retry_after": 7}, errors.Throttled),
    ("throttle", {"retry_after": "date"}, errors.Throttled),
    ("throttle", {}, errors.Throttled),
    ("concurrents", {}, errors.Throttled),
    ("overloaded", {}, errors.UpstreamOverloaded),
    ("server_error", {}, errors.UpstreamBroken),
    ("bad_gateway_html", {}, errors.UpstreamBroken),
    ("too_large", {}, errors.ContextTooLong),
    ("too_long", {}, errors.ContextTooLong),
    ("not_found", {}, errors.SessionLost),
    ("no_model", {}, errors.ModelNotFound),
    ("bad_locale", {}, errors.UpstreamBroken),
    ("no_permission", {}, errors.CredentialRejected),
    ("raw", {"status": 200, "text": "<html>hello</html>", "content_type": "text/html"}, errors.UpstreamMalformed),
]


@pytest.mark.parametrize(
    ("fault", "params", "kind"), REFUSALS, ids=[f"{name}{told or ''}" for name, told, _ in REFUSALS]
)
async def test_a_refusal_is_told_as_what_it_is(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, route="completion", **params)
    events, failure = await failed(desk.provider, hello(), await desk.lease())
    assert events == []
    assert type(failure) is kind
    assert f"status:{failure.upstream_status}" in service.stats()["counts"]
    if fault == "throttle" and params:
        assert failure.retry_after is not None and 5 < failure.retry_after <= 7
    if fault == "quota" and not params:
        assert failure.retry_after is not None and 3590 < failure.retry_after <= 3600


@pytest.mark.parametrize("transport", ["browser", "http"])
@pytest.mark.parametrize("manner", ["403", "401", "redirect"])
async def test_an_expired_session_and_a_challenge_are_told_apart(
    service: Emulator, net: Net, transport: str, manner: str
):
    desk = Desk(service, net, transport=transport)
    service.set(expired=[KEY], expired_as=manner)
    _, failure = await failed(desk.provider, hello(), await desk.lease())
    assert (type(failure), failure.blames) == (errors.CredentialRejected, "credential")
    service.set(expired=[], refuse_agents=["Mozilla"])
    _, failure = await failed(desk.provider, hello(), await desk.lease())
    assert (type(failure), failure.blames) == (errors.Challenged, "upstream")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("empty_body", errors.UpstreamEmpty),
        ("only_pings", errors.UpstreamEmpty),
        ("blank", errors.UpstreamEmpty),
        ("thinking_only", errors.UpstreamEmpty),
        ("garbage_frame", errors.UpstreamMalformed),
        ("not_object", errors.UpstreamMalformed),
        ("error_event", errors.UpstreamOverloaded),
    ],
)
async def test_an_answer_that_is_none(desk: Desk, service: Emulator, fault: str, kind: type[errors.Failure]):
    service.fault(fault)
    _, failure = await failed(desk.provider, hello(LONG), await desk.lease())
    assert type(failure) is kind


async def test_thoughts_alone_are_an_answer(desk: Desk, service: Emulator):
    service.fault("thinking_only")
    answer = await answered(desk.provider, hello("!think:hmm\n!say:done"), await desk.lease())
    assert ("".join(answer.choices[0].thought), said(answer)) == ("hmm", "")


@pytest.mark.parametrize("reason", ["error", "user_canceled", "reason_of_tomorrow"])
async def test_a_reason_that_is_no_end_is_a_failure(desk: Desk, reason: str):
    events, failure = await failed(desk.provider, hello(f"!say:words\n!stop:{reason}"), await desk.lease())
    assert "".join(event.text for event in events if isinstance(event, Text)) == "words"
    assert isinstance(failure, errors.UpstreamBroken | errors.UpstreamMalformed)


@pytest.mark.parametrize(
    ("messages", "parameters", "param"),
    [
        ((User("hi"), Assistant("hello")), {}, "messages"),
        ((System("hi"),), {}, "messages"),
        ((User("  "),), {}, "messages"),
        ((User("hi"),), {"reasoning_effort": "enormous"}, "reasoning_effort"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    desk: Desk, service: Emulator, messages: Any, parameters: Any, param: str
):
    _, failure = await failed(desk.provider, asking(*messages, model=MODEL, **parameters), await desk.lease())
    assert (failure.status, failure.param) == (400, param)
    assert service.stats()["counts"] == {}


# --- answers that broke off -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["browser", "http"])
@pytest.mark.parametrize("fault", ["reset", "cut", "no_message_stop", "no_stop_reason"])
async def test_the_rest_of_a_broken_answer_is_read_where_it_is_kept(
    service: Emulator, net: Net, fault: str, transport: str
):
    service.set(finish_after=0.15)
    service.fault(fault)
    desk = Desk(service, net, transport=transport)
    answer = await answered(desk.provider, hello(LONG), await desk.lease())
    assert said(answer) == LONG.removeprefix("!say:")
    assert answer.choices[0].finish == "stop"
    counts = service.stats()["counts"]
    assert counts["chat"] == counts["read"] == 1 and counts["status"] >= 1


@pytest.mark.parametrize("fault", ["reset", "cut"])
async def test_an_answer_that_is_lost_is_no_answer(desk: Desk, service: Emulator, fault: str):
    service.fault(fault, stored=False)
    events, failure = await failed(desk.provider, hello(LONG), await desk.lease())
    assert type(failure) is errors.UpstreamTruncated
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert text and LONG.removeprefix("!say:").startswith(text)


async def test_an_answer_that_never_comes_back_is_looked_for_only_so_long(service: Emulator, net: Net):
    service.set(finish_after=60)
    service.fault("cut")
    desk = Desk(service, net, recovery_seconds=0.3)
    _, failure = await failed(desk.provider, hello(LONG), await desk.lease())
    assert type(failure) is errors.UpstreamTruncated
    assert "read" not in service.stats()["counts"]


async def test_a_question_that_was_taken_already_is_not_asked_again(desk: Desk, service: Emulator):
    service.set(finish_after=0.15)
    service.fault("already")
    assert said(await answered(desk.provider, hello(LONG), await desk.lease())) == LONG.removeprefix("!say:")
    assert service.stats()["counts"]["chat"] == 1


# --- conversations ----------------------------------------------------------------------------------------------------


async def test_a_conversation_is_deleted_and_one_that_never_was_is_gone_too(desk: Desk, service: Emulator):
    lease = await desk.lease()
    assert lease.session
    await answered(desk.provider, hello(), lease)
    never = await desk.provider.open_session(lease.credential)
    await desk.provider.close_sessions(lease.credential, [never.id, lease.session.id])
    assert service.stats()["conversations"]["one"] == {"created": 1, "deleted": 1, "live": []}
    await desk.provider.close_sessions(lease.credential, [])
    assert service.stats()["counts"]["delete"] == 2


async def test_what_is_not_deleted_is_not_said_to_be(desk: Desk, service: Emulator):
    lease = await desk.lease()
    assert lease.session
    await answered(desk.provider, hello(), lease)
    service.fault("server_error", route="delete")
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.close_sessions(lease.credential, [lease.session.id])
    await desk.provider.close_sessions(lease.credential, [lease.session.id])
    assert service.stats()["conversations"]["one"]["live"] == []


@pytest.mark.parametrize("transport", ["browser", "http"])
async def test_a_hang_up_reaches_the_service_at_once_and_stops_the_answer(service: Emulator, net: Net, transport: str):
    service.set(piece_delay=0.2, finish_after=60)
    desk = Desk(service, net, transport=transport)
    lease = await desk.lease()
    assert lease.session
    left, took = await hung_up_after_the_first_event(desk.provider, hello(LONG), lease)
    stats = await asyncio.to_thread(service.until, lambda told: told["hangups"] and told["counts"].get("stop"))
    assert took < 0.1
    assert stats["hangups"][0]["at"] - left < 0.1
    assert stats["hangups"][0]["conversation"] == lease.session.id
    await desk.provider.close_sessions(lease.credential, [lease.session.id])
    assert service.stats()["conversations"]["one"]["live"] == []


async def test_without_a_conversation_nothing_is_asked(desk: Desk, service: Emulator):
    lent = Lease("lease-1", desk.upstream, desk.credential())
    _, failure = await failed(desk.provider, hello(), lent)
    assert isinstance(failure, errors.SessionLost)
    assert service.stats()["counts"] == {}


async def test_our_conversations_are_told_from_a_persons_own(service: Emulator, net: Net):
    desk = Desk(service, net, temporary=False)
    ours = []
    for _ in range(3):
        lease = await desk.lease()
        assert lease.session
        await answered(desk.provider, hello(), lease)
        ours.append(lease.session.id)
    theirs = Lease("l", desk.upstream, desk.credential(), Session("4be0643f-1d98-4df6-9d1b-bd1f3ab5cd1d", "cred-1", 1))
    await answered(desk.provider, hello(), theirs)
    listed = await desk.provider.list_sessions(desk.credential())
    assert sorted(listed) == sorted([*ours, "4be0643f-1d98-4df6-9d1b-bd1f3ab5cd1d"])
    assert [one for one in listed if desk.provider.bears_our_mark(desk.credential(), one)] == ours[::-1]
    stranger = desk.credential(KEY, "cred-of-another-installation")
    assert not any(desk.provider.bears_our_mark(stranger, one) for one in listed)


async def test_temporary_conversations_are_in_no_list_and_none_is_asked_for(desk: Desk, service: Emulator):
    await answered(desk.provider, hello(), await desk.lease())
    assert await desk.provider.list_sessions(desk.credential()) == []
    assert "list" not in service.stats()["counts"]


async def test_a_long_list_is_read_page_by_page(service: Emulator, net: Net):
    desk = Desk(service, net, temporary=False)
    for _ in range(103):
        await answered(desk.provider, hello("x"), await desk.lease())
    assert len(await desk.provider.list_sessions(desk.credential())) == 103
    assert service.stats()["counts"]["list"] == 2


# --- accounts -------------------------------------------------------------------------------------------------------


async def test_a_renewed_session_key_is_kept(desk: Desk, service: Emulator):
    service.fault("roll", times=None, route="completion")
    lease = await desk.lease()
    await answered(desk.provider, hello(), lease)
    assert lease.renewed == {"cookie": Secret(f"{KEY}~1")}
    lease = await desk.lease(PASTED)
    await answered(desk.provider, hello(), lease)
    assert lease.renewed == {"cookie": Secret(PASTED.replace(KEY, f"{KEY}~2"))}
    service.reset()
    lease = await desk.lease()
    await answered(desk.provider, hello(), lease)
    assert lease.renewed is None


async def test_accounts_share_nothing(desk: Desk):
    async def one(name: str) -> None:
        lease = await desk.lease(f"sk-ant-sid01-{name}", f"cred-{name}")
        for n in range(4):
            told = json.loads(said(await answered(desk.provider, hello("!report"), lease)))
            assert (told["account"], told["organization"]) == (name, organization(name)), n
            lease.session = await desk.provider.open_session(lease.credential)

    await asyncio.gather(*(one(name) for name in ("one", "two", "three")))


async def test_a_probe_asks_for_nothing_that_counts(desk: Desk, service: Emulator):
    await desk.provider.probe(desk.credential())
    assert service.stats()["counts"].keys() == {"organizations", "usage", "status:200"}
    service.set(expired=[KEY])
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.probe(desk.credential())


async def test_a_probe_sees_a_limit_that_is_reached(desk: Desk, service: Emulator):
    service.set(usage={"five_hour": {"utilization": 100, "resets_at": "2999-01-01T00:00:00Z"}, "seven_day": None})
    with pytest.raises(errors.QuotaExhausted) as caught:
        await desk.provider.probe(desk.credential())
    assert caught.value.retry_after == errors.QuotaExhausted.longest_rest


async def test_a_site_without_a_usage_page_works_all_the_same(desk: Desk, service: Emulator):
    service.fault("not_found", route="usage")
    await desk.provider.probe(desk.credential())


async def test_too_many_answers_at_once_are_a_throttle(desk: Desk, service: Emulator):
    service.set(most_streams=1, piece_delay=0.1)
    stream = desk.provider.stream(hello(LONG), await desk.lease())
    await anext(stream)
    _, failure = await failed(desk.provider, hello(), await desk.lease())
    await stream.aclose()
    assert type(failure) is errors.Throttled


def test_no_conversation_can_be_kept_warm(service: Emulator, net: Net):
    with pytest.raises(ConfigurationError):
        ClaudeWeb(Upstream("claude-web", "claude-web", service.url, pool=PoolPlan()), net)


@pytest.mark.parametrize("options", [{"locale": "xx"}, {"effort": "huge"}, {"nonsense": 1}, {"transport": "pigeon"}])
def test_wrong_options_are_refused(service: Emulator, options: dict[str, Any]):
    with pytest.raises(msgspec.ValidationError):
        ClaudeWeb(
            Upstream("claude-web", "claude-web", service.url, options=options), Net(HTTP(), WebSockets(), Browser())
        )
