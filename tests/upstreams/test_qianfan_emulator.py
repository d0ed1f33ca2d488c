"""The stand-in for Baidu Qianfan is what its page says: judged by the official clients and the page's own shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parent / "clients" / "qianfan_sdk.py"


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    with Emulator("qianfan") as emulator:
        return saw("qianfan", CLIENT, emulator.url)


def test_the_official_client_talks_to_the_legacy_api(seen: dict[str, Any]) -> None:
    assert seen["whole"] == ["你好", "normal", True]
    assert (seen["way"], seen["endpoint"], seen["limit"]) == ("token", "completions_pro", "60000")
    assert seen["source"] == "qianfan_py_sdk_v0.4.12.3"
    stream = seen["stream"]
    assert (stream["text"], stream["pieces"], stream["ends"], stream["reason"]) == ("你好, 世界", 2, True, "normal")
    assert stream["usage"] > 0
    assert seen["call"] == {"name": "f", "arguments": '{"a":1}', "thoughts": "嗯"}
    assert seen["call streamed"] == {"name": "f", "arguments": '{"a":1}'}
    assert seen["signed"] == "signature", "IAM keys sign, and the stand-in finds the same signature"
    assert seen["embeddings"] == ["embedding_list", 2]
    assert seen["sensitive"] == [True, -1]
    assert seen["no reason"] is None
    assert seen["oddities"] == [None] * 3


def test_the_official_client_raises_its_own_errors_and_tries_again_where_the_page_says(seen: dict[str, Any]) -> None:
    tries = dict.fromkeys((1, 3, 6, 14, 17, 336000, 336003, 336006), 1)
    tries |= dict.fromkeys((2, 18, 336100, 336501), 2)
    for code, times in tries.items():
        for stream in (False, True):
            assert seen[f"code {code} {stream}"] == ["APIError", code]
            assert seen[f"tries {code} {stream}"] == times, code
    assert seen["code 336502"] == ["APIError", 336502]
    assert seen["error frame"] == ["APIError", 336100]
    assert seen["wrong secret"] == seen["wrong key"] == ["AuthError", None]
    assert (seen["even"], seen["two users"], seen["silence"]) == (
        ["APIError", 336006],
        ["APIError", 336003],
        ["APIError", 336003],
    )


def test_the_official_client_buys_another_token_for_one_that_ran_out_but_not_within_the_hour(
    seen: dict[str, Any],
) -> None:
    for code in (110, 111):
        assert (seen[f"code {code}"], seen[f"bought {code}"]) == (None, 0), "it only tries again"
    assert (seen["code 111 later"], seen["bought later"]) == (None, 1)


def test_the_official_client_talks_to_v2_with_a_bearer_that_it_bought(seen: dict[str, Any]) -> None:
    assert seen["v2"] == ["你好", "嗯", "stop"]
    assert (seen["v2 way"], seen["bearers"]) == ("bearer", 1)
    assert (seen["v2 stream"], seen["v2 usage"]) == ("你好, 世界", True)
    assert seen["v2 call"] == {"name": "f", "arguments": '{"a":1}'}
    for name in ("invalid_model", "rpm_rate_limit_exceeded", "internal_error", "account_overdue"):
        assert seen[f"v2 {name}"] == ["RequestError", None]
        assert seen[f"v2 tries {name}"] == 1


# --- the openai client, and what no client does -------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("qianfan") as emulator:
        yield emulator


@pytest.fixture
def emu(running: Emulator) -> Emulator:
    running.reset()
    return running


def test_the_openai_client_works_with_v2(emu: Emulator) -> None:
    client = openai.OpenAI(api_key="bce-v3/ALTAK-demo1/demosecretpart1", base_url=f"{emu.url}/v2", max_retries=0)
    asked = '!think:嗯\n!tool:f:{"a":1}'
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    stream = client.chat.completions.create(  # type: ignore[call-overload]
        model="ernie-x1-demo",
        messages=[{"role": "user", "content": asked}],
        tools=[tool],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(getattr(choice.delta, "reasoning_content", "") or "" for choice in deltas) == "嗯"
    (call,) = [call for choice in deltas for call in choice.delta.tool_calls or ()]
    assert call.function and (call.function.name, call.function.arguments) == ("f", '{"a":1}')
    assert deltas[-1].finish_reason == "tool_calls"
    assert chunks[-1].usage and chunks[-1].usage.total_tokens > 0
    whole = client.chat.completions.create(model="ernie-4.0-8k", messages=[{"role": "user", "content": "你好"}])
    assert whole.choices[0].message.content == "你好"
    assert "ernie-4.0-8k" in [model.id for model in client.models.list()]
    errors = {"invalid_model": openai.AuthenticationError, "account_overdue": openai.PermissionDeniedError}
    for name, kind in errors.items():
        emu.fault(name)
        with pytest.raises(kind) as refused:
            client.chat.completions.create(model="ernie-4.0-8k", messages=[{"role": "user", "content": "你好"}])
        assert refused.value.code == name


AUTHORIZATION = {
    "/v2/chat/completions": "bce-auth-v1/DEMOAK/2024-01-01T00:00:00Z/1800/content-type;host;x-bce-date/"
    "abe684b840521ba57bbfcd5a4446158292ea8fd9ab348f9218934dfdce3046bb",
    "/v1/BCE-BEARER/token?expireInSeconds=43200": "bce-auth-v1/DEMOAK/2024-01-01T00:00:00Z/1800/x-bce-date;host/"
    "863f9c8b32e8a73d82e0d99d2093c7a9a9cb4af25b64deb386c02925edb1ffba",
}
NEW_YEAR = 1704067200


def test_the_pages_signature_buys_a_bearer_while_it_is_good(emu: Emulator) -> None:
    target = "/v1/BCE-BEARER/token?expireInSeconds=43200"
    headers = {
        "host": "iam.bj.baidubce.com",
        "x-bce-date": "2024-01-01T00:00:00Z",
        "authorization": AUTHORIZATION[target],
    }
    emu.set(clock=NEW_YEAR)
    bought = httpx.get(f"{emu.url}{target}", headers=headers).json()
    assert (bought["status"], bought["createTime"], bought["expireTime"]) == (
        "enable",
        "2024-01-01T00:00:00Z",
        "2024-01-01T12:00:00Z",
    )
    for wrong in ({"host": "example.com"}, {"x-bce-date": "2024-01-01T00:00:01Z"}, {"authorization": "Bearer x"}):
        assert httpx.get(f"{emu.url}{target}", headers={**headers, **wrong}).status_code in (400, 403)
    bearer = {"authorization": f"Bearer {bought['token']}"}
    assert httpx.get(f"{emu.url}/v2/models", headers=bearer).status_code == 200
    emu.set(clock=NEW_YEAR + 1801)
    assert httpx.get(f"{emu.url}{target}", headers=headers).status_code == 403
    emu.set(clock=NEW_YEAR + 43201)
    refused = httpx.get(f"{emu.url}/v2/models", headers=bearer)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_iam_token")


def test_access_tokens_are_sold_both_ways_and_run_out(emu: Emulator) -> None:
    query = {"grant_type": "client_credentials", "client_id": "demoapikey1", "client_secret": "demosecretkey1"}
    sale, chat = f"{emu.url}/oauth/2.0/token", "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions_pro"
    emu.set(token_seconds=60, clock=NEW_YEAR)
    bought = [httpx.post(sale, params=query, json={}).json(), httpx.get(sale, params=query).json()]
    assert all(one["access_token"].startswith("24.") and one["expires_in"] == 60 for one in bought)
    refused = httpx.post(sale, params={**query, "client_id": "nobody"})
    assert (refused.status_code, refused.json()["error_description"]) == (401, "unknown client id")

    def ask(token: str | None, **body: Any) -> Any:
        asked = {"messages": [{"role": "user", "content": "Hi"}], **body}
        params = {"access_token": token} if token else {}
        answer = httpx.post(f"{emu.url}{chat}", params=params, json=asked)
        assert answer.status_code == 200
        return answer

    token = bought[0]["access_token"]
    assert ask(token).json()["result"] == "Hi"
    assert ask(token, stream=True).text.count("data: ") == 1
    assert "[DONE]" not in ask(token, stream=True).text
    assert ask(None).json()["error_code"] == 100
    assert ask("24.wrong").json()["error_code"] == 110
    emu.set(clock=NEW_YEAR + 61)
    late = ask(token, stream=True)
    assert (late.json()["error_code"], late.headers["content-type"]) == (111, "application/json")
    emu.set(clock=NEW_YEAR, era=1)
    assert ask(token).json()["error_code"] == 110


USER, SAID = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}
CALL = {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}
GAVE = {"role": "function", "name": "f", "content": "{}"}
FUNCTION = {"name": "f", "description": "f", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ({"messages": [USER, SAID, USER]}, None),
        ({"messages": [USER, CALL, GAVE]}, None),
        ({"messages": []}, 336003),
        ({"messages": [USER, SAID]}, 336006),
        ({"messages": [USER, USER, USER]}, 336003),
        ({"messages": [SAID]}, 336003),
        ({"messages": [{"role": "system", "content": "x"}, SAID, USER]}, 336003),
        ({"messages": [{"role": "user", "content": ""}]}, 336003),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, 336003),
        ({"messages": [USER, CALL, {**GAVE, "name": "g"}]}, 336003),
        ({"messages": [USER, SAID, GAVE]}, 336003),
        ({"temperature": 0}, 336003),
        ({"temperature": 1}, None),
        ({"temperature": 1.5}, 336003),
        ({"penalty_score": 0.5}, 336003),
        ({"max_output_tokens": 1}, 336003),
        ({"stop": ["a"] * 5}, 336003),
        ({"stop": ["a" * 21]}, 336003),
        ({"response_format": {"type": "json_object"}}, 336003),
        ({"response_format": "json_object"}, None),
        ({"functions": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}}, None),
        ({"functions": [{**FUNCTION, "parameters": {"type": "object"}}]}, 336003),
        ({"functions": [FUNCTION], "tool_choice": "required"}, 336003),
        ({"max_tokens": 5}, 336001),
    ],
)
def test_the_legacy_api_takes_what_it_takes_and_nothing_else(
    emu: Emulator, body: dict[str, Any], right: int | None
) -> None:
    query = {"grant_type": "client_credentials", "client_id": "demoapikey1", "client_secret": "demosecretkey1"}
    token = httpx.get(f"{emu.url}/oauth/2.0/token", params=query).json()["access_token"]
    url = f"{emu.url}/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions"
    said = httpx.post(url, params={"access_token": token}, json={"messages": [USER], **body}).json()
    assert said.get("error_code") == right


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ({}, None),
        ({"model": ""}, (400, "invalid_model")),
        ({"model": "gpt-4o"}, (401, "invalid_model")),
        ({"model": "ERNIE-4.0-8K"}, (401, "invalid_model")),
        ({"messages": [USER, USER]}, (400, "invalid_messages")),
        ({"messages": [USER, USER], "model": "deepseek-v3"}, None),
        ({"messages": [USER, {"role": "system", "content": "x"}]}, (400, "invalid_messages")),
        ({"messages": [{"role": "developer", "content": "x"}, USER]}, (400, "invalid_messages")),
        ({"temperature": 0}, (400, "invalid_argument")),
        ({"temperature": 0, "model": "deepseek-v3"}, None),
        ({"n": 2}, (400, "invalid_argument")),
        ({"logprobs": True}, (400, "invalid_argument")),
    ],
)
def test_v2_takes_what_it_takes_and_nothing_else(
    emu: Emulator, body: dict[str, Any], right: tuple[int, str] | None
) -> None:
    headers = {"authorization": "Bearer bce-v3/ALTAK-demo1/demosecretpart1"}
    asked = {"model": "ernie-4.0-8k", "messages": [USER], **body}
    answer = httpx.post(f"{emu.url}/v2/chat/completions", json=asked, headers=headers)
    if right is None:
        assert answer.status_code == 200, json.dumps(answer.json())
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == right
