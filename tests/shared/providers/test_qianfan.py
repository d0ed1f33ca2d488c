"""The providers for Baidu Qianfan, against a stand-in that breaks in every way the real one does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from parley import clock, errors
from parley.catalog import CredentialPlan, Timeouts, Upstream
from parley.chat.prompt import Prompt
from parley.leases import Credential, Lease
from parley.providers.qianfan import Qianfan, QianfanLegacy
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, hung_up_after_the_first_event, lease, said
from tests.upstreams.openai.frames import FRAMES
from tests.upstreams.running import Emulator

STAND_IN = "qianfan"
KEY = {"value": "bce-v3/ALTAK-demo1/demosecretpart1"}
ACCESS_KEYS = {"access_key": "DEMOAK", "secret_key": "DEMOSK"}
APPLICATION = {"api_key": "demoapikey1", "secret_key": "demosecretkey1"}
WORDS = "!say:汉字, words and 🙂: " + " ".join(f"number {n}" for n in range(8))
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def v2(service: Emulator, net: Net, parts: dict[str, str] = KEY, **options: Any) -> tuple[Qianfan, Lease]:
    upstream = place(f"{service.url}/v2", options)
    return Qianfan(upstream, net), lease(upstream, credential(parts))


def legacy(
    service: Emulator, net: Net, parts: dict[str, str] = APPLICATION, **options: Any
) -> tuple[QianfanLegacy, Lease]:
    upstream = place(service.url, options)
    return QianfanLegacy(upstream, net), lease(upstream, credential(parts))


async def signed_in(service: Emulator, net: Net, **options: Any) -> tuple[QianfanLegacy, Lease]:
    """With an access token that worked before."""
    provider, lent = legacy(service, net, **options)
    await renew(provider, lent)
    await answered(provider, asking("hello"), lent)
    assert lent.renewed is not None
    lent.credential = replace(lent.credential, parts=lent.renewed)
    lent.renewed = None
    return provider, lent


async def renew(provider: Qianfan | QianfanLegacy, lent: Lease) -> None:
    made = await provider.renew(lent.credential)
    assert made.same_account
    lent.credential = replace(lent.credential, parts=made.parts)


def place(base_url: str, options: dict[str, Any]) -> Upstream:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    return Upstream(name="it", provider="qianfan", base_url=base_url, timeouts=times, options=options)


def asking(text: str = WORDS, model: str = "ERNIE-4.0-8K", **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it, with the upstream's name of the model."""
    raw = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


async def reported(provider: Qianfan | QianfanLegacy, lent: Lease, **fields: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(said(await answered(provider, asking("!report", **fields), lent)))
    return report


# --- v2 -----------------------------------------------------------------------------------------------------------


async def test_v2_says_what_it_must_and_no_more(service: Emulator, net: Net) -> None:
    provider, lent = v2(service, net)
    asked = await reported(provider, lent, temperature=2, user="u-42", n=1)
    assert (asked["path"], asked["key"]) == ("/v2/chat/completions", KEY["value"])
    assert set(asked["headers"]) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "authorization"),
    }
    assert asked["body"] == {
        "model": "ernie-4.0-8k",
        "messages": [{"role": "user", "content": "!report"}],
        "temperature": 1.0,
        "user": "u-42",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert lent.renewed is None


async def test_an_answer_of_v2_comes_with_its_thoughts_calls_and_usage(service: Emulator, net: Net) -> None:
    provider, lent = v2(service, net)
    calls = '!think:嗯\n!tool:f:{"a":1}\n!tool:f:{"b":2}'
    answer = await answered(provider, asking(calls, tools=[TOOL], tool_choice="auto"), lent)
    assert ["".join(call.arguments) for call in answer.choices[0].calls] == ['{"a":1}', '{"b":2}']
    assert "".join(answer.choices[0].thought) == "嗯"
    assert answer.choices[0].finish == "tool_calls"
    assert answer.usage is not None and answer.usage.completion > 0


ODDITIES = [name for name in FRAMES if name not in ("garbage_frame", "line_separators")]


@pytest.mark.parametrize("fault", [*ODDITIES, "bytewise", "gzip", "close_delimited", "search_results", "normal"])
async def test_an_oddity_of_v2_changes_nothing_in_the_answer(service: Emulator, net: Net, fault: str) -> None:
    service.fault(fault)
    provider, lent = v2(service, net)
    answer = await answered(provider, asking(), lent)
    assert said(answer) == WORDS.removeprefix("!say:")
    assert answer.choices[0].finish == "stop" and answer.usage is not None


@pytest.mark.parametrize("fault", ["flag", "flag_first"])
async def test_a_flag_means_that_the_words_were_filtered(service: Emulator, net: Net, fault: str) -> None:
    service.fault(fault)
    provider, lent = v2(service, net)
    assert (await answered(provider, asking(), lent)).choices[0].finish == "content_filter"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("invalid_model", errors.ModelNotFound),
        ("invalid_appid", errors.CredentialRejected),
        ("invalid_iam_token", errors.CredentialRejected),
        ("account_overdue", errors.QuotaExhausted),
        ("code_in_200", errors.Throttled),
    ],
)
async def test_a_refusal_of_v2(service: Emulator, net: Net, fault: str, kind: type[errors.Failure]) -> None:
    service.fault(fault)
    provider, lent = v2(service, net)
    assert type((await failed(provider, asking(), lent))[1]) is kind


