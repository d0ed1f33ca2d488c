"""FlowGPT against its stand-in, without a gateway: every scene of an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import CredentialPlan, Timeouts, Upstream
from parley.chat.events import Text
from parley.chat.prompt import Assistant, System, User
from parley.leases import Lease
from parley.providers import PROVIDERS
from parley.providers.flowgpt import FlowGPT
from parley.providers.optional import ListsModels, OpensSessions, ProbesCredential, RenewsCredential
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net
from tests.shared.providers.lending import (
    answered,
    asking,
    credential,
    failed,
    hung_up_after_the_first_event,
    said,
)
from tests.upstreams.flowgpt.tokens import WEEK, token
from tests.upstreams.running import Emulator

STAND_IN = "flowgpt"
DAY = 86400.0


class Desk:
    """A provider, and leases as the vault would lend them."""

    def __init__(self, service: Emulator, net: Net, *, now: Callable[[], float] = time.time, **options: Any) -> None:
        timeouts = Timeouts(connect=5, first_token=20, between_tokens=20)
        self.upstream = Upstream("flowgpt", "flowgpt", service.url, timeouts=timeouts, options=options)
        self.provider = FlowGPT(self.upstream, net, now=now)

    def lease(self, account: str = "acct-1", *, age: float = DAY, guest: bool = False, **parts: str) -> Lease:
        value = {} if guest else {"value": token(account, issued=time.time() - age)}
        lent = credential({**value, **parts}, guest=guest)
        return Lease(f"lease-{account}", self.upstream, lent)


@pytest.fixture
def desk(service: Emulator, net: Net) -> Desk:
    return Desk(service, net)


async def reported(desk: Desk, *messages: Any, lent: Lease | None = None, **parameters: Any) -> dict[str, Any]:
    prompt = asking(*(messages or ("!report",)), model="default", **parameters)
    report: dict[str, Any] = json.loads(said(await answered(desk.provider, prompt, lent or desk.lease())))
    return report


def default(*messages: Any, **parameters: Any) -> Any:
    return asking(*messages, **{"model": "default", **parameters})


# --- answers --------------------------------------------------------------------------------------------------------


async def test_hello(desk: Desk, service: Emulator) -> None:
    answer = await answered(desk.provider, default("Hello\r\n  世界 🌍\n"), desk.lease())
    assert said(answer) == "Hello\r\n  世界 🌍\n"
    assert (answer.choices[0].finish, answer.usage) == ("stop", None)
    stats = service.stats()
    assert stats["counts"]["chat"] == 1 and "create" not in stats["counts"]
    assert stats["leaks"] == [] and stats["modes"] == {"dash-auth": 1}


async def test_the_request_is_the_pages_own(desk: Desk) -> None:
    lent = desk.lease(device_id="V1StGXR8_Z5jdHi6B-myT")
    report = await reported(desk, lent=lent)
    headers = report["headers"]
    assert headers["authorization"] == f"Bearer {lent.credential.part()}"
    assert headers["x-flow-device-id"] == "V1StGXR8_Z5jdHi6B-myT"
    assert (headers["accept"], headers["accept-language"]) == ("*/*", "zh-CN,zh;q=0.9,en;q=0.8")
    assert (headers["origin"], headers["referer"]) == ("https://flowgpt.com", "https://flowgpt.com/")
    assert headers["x-flow-language"] == "en"
    assert len(headers["x-nonce"]) == 32 and abs(int(headers["x-timestamp"]) - time.time()) < 5
    assert "x-aws-waf-token" not in headers
    assert report["body"] == {
        "model": "FlowGPT-Ares",
        "nsfw": False,
        "question": "!report",
        "temperature": 0.7,
        "userId": "",
        "promptId": "uzNcMUGo4sOwl4GFvRpm8",
        "documentIds": [],
        "generateImage": False,
        "generateAudio": False,
        "history": [],
    }


async def test_what_an_operator_adds_is_sent(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, headers={"x-flow-platform-os": "web"}, nsfw=True)
    report = await reported(desk, lent=desk.lease(waf_token="waf-1"))
    assert report["headers"]["x-flow-platform-os"] == "web"
    assert report["headers"]["x-aws-waf-token"] == "waf-1"
    assert report["body"]["nsfw"] is True


TALK = (System("Be terse."), User("Hi"), Assistant("Hello."), User("!report"))
HEARD = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "!report"},
]


async def test_the_whole_conversation_goes_with_the_question(desk: Desk, service: Emulator) -> None:
    report = await reported(desk, *TALK)
    assert report["heard"] == HEARD and report["conversation"] is None
    assert service.stats()["conversations"] == {}, "nothing is left behind in the account"


async def test_a_conversation_is_made_for_every_question_where_that_is_wished(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, context_mode="create")
    for _ in range(2):
        report = await reported(desk, *TALK)
        assert report["heard"] == HEARD, "the question is told once"
        assert report["conversation"] == HEARD[:-1]
        assert "history" not in report["body"] and "system" not in report["body"]
    assert service.stats()["conversations"] == {"acct-1": 2}


async def test_both_ways_at_once(service: Emulator, net: Net) -> None:
    report = await reported(Desk(service, net, context_mode="both"), *TALK)
    assert report["conversation"] == HEARD[:-1]
    assert report["body"]["history"] == HEARD[1:3] and report["body"]["system"] == "Be terse."


async def test_going_on_is_asked_for_where_an_operator_wants_that(service: Emulator, net: Net, desk: Desk) -> None:
    unfinished = default("Hi", Assistant("Hel"))
    with pytest.raises(errors.BadRequest):
        await answered(desk.provider, unfinished, desk.lease())
    patient = Desk(service, net, go_on="!say:lo")
    assert said(await answered(patient.provider, unfinished, patient.lease())) == "lo"
    assert service.stats()["counts"]["chat"] == 1


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
@pytest.mark.parametrize("more", [{}, {"crlf": True, "blank_lines": True}, {"extras": True, "lines_per_write": 3}])
async def test_words_are_whole_however_their_lines_come(
    desk: Desk, service: Emulator, framing: str, more: dict[str, Any]
) -> None:
    service.set(framing=framing, **more)
    text = "单子 é 🌍\r\n\r\n  好\u2028的\u2029 \u0085 end"
    assert said(await answered(desk.provider, default(text), desk.lease())) == text


@pytest.mark.parametrize(
    "fault", ["bytewise", "gzip", "close_delimited", "fixed_length", "odd_data", "slow_first_byte"]
)
async def test_odd_answers_are_answers(desk: Desk, service: Emulator, fault: str) -> None:
    service.fault(fault, **({"seconds": 0.1} if fault == "slow_first_byte" else {}))
    assert said(await answered(desk.provider, default("Hello 世界"), desk.lease())) == "Hello 世界"
    assert f"fault:{fault}" in service.stats()["counts"]


@pytest.mark.parametrize("piece", range(1, 12))
async def test_an_analysis_is_taken_off_wherever_its_label_is_cut(desk: Desk, service: Emulator, piece: int) -> None:
    service.set(piece=piece)
    prompt = default("!think:wants a greeting\n!say:Hello there, Response:** you")
    assert said(await answered(desk.provider, prompt, desk.lease())) == "Hello there, Response:** you"


async def test_the_cleaner_is_configurable(service: Emulator, net: Net) -> None:
    prompt = default("!think:x\n!say:Hi")
    off = Desk(service, net, clean_characters=0)
    assert said(await answered(off.provider, prompt, off.lease())) == "**User Analysis:** x **Response:** Hi"
    service.set(prefix="Well. Response:** ")
    assert said(await answered(off.provider, default("Hi"), off.lease())) == "Well. Response:** Hi"
    loose = Desk(service, net, clean_strictly=False)
    assert said(await answered(loose.provider, default("Hi"), loose.lease())) == "Hi"


async def test_words_are_passed_on_as_they_come(desk: Desk, service: Emulator) -> None:
    service.set(piece=4, piece_delay=0.3)
    began = time.monotonic()
    stream = desk.provider.stream(default("A slow answer"), desk.lease())
    assert isinstance(await anext(stream), Text)
    assert time.monotonic() - began < 0.9
    await stream.aclose()


async def test_200_answers_beside_each_other_share_nothing(desk: Desk, service: Emulator) -> None:
    service.set(piece_delay=0.002, piece=9)

    async def ask(number: int) -> str:
        account = f"acct-{number % 3 + 1}"
        words = f"!think:{number}\n!say:I am {number} of many, from {account}, and nobody else is {number}"
        return said(await answered(desk.provider, default(words), desk.lease(account)))

    heard = await asyncio.gather(*map(ask, range(200)))
    assert heard == [f"I am {n} of many, from acct-{n % 3 + 1}, and nobody else is {n}" for n in range(200)]
    stats = service.stats()
    assert stats["leaks"] == [] and stats["nonces"] == 200


async def test_a_hang_up_closes_the_upstreams_connection(desk: Desk, service: Emulator) -> None:
    service.set(piece=2, piece_delay=0.2)
    left, took = await hung_up_after_the_first_event(desk.provider, default("A long story"), desk.lease())
    assert took < 0.1
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"], 5)
    assert stats["hangups"][0]["at"] - left < 0.1


# --- signatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["dash-auth", "concat-device", "colon-device", "body"])
async def test_a_question_is_signed_as_configured(service: Emulator, net: Net, mode: str) -> None:
    service.set(signature=mode)
    desk = Desk(service, net, signature_mode=mode, signature_learn=False)
    for _ in range(2):
        assert said(await answered(desk.provider, default("Hi"), desk.lease())) == "Hi"
    assert service.stats()["modes"] == {mode: 2}


async def test_a_formula_of_ones_own_is_one_of_these_too(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, signature_mode="{timestamp}-{nonce}-Bearer {token}", signature_learn=False)
    assert said(await answered(desk.provider, default("Hi"), desk.lease())) == "Hi"


async def test_clock_and_nonce_are_what_they_are_told_to_be(service: Emulator, net: Net) -> None:
    upstream = Upstream("flowgpt", "flowgpt", service.url)
    provider = FlowGPT(upstream, net, now=lambda: 1735689600.9, nonce=lambda: "0" * 32)
    service.set(clock=1735689600 - time.time())
    lent = Lease("l", upstream, credential({"value": token("acct-1", issued=1735600000)}))
    headers = json.loads(said(await answered(provider, default("!report"), lent)))["headers"]
    assert (headers["x-timestamp"], headers["x-nonce"]) == ("1735689600", "0" * 32)
    _, failure = await failed(provider, default("again"), lent)
    assert "signed" in failure.message, "the stand-in takes no nonce twice"


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_another_signature_is_tried_once_and_the_winner_is_kept(
    service: Emulator, desk: Desk, status: int
) -> None:
    service.set(signature="concat-device", signature_status=status)
    lent = desk.lease()
    assert said(await answered(desk.provider, default("Hi"), lent)) == "Hi"
    assert service.stats()["modes"] == {"dash-auth": 1, "concat-device": 1}
    assert lent.renewed is not None and lent.renewed.keys() == {"value", "learnt"}
    service.reset()
    service.set(signature="concat-device")
    later = desk.lease(**{name: secret.reveal() for name, secret in lent.renewed.items()})
    assert said(await answered(desk.provider, default("Hi"), later)) == "Hi"
    assert service.stats()["modes"] == {"concat-device": 1}


async def test_no_more_than_two_are_tried_for_one_question_and_the_next_goes_on_from_there(
    service: Emulator, desk: Desk
) -> None:
    service.set(signature="body")
    lent = desk.lease()
    _, failure = await failed(desk.provider, default("Hi"), lent)
    assert isinstance(failure, errors.UpstreamBroken) and failure.blames == "upstream" and failure.try_next
    assert service.stats()["counts"]["chat"] == 2
    assert lent.renewed is not None
    later = desk.lease(**{name: secret.reveal() for name, secret in lent.renewed.items()})
    assert said(await answered(desk.provider, default("Hi"), later)) == "Hi"
    assert service.stats()["modes"] == {"dash-auth": 1, "concat-device": 1, "colon-device": 1, "body": 1}


async def test_what_was_learnt_does_not_outlive_another_configuration(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, signature_mode="colon-device")
    service.set(signature="colon-device")
    assert said(await answered(desk.provider, default("Hi"), desk.lease(learnt="dash-auth\nbody"))) == "Hi"
    assert service.stats()["modes"] == {"colon-device": 1}


async def test_nothing_is_tried_where_an_operator_knows(service: Emulator, net: Net) -> None:
    service.set(signature="body")
    desk = Desk(service, net, signature_learn=False)
    lent = desk.lease()
    _, failure = await failed(desk.provider, default("Hi"), lent)
    assert "FLOWGPT_SIGNATURE_MODE" in failure.message
    assert service.stats()["counts"]["chat"] == 1 and lent.renewed is None


async def test_a_wrong_clock_is_corrected_by_the_services_own(service: Emulator, desk: Desk) -> None:
    service.set(clock=4000)
    lent = desk.lease()
    assert said(await answered(desk.provider, default("Hi"), lent)) == "Hi"
    assert service.stats()["modes"] == {"dash-auth": 2}, "the clock was wrong, not the formula"
    assert lent.renewed is None
    assert said(await answered(desk.provider, default("Hi"), desk.lease())) == "Hi"
    assert service.stats()["counts"]["chat"] == 3


async def test_a_refused_token_is_not_taken_for_a_refused_signature(service: Emulator, desk: Desk) -> None:
    service.fault("unauthorized")
    _, failure = await failed(desk.provider, default("Hi"), desk.lease())
    assert isinstance(failure, errors.CredentialRejected)
    assert service.stats()["counts"]["chat"] == 1


# --- accounts -------------------------------------------------------------------------------------------------------


async def test_a_token_that_ran_out_is_never_sent(desk: Desk, service: Emulator) -> None:
    for age in (WEEK - 30, WEEK + 1, 30 * DAY):
        events, failure = await failed(desk.provider, default("Hi"), desk.lease(age=age))
        assert (events, type(failure)) == ([], errors.CredentialExpired)
        with pytest.raises(errors.CredentialExpired):
            await desk.provider.probe(desk.lease(age=age).credential)
    stats = service.stats()
    assert stats["log"] == [] and stats["connections"]["opened"] == 0


async def test_a_token_near_its_end_is_told_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await answered(desk.provider, default("Hi"), desk.lease(age=WEEK - 7200))
    (record,) = [record for record in caplog.records if "expires" in record.message]
    assert record.getMessage() == "flowgpt: the token of 'alias-1' expires in 2.0 h"


async def test_a_token_whose_end_nobody_knows_is_the_services_matter(desk: Desk, service: Emulator) -> None:
    lent = Lease("l", desk.upstream, credential({"value": "opaque"}))
    _, failure = await failed(desk.provider, default("Hi"), lent)
    assert isinstance(failure, errors.CredentialRejected) and service.stats()["counts"]["chat"] == 1


async def test_an_account_has_one_device_whatever_its_token(desk: Desk, service: Emulator) -> None:
    for account in ("acct-1", "acct-2"):
        for age in (DAY, 2 * DAY):
            await answered(desk.provider, default("Hi"), desk.lease(account, age=age))
    devices = service.stats()["devices"]
    assert [len(found) for found in devices.values()] == [1, 1]
    assert all(len(device) == 21 for (device,) in devices.values())
    assert service.stats()["leaks"] == []


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_is_renewed_with_the_login_cookie(desk: Desk, service: Emulator, status: int) -> None:
    service.set(bad_token=status)
    service.fault("revoke")
    lent = desk.lease(cookie="login-1", device_id="V1StGXR8_Z5jdHi6B-myT")
    _, failure = await failed(desk.provider, default("Hi"), lent)
    assert isinstance(failure, errors.CredentialExpired)
    renewal = await desk.provider.renew(lent.credential)
    assert renewal.parts["device_id"] == Secret("V1StGXR8_Z5jdHi6B-myT")
    again = Lease("l", desk.upstream, credential({name: part.reveal() for name, part in renewal.parts.items()}))
    assert said(await answered(desk.provider, default("Hi"), again)) == "Hi"
    assert service.stats()["leaks"] == []
    assert again.renewed is not None and again.renewed.keys() == {"value", "cookie", "device_id"}, "it is proven"


async def test_a_fresh_token_that_is_refused_is_not_renewed_again(desk: Desk, service: Emulator) -> None:
    service.fault("suspended", times=None, route="chat")
    renewal = await desk.provider.renew(desk.lease(cookie="login-1").credential)
    fresh = Lease("l", desk.upstream, credential({name: part.reveal() for name, part in renewal.parts.items()}))
    _, failure = await failed(desk.provider, default("Hi"), fresh)
    assert isinstance(failure, errors.CredentialRejected)
    assert fresh.renewed is None


async def test_a_login_that_the_site_prolongs_is_kept(desk: Desk, service: Emulator) -> None:
    service.set(roll_logins=True)
    cookie = "NEXT_LOCALE=en; __Secure-next-auth.session-token=login-1"
    renewal = await desk.provider.renew(desk.lease(cookie=cookie).credential)
    assert renewal.parts["cookie"].reveal() == "NEXT_LOCALE=en; __Secure-next-auth.session-token=login-1~1"


async def test_a_login_that_is_over_is_refused_and_no_token_is_shown_to_the_site(desk: Desk, service: Emulator) -> None:
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.renew(desk.lease(cookie="nobody").credential)
    (record,) = service.stats()["log"]
    assert record["what"] == "refresh" and "authorization" not in record["headers"]


async def test_an_expired_token_for_a_login_is_none(desk: Desk, service: Emulator) -> None:
    service.set(token_seconds=5)
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.renew(desk.lease(cookie="login-1").credential)


async def test_without_a_login_only_a_person_can_renew(desk: Desk, service: Emulator) -> None:
    with pytest.raises(errors.CredentialExpired, match="browser"):
        await desk.provider.renew(desk.lease().credential)
    assert service.stats()["log"] == []


async def test_a_probe_looks_and_asks_nothing(desk: Desk, service: Emulator) -> None:
    await desk.provider.probe(desk.lease().credential)
    service.fault("revoke")
    with pytest.raises(errors.CredentialRejected):
        await desk.provider.probe(desk.lease().credential)
    stats = service.stats()
    assert stats["counts"]["latest"] == 2 and "chat" not in stats["counts"] and "create" not in stats["counts"]


async def test_a_guest_asks_by_the_recorded_shape_and_keeps_its_device(desk: Desk, service: Emulator) -> None:
    made = await desk.provider.renew(desk.lease(guest=True).credential)
    device = made.parts["device_id"].reveal()
    lent = desk.lease(guest=True, device_id=device)
    prompt = asking(System("Be kind."), User("Hi"), Assistant("Hello"), User("!report"), model="claude-instant")
    report = json.loads(said(await answered(desk.provider, prompt, lent)))
    assert report["route"] == "/v3/chat-anonymous"
    assert report["headers"]["authorization"] == "Bearer null"
    assert report["headers"]["x-flow-device-id"] == device and device.startswith("f-")
    assert (report["body"]["promptId"], report["body"]["model"]) == ("model-claude-instant", "claude-instant")
    assert (report["body"]["system"], len(report["body"]["history"])) == ("Be kind.", 2)


async def test_a_guest_who_asks_too_much_rests_with_everybody_at_this_address(desk: Desk, service: Emulator) -> None:
    service.set(guest_limit=0)
    lent = desk.lease(guest=True, device_id="f-0123456789abcdefghi")
    _, failure = await failed(desk.provider, default("Hi"), lent)
    assert isinstance(failure, errors.AddressThrottled)
    with pytest.raises(errors.UpstreamBroken):
        await desk.provider.probe(lent.credential)
    assert service.stats()["counts"]["guest"] == 1


async def test_the_older_route_of_guests_can_be_configured(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, api="v2")
    report = await reported(desk, lent=desk.lease(guest=True, device_id="f-0123456789abcdefghi"))
    assert report["route"] == "/v2/chat-anonymous"


# --- models ---------------------------------------------------------------------------------------------------------


async def test_models_are_the_known_names_and_the_catalogue(desk: Desk, service: Emulator) -> None:
    listed = await desk.provider.models(desk.lease())
    assert listed[:5] == ["default", "gpt-4-free", "chatgpt-5-pro", "aisuperior", "claude-instant"]
    assert "V1StGXR8_Z5jdHi6B-myT" in listed and len(listed) == len(set(listed))
    (record,) = service.stats()["log"]
    assert "authorization" not in record["headers"], "a public list needs no token"
    report = json.loads(
        said(await answered(desk.provider, asking("!report", model="V1StGXR8_Z5jdHi6B-myT"), desk.lease()))
    )
    assert report["body"]["promptId"] == "V1StGXR8_Z5jdHi6B-myT"


async def test_without_discovery_nobody_is_asked(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, discovery=False, models={"mine": "V1StGXR8_Z5jdHi6B-myT"})
    assert (await desk.provider.models(desk.lease()))[:2] == ["mine", "default"]
    assert service.stats()["log"] == []


async def test_a_wall_before_the_catalogue_is_told(desk: Desk, service: Emulator) -> None:
    service.fault("cloudflare_403", route="catalogue")
    with pytest.raises(errors.Challenged):
        await desk.provider.models(desk.lease())


async def test_names_of_the_operators_go_first(service: Emulator, net: Net) -> None:
    models = {
        "mine": {"promptId": "lKm5yPE9x-Naf0_0_KI5M", "model": "magnum-12b-v2"},
        "default": "vlaOLDN9qTxzIlvzfL_Ty",
    }
    desk = Desk(service, net, models=models)
    report = json.loads(said(await answered(desk.provider, asking("!report", model="mine"), desk.lease())))
    assert (report["body"]["promptId"], report["body"]["model"]) == ("lKm5yPE9x-Naf0_0_KI5M", "magnum-12b-v2")
    assert (await reported(desk))["body"]["promptId"] == "vlaOLDN9qTxzIlvzfL_Ty"


async def test_an_unknown_model_is_nobody_unless_an_operator_wants_otherwise(
    service: Emulator, net: Net, desk: Desk
) -> None:
    _, failure = await failed(desk.provider, asking("Hi", model="gpt-4o"), desk.lease())
    assert isinstance(failure, errors.ModelNotFound) and service.stats()["log"] == []
    lenient = Desk(service, net, allow_unknown_model=True)
    answer = await answered(lenient.provider, asking("Hi", model="gpt-4o"), lenient.lease())
    assert said(answer) == "Hi"


@pytest.mark.parametrize("mode", ["history", "create"])
async def test_a_prompt_that_is_gone_is_no_model(service: Emulator, net: Net, mode: str) -> None:
    desk = Desk(service, net, context_mode=mode)
    _, failure = await failed(desk.provider, asking("Hi", model="000000000000000000000"), desk.lease())
    assert isinstance(failure, errors.ModelNotFound) and failure.status == 404


# --- failures -------------------------------------------------------------------------------------------------------

FAULTS = [
    ("unauthorized", {}, errors.CredentialRejected),
    ("forbidden", {}, errors.CredentialRejected),
    ("suspended", {}, errors.CredentialRejected),
    ("cloudflare_block", {}, errors.Challenged),
    ("cloudflare_403", {}, errors.Challenged),
    ("cloudflare_503", {}, errors.Challenged),
    ("cloudflare_200", {}, errors.Challenged),
    ("waf_202", {}, errors.Challenged),
    ("waf_405", {}, errors.Challenged),
    ("waf_403", {}, errors.Challenged),
    ("rate_limit", {"retry_after": 30}, errors.Throttled),
    ("rate_limit_ip", {"retry_after": 9}, errors.AddressThrottled),
    ("rate_limit_ip_text", {}, errors.AddressThrottled),
    ("quota", {}, errors.QuotaExhausted),
    ("quota", {"status": 403}, errors.QuotaExhausted),
    ("prompt_gone", {}, errors.ModelNotFound),
    ("prompt_gone_400", {}, errors.ModelNotFound),
    ("bad_request", {}, errors.BadRequest),
    ("too_long", {}, errors.ContextTooLong),
    ("too_large", {}, errors.ContextTooLong),
    ("server_error", {}, errors.UpstreamBroken),
    ("bad_gateway_html", {}, errors.UpstreamBroken),
    ("unavailable", {"retry_after": 4}, errors.UpstreamOverloaded),
    ("gateway_timeout", {}, errors.UpstreamStalled),
    ("page_200", {}, errors.UpstreamMalformed),
]


@pytest.mark.parametrize("route", ["create", "chat"])
@pytest.mark.parametrize(("fault", "params", "kind"), FAULTS)
async def test_a_refusal_before_the_first_word(
    service: Emulator, net: Net, route: str, fault: str, params: dict[str, Any], kind: type[errors.Failure]
) -> None:
    desk = Desk(service, net, context_mode="create")
    service.fault(fault, route=route, **params)
    events, failure = await failed(desk.provider, default("Hello"), desk.lease())
    assert (events, type(failure)) == ([], kind)
    assert failure.retry_after == params.get("retry_after")
    assert service.stats()["counts"][route] == 1, "nothing was asked twice"


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("empty", {}, errors.UpstreamEmpty),
        ("blank_lines", {}, errors.UpstreamEmpty),
        ("no_words", {}, errors.UpstreamEmpty),
        ("raw", {"text": '{"event":"text","data":" "}\n'}, errors.UpstreamEmpty),
        ("conversation_gone", {}, errors.UpstreamBroken),
        ("error_event", {"at": 0}, errors.UpstreamBroken),
        ("not_json", {"at": 0}, errors.UpstreamMalformed),
        ("error_object", {"at": 0, "text": '{"error":{"message":"Unauthorized"}}'}, errors.CredentialRejected),
        ("error_object", {"at": 0, "text": '{"message":"too many requests from your ip"}'}, errors.AddressThrottled),
    ],
)
async def test_an_answer_that_is_none(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
) -> None:
    service.fault(fault, **params)
    events, failure = await failed(desk.provider, default("Hello"), desk.lease())
    assert (events, type(failure)) == ([], kind)


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("error_event", {}, errors.UpstreamBroken),
        ("error_event", {"event": "exception", "data": {"message": "quota", "code": 402}}, errors.QuotaExhausted),
        ("error_object", {}, errors.UpstreamBroken),
        ("not_json", {}, errors.UpstreamMalformed),
        ("not_object", {}, errors.UpstreamMalformed),
        ("invalid_utf8", {}, errors.UpstreamMalformed),
        ("half_line", {}, errors.UpstreamTruncated),
        ("reset", {}, errors.UpstreamTruncated),
        ("cut", {}, errors.UpstreamTruncated),
        ("cut", {"also": ["fixed_length"]}, errors.UpstreamTruncated),
    ],
)
async def test_a_failure_after_the_first_words(
    desk: Desk, service: Emulator, fault: str, params: dict[str, Any], kind: type[errors.Failure]
) -> None:
    service.fault(fault, **params)
    text = "a story of some length"
    events, failure = await failed(desk.provider, default(text), desk.lease())
    heard = "".join(event.text for event in events if isinstance(event, Text))
    assert type(failure) is kind
    assert heard and text.startswith(heard) and len(events) == len([e for e in events if isinstance(e, Text)])


async def test_a_conversation_without_an_id_is_not_asked_anything(service: Emulator, net: Net) -> None:
    desk = Desk(service, net, context_mode="create")
    service.fault("no_id", route="create")
    _, failure = await failed(desk.provider, default("Hi"), desk.lease())
    assert isinstance(failure, errors.UpstreamMalformed) and failure.try_next
    assert "chat" not in service.stats()["counts"]


@pytest.mark.parametrize("route", ["chat", "create", "latest", "refresh"])
async def test_no_failure_repeats_a_secret_that_the_service_said_back(service: Emulator, net: Net, route: str) -> None:
    desk = Desk(service, net, context_mode="create")
    lent = desk.lease(cookie="login-CANARY-1234567890")
    for fault in ("bad_request", "unauthorized", "server_error", "rate_limit"):
        echo = json.dumps({"message": f"what is {lent.credential.part()} and login-CANARY-1234567890?"})
        service.fault(fault, route=route, text=echo)
        with pytest.raises(errors.Failure) as caught, lent.credential.unsaid(desk.upstream):
            match route:
                case "latest":
                    await desk.provider.probe(lent.credential)
                case "refresh":
                    await desk.provider.renew(lent.credential)
                case _:
                    await answered(desk.provider, default("Hi"), lent)
        assert "CANARY" not in caught.value.message and lent.credential.part()[-20:] not in caught.value.message


# --- what it is -----------------------------------------------------------------------------------------------------


def test_its_abilities(desk: Desk) -> None:
    assert isinstance(desk.provider, RenewsCredential | ProbesCredential | ListsModels)
    assert isinstance(desk.provider, RenewsCredential) and isinstance(desk.provider, ProbesCredential)
    assert isinstance(desk.provider, ListsModels) and not isinstance(desk.provider, OpensSessions)
    assert desk.provider.features == frozenset()
    assert PROVIDERS["flowgpt"] is FlowGPT


@pytest.mark.parametrize(
    "options",
    [
        {"signature_mode": "sha256"},
        {"context_mode": "all"},
        {"colour": "red"},
        {"models": {"a": {"id": "x"}}},
        {"api": "v9"},
    ],
)
def test_options_that_are_none_are_refused(net: Net, options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        FlowGPT(Upstream("flowgpt", "flowgpt", options=options), net)


def test_a_credential_with_an_unknown_part_is_refused(net: Net) -> None:
    plan = CredentialPlan("one", {"token": Secret("t")})
    with pytest.raises(ConfigurationError, match="has no 'token'"):
        FlowGPT(Upstream("flowgpt", "flowgpt", credentials=(plan,)), net)