async def test_a_model_that_one_of_several_accounts_lacks_may_be_anothers(service: Emulator, net: Net) -> None:
    plans = tuple(CredentialPlan(alias, credential(KEY).parts) for alias in ("one", "two"))
    upstream = replace(place(f"{service.url}/v2", {}), credentials=plans)
    _, failure = await failed(Qianfan(upstream, net), asking(model="ernie-9"), lease(upstream, credential(KEY)))
    assert type(failure) is errors.ModelElsewhere


async def test_an_application_is_named_where_there_is_one(service: Emulator, net: Net) -> None:
    service.set(appids=["app-1", "app-2"])
    provider, lent = v2(service, net, appid="app-1")
    assert (await reported(provider, lent))["headers"]["appid"] == "app-1"
    provider, lent = v2(service, net, {**KEY, "appid": "app-2"}, appid="app-1")
    assert (await reported(provider, lent))["headers"]["appid"] == "app-2"
    provider, lent = v2(service, net, appid="app-3")
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialRejected


async def test_models_are_listed_and_probes_ask_for_nothing_else(service: Emulator, net: Net) -> None:
    provider, lent = v2(service, net)
    assert "ernie-4.0-8k" in await provider.models(lent)
    await provider.probe(lent.credential)
    wrong, other = v2(service, net, {"value": "bce-v3/ALTAK-demo1/wrong"})
    with pytest.raises(errors.CredentialRejected):
        await wrong.probe(other.credential)
    with pytest.raises(errors.CredentialRejected):
        await provider.renew(lent.credential)
    assert sorted(name for name in service.stats()["counts"] if name.isalpha()) == ["models"]


async def test_access_keys_buy_a_bearer_that_is_renewed(service: Emulator, net: Net) -> None:
    provider, lent = v2(service, net, ACCESS_KEYS)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialExpired
    await provider.probe(lent.credential)
    await renew(provider, lent)
    assert (await reported(provider, lent))["way"] == "bearer"
    assert lent.renewed is not None, "it is proven now"
    lent.credential = replace(lent.credential, parts=lent.renewed)
    assert "deepseek-r1" in await provider.models(lent)
    service.set(era=1)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialExpired
    await renew(provider, lent)
    assert said(await answered(provider, asking("hello"), lent)) == "hello"
    wrong, other = v2(service, net, {**ACCESS_KEYS, "secret_key": "WRONG"})
    for ask in (wrong.probe, wrong.renew):
        with pytest.raises(errors.CredentialRejected):
            await ask(other.credential)


async def test_a_bearer_is_not_used_to_its_last_second(
    service: Emulator, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, lent = v2(service, net, ACCESS_KEYS, iam_url=service.url)
    await renew(provider, lent)
    soon = clock.now() + 43200 - 599
    for module in ("v2", "legacy"):
        monkeypatch.setattr(f"parley.providers.qianfan.{module}.now", lambda: soon)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialExpired
    assert "chat" not in service.stats()["counts"], "a token that is too old is shown to nobody"


# --- the legacy API -----------------------------------------------------------------------------------------------


async def test_the_legacy_api_says_what_it_must_and_no_more(service: Emulator, net: Net) -> None:
    provider, lent = await signed_in(service, net, endpoints={"Mine": "mine_0815"})
    asked = await reported(provider, lent, temperature=0, user="u-42", n=1)
    path, _, query = asked["path"].partition("?")
    assert path == "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions_pro"
    assert query.startswith("access_token=24.") and "&" not in query
    assert (asked["key"], asked["way"]) == ("demoapikey1", "token")
    assert set(asked["headers"]) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent"),
    }
    assert asked["body"] == {
        "messages": [{"role": "user", "content": "!report"}],
        "temperature": 0.01,
        "user_id": "u-42",
        "stream": True,
    }
    assert (await reported(provider, lent, model="mine"))["path"].split("?")[0].endswith("/chat/mine_0815")


async def test_an_answer_of_the_legacy_api_comes_with_its_call_thoughts_and_usage(service: Emulator, net: Net) -> None:
    provider, lent = await signed_in(service, net)
    answer = await answered(provider, asking('!think:嗯\n!tool:f:{"a":1}', tools=[TOOL]), lent)
    assert ["".join(call.arguments) for call in answer.choices[0].calls] == ['{"a":1}']
    assert ("".join(answer.choices[0].thought), said(answer)) == ("嗯", "")
    assert answer.choices[0].finish == "tool_calls"
    answer = await answered(provider, asking(), lent)
    assert said(answer) == WORDS.removeprefix("!say:")
    assert answer.usage is not None and answer.usage.completion == (len(said(answer)) + 3) // 4, "the last one counts"


@pytest.mark.parametrize("fault", [*ODDITIES, "bytewise", "gzip", "close_delimited", "no_reason"])
async def test_an_oddity_of_the_legacy_api_changes_nothing(service: Emulator, net: Net, fault: str) -> None:
    provider, lent = await signed_in(service, net)
    service.fault(fault)
    answer = await answered(provider, asking(), lent)
    assert said(answer) == WORDS.removeprefix("!say:")
    assert answer.choices[0].finish == "stop" and answer.usage is not None


@pytest.mark.parametrize(
    ("fault", "finish"), [("clear_history", "content_filter"), ("finish", "content_filter"), ("truncated", "length")]
)
async def test_reasons_of_the_legacy_api(service: Emulator, net: Net, fault: str, finish: str) -> None:
    provider, lent = await signed_in(service, net)
    service.fault(fault)
    assert (await answered(provider, asking(), lent)).choices[0].finish == finish


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("code_110", {}, errors.CredentialExpired),
        ("code_111", {}, errors.CredentialExpired),
        ("code_18", {"retry_after": 7}, errors.Throttled),
        ("code_336006", {}, errors.ContextTooLong),
        ("code_6", {}, errors.ModelNotFound),
        ("http_error", {"status": 503}, errors.UpstreamOverloaded),
        ("error_frame", {"code": 336100}, errors.UpstreamOverloaded),
    ],
)
async def test_a_refusal_of_the_legacy_api_comes_with_status_200(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
) -> None:
    provider, lent = await signed_in(service, net)
    service.fault(fault, **params)
    _, failure = await failed(provider, asking(), lent)
    assert type(failure) is kind
    assert failure.retry_after == params.get("retry_after")


async def test_a_token_that_never_worked_is_not_replaced_at_once(
    service: Emulator, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, lent = legacy(service, net)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialExpired
    await renew(provider, lent)
    service.fault("code_110", None)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialRejected
    later = clock.now() + 3601
    monkeypatch.setattr("parley.providers.qianfan.legacy.now", lambda: later)
    assert type((await failed(provider, asking(), lent))[1]) is errors.CredentialExpired
    assert service.stats()["counts"]["token"] == 1


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("invalid_client", {}, errors.CredentialRejected),
        ("unknown_client", {"status": 200}, errors.CredentialRejected),
        ("http_error", {"status": 503}, errors.UpstreamOverloaded),
        ("not_json", {}, errors.UpstreamMalformed),
        ("reset", {"bytes": 10}, errors.UpstreamTruncated),
    ],
)
async def test_a_sale_of_tokens_that_fails(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
) -> None:
    provider, lent = legacy(service, net)
    for ask in (provider.probe, provider.renew):
        service.fault(fault, route="token", **params)
        with pytest.raises(errors.Failure) as refused:
            await ask(lent.credential)
        assert type(refused.value) is kind


async def test_a_probe_of_the_legacy_api_buys_a_token_and_asks_nothing(service: Emulator, net: Net) -> None:
    provider, lent = legacy(service, net, {"value": "demoapikey2|demosecretkey2"})
    await provider.probe(lent.credential)
    wrong, other = legacy(service, net, {**APPLICATION, "secret_key": "wrong"})
    with pytest.raises(errors.CredentialRejected):
        await wrong.probe(other.credential)
    assert "chat" not in service.stats()["counts"]


async def test_access_keys_sign_each_question_to_the_legacy_api(service: Emulator, net: Net) -> None:
    provider, lent = legacy(service, net, ACCESS_KEYS)
    asked = await reported(provider, lent)
    assert (asked["way"], asked["path"].partition("?")[2]) == ("signature", "")
    with pytest.raises(errors.UpstreamBroken):
        await provider.probe(lent.credential)
    with pytest.raises(errors.CredentialRejected):
        await provider.renew(lent.credential)
    wrong, other = legacy(service, net, {**ACCESS_KEYS, "secret_key": "WRONG"})
    assert type((await failed(wrong, asking(), other))[1]) is errors.CredentialRejected


async def test_a_caller_who_leaves_closes_the_connection_at_once(service: Emulator, net: Net) -> None:
    for made in (v2(service, net), await signed_in(service, net)):
        service.reset()
        service.set(piece_delay=0.05)
        left, took = await hung_up_after_the_first_event(made[0], asking(), made[1])
        stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
        assert stats["hangups"][0]["at"] - left < 0.1 and took < 0.1


def test_the_secrets_of_a_credential_are_its_token_too(service: Emulator, net: Net) -> None:
    lent = Credential(
        "c", "a", {**credential(APPLICATION).parts, "token": credential({"value": "24.abcdefgh"}).parts["value"]}
    )
    failure = errors.BadRequest("you sent 24.abcdefgh and demosecretkey1")
    lent.keep_out_of(failure, place(service.url, {}))
    assert "abcdefgh" not in failure.message and "secretkey" not in failure.message
