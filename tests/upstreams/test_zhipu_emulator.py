"""The stand-in for Zhipu's platform is what its page says: judged by the official client and the page's own shapes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parent / "clients" / "zhipu.py"
OLDER_CLIENT = Path(__file__).parent / "clients" / "zhipuai_sdk.py"
KEY = "demoid0123456789.demosecret"
NEW_YEAR = 1704067200
HI = [{"role": "user", "content": "Hi"}]
PAYLOAD = "eyJhcGlfa2V5IjoiZGVtb2lkMDEyMzQ1Njc4OSIsImV4cCI6MTcwNDA2NzQxMDAwMCwidGltZXN0YW1wIjoxNzA0MDY3MjAwMDAwfQ"
TOKENS = [
    f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsInNpZ25fdHlwZSI6IlNJR04ifQ.{PAYLOAD}."
    "tnT5L-r_C1b9NatKKjyplrNTn-ZOwvOyf2_eOum4cQY",
    f"eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04iLCJ0eXAiOiJKV1QifQ.{PAYLOAD}."
    "gkyeYZrRA4T6SxufcAE4Dmt1WO6UQ_tt3cP2z0dIJW0",
]


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("zhipu") as emulator:
        yield emulator


@pytest.fixture
def emu(running: Emulator) -> Emulator:
    running.reset()
    return running


def ask(emu: Emulator, authorization: str | None = f"Bearer {KEY}", **body: Any) -> httpx.Response:
    headers = {"authorization": authorization} if authorization else {}
    body = {"model": "glm-4.6", "messages": HI, **body}
    return httpx.post(f"{emu.url}/api/paas/v4/chat/completions", json=body, headers=headers, timeout=10)


def ask_v3(
    emu: Emulator, prompt: Any, way: str = "sse-invoke", model: str = "chatglm_lite", **more: Any
) -> httpx.Response:
    emu.set(clock=NEW_YEAR)
    url = f"{emu.url}/api/paas/v3/model-api/{model}/{way}"
    return httpx.post(url, json={"prompt": prompt, **more}, headers={"authorization": TOKENS[0]}, timeout=10)


def code(response: httpx.Response) -> str:
    said = response.json()
    return str(said["error"]["code"] if "error" in said else said["code"])


def signed(header: dict[str, Any], payload: dict[str, Any], secret: str = "demosecret") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, payload)]
    said = ".".join(parts)
    signature = hmac.digest(secret.encode(), said.encode(), hashlib.sha256)
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


# --- the official client ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    with Emulator("zhipu") as emulator:
        found = saw("zhipu", CLIENT, emulator.url)
        found["log"] = emulator.stats()["log"]
        return found


@pytest.mark.parametrize("client", ["zhipu", "zai"])
@pytest.mark.parametrize("way", ["bearer", "jwt"])
def test_both_official_clients_work_signed_in_both_ways(seen: dict[str, Any], client: str, way: str):
    heard = seen[f"{client} {way}"]
    assert (heard["text"], heard["finish"], heard["way"]) == ("你好", "stop", way)
    assert heard["tokens"] > 0
    assert heard["language"] == (None if client == "zhipu" else "en-US,en")
    stream = heard["stream"]
    assert (stream["text"], stream["thought"], stream["finish"]) == ("你好, 世界", "嗯", "stop")
    assert stream["roles"] == ["assistant"]
    assert stream["usage"] > 0


def test_the_official_client_is_understood_as_it_writes(seen: dict[str, Any]):
    nulls = [entry["body"] for entry in seen["log"] if entry["what"] == "chat" and None in entry["body"].values()]
    assert nulls, "explicit nulls are what it sends"
    assert seen["picture"] == "iVBORw0KGgo="
    assert seen["clamped"] == {"temperature": 0.01, "top_p": 0.99, "do_sample": False}
    assert seen["thinking off"] is None
    assert seen["request id"] == "req-demo-1"
    assert seen["embeddings"] == [2, 256, 2]
    assert seen["queued"] == ["PROCESSING", "SUCCESS"]


def test_the_official_client_gets_its_tool_calls(seen: dict[str, Any]):
    assert seen["tools"] == [["f", '{"a": "ü"}'], ["f", '{"b":2}']]
    assert [call[1:] for call in seen["tools streamed"]["calls"]] == seen["tools"], "whole, in one piece each"
    assert "".join(call[2] for call in seen["tools in pieces"]["calls"]) == '{"a":"123456"}'
    assert len(seen["tools in pieces"]["calls"]) > 1
    assert seen["tools streamed"]["finish"] == "tool_calls"
    assert seen["json"] == {"echo": "as JSON"}


def test_the_official_client_raises_its_own_errors(seen: dict[str, Any]):
    kinds = {
        "APIAuthenticationError": (401, "code_1000", "code_1003", "wrong key"),
        "APIReachLimitError": (429, "code_1113", "code_1302", "code_1305", "code_1308"),
        "APIRequestFailedError": (400, "code_1211", "code_1214", "code_1261", "code_1301", "same id", "unknown model"),
        "APIInternalError": (500, "code_1230"),
        "APIServerFlowExceedError": (503, "503"),
    }
    for kind, (status, *names) in kinds.items():
        for name in names:
            assert seen[str(name)] == [kind, status], name
    assert seen["code_1220"] == ["APIStatusError", 403]
    assert seen["spring_404"] == seen["wrong address"] == ["APIStatusError", 404]
    assert seen["error frame"] == ["APIResponseError", None]
    assert seen["late"] == ["APIAuthenticationError", "1003"]
    assert seen["patient"] == ["你好", 2], "it comes back by itself after a 1302"


def test_the_official_client_reads_every_oddity(seen: dict[str, Any]):
    assert seen["oddities"] == ["古怪"] * 5
    assert seen["web search"] == [0, 0, 1, 1]
    for reason in ("sensitive", "network_error", "model_context_window_exceeded"):
        assert seen[reason] == ["words", reason]


@pytest.mark.timeout(600)  # the first run makes the environment
def test_the_older_official_client_works_signed_in_both_ways():
    with Emulator("zhipu") as emulator:
        told = saw("zhipuai", OLDER_CLIENT, emulator.url)
    for way in ("bearer", "jwt"):
        heard = told[way]
        assert (heard["text"], heard["finish"], heard["way"]) == ("你好", "stop", way)
        assert (heard["stream"]["text"], heard["stream"]["finish"]) == ("你好, 世界", "stop")
        assert heard["tokens"] > 0 and heard["stream"]["usage"] > 0
    assert told["tools"] == told["tools streamed"]["calls"] == [["f", '{"a": "ü"}'], ["f", '{"b":2}']]
    assert told["picture"] == "iVBORw0KGgo="
    assert told["clamped"] == {"temperature": 0.01, "top_p": 0.99, "do_sample": False}
    assert told["oddities"] == ["古怪"] * 4
    assert [told[f"code_{code}"] for code in (1000, 1003)] == [["APIAuthenticationError", 401]] * 2
    assert [told[f"code_{code}"] for code in (1113, 1302)] == [["APIReachLimitError", 429]] * 2
    assert [told[f"code_{code}"] for code in (1211, 1214, 1301)] == [["APIRequestFailedError", 400]] * 3
    assert (told["code_1220"], told["code_1230"]) == (["APIStatusError", 403], ["APIInternalError", 500])
    assert (told["503"], told["error frame"]) == (["APIServerFlowExceedError", 503], ["APIResponseError", None])
    assert told["patient code_1302"] == [None, 2], "it comes back by itself"
    assert told["patient code_1113"] == [["APIReachLimitError", 429], 4], "three times, also where that is in vain"
    assert told["late"] == ["APIAuthenticationError", "1003"]


def test_a_plain_openai_client_works_with_the_platforms_base_url(emu: Emulator):
    client = openai.OpenAI(api_key=KEY, base_url=f"{emu.url}/api/paas/v4")
    stream = client.chat.completions.create(model="glm-4.6", messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "Hi"


# --- signing in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", TOKENS)
def test_the_pages_tokens_are_good_until_their_millisecond(emu: Emulator, token: str):
    emu.set(clock=NEW_YEAR)
    assert ask(emu, f"Bearer {token}").status_code == 200
    emu.set(clock=NEW_YEAR + 209.999)
    assert ask(emu, f"Bearer {token}").status_code == 200
    emu.set(clock=NEW_YEAR + 211)
    refused = ask(emu, f"Bearer {token}")
    assert (refused.status_code, code(refused)) == (401, "1003")
    assert refused.headers["date"] == "Mon, 01 Jan 2024 00:03:31 GMT"


def test_only_what_is_signed_right_opens_the_door(emu: Emulator):
    emu.set(clock=NEW_YEAR)
    header = {"sign_type": "SIGN", "alg": "HS256"}
    payload = {"timestamp": NEW_YEAR * 1000, "api_key": "demoid0123456789", "exp": NEW_YEAR * 1000 + 1}
    assert ask(emu, f"Bearer {signed(header, payload)}").status_code == 200, "any order will do"
    wrong = {
        None: "1001",
        KEY: "1002",
        f"Basic {KEY}": "1002",
        "Bearer nodot": "1000",
        "Bearer demoid0123456789.wrong": "1000",
        f"Bearer {signed(header, payload, 'wrong')}": "1002",
        f"Bearer {signed({'alg': 'HS256'}, payload)}": "1002",
        f"Bearer {signed({**header, 'alg': 'HS512'}, payload)}": "1002",
        f"Bearer {signed(header, {**payload, 'api_key': 'nobody'})}": "1002",
        f"Bearer {signed(header, {**payload, 'exp': NEW_YEAR + 210})}": "1003",
        f"Bearer {signed(header, {**payload, 'exp': 'soon'})}": "1000",
        f"Bearer {TOKENS[0]}=": "1002",
        "Bearer a.b.c": "1002",
    }
    for authorization, right in wrong.items():
        refused = ask(emu, authorization)
        assert (refused.status_code, code(refused)) == (401, right), authorization


# --- what it refuses ----------------------------------------------------------------------------------------------

PART = [{"type": "text", "text": "Hi"}]
PICTURE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ({"model": None}, "1213"),
        ({"messages": None}, "1213"),
        ({"model": "gpt-4"}, "1211"),
        ({"messages": []}, "1214"),
        ({"messages": [{"role": "system", "content": "Hi"}]}, "1214"),
        ({"messages": [{"role": "developer", "content": "Hi"}]}, "1214"),
        ({"messages": [{**HI[0], "name": "ada"}]}, "1210"),
        ({"messages": [{"role": "user", "content": PART}]}, "1214"),
        ({"messages": [{"role": "user", "content": PART}], "model": "glm-4.6v"}, None),
        ({"messages": [{"role": "user", "content": PICTURE * 2}], "model": "glm-4.6v"}, None),
        ({"messages": [{"role": "user", "content": PICTURE * 2}], "model": "glm-4v"}, "1214"),
        ({"messages": [{"role": "system", "content": "Hi"}, *HI], "model": "glm-4v"}, "1214"),
        ({"temperature": 0}, None),
        ({"temperature": 1.5}, "1214"),
        ({"temperature": 0, "model": "glm-4-flash"}, "1214"),
        ({"temperature": 1, "model": "glm-4-flash"}, "1214"),
        ({"top_p": 1, "model": "glm-4-flash"}, "1214"),
        ({"top_p": 1}, None),
        ({"top_p": 0}, "1214"),
        ({"stop": ["a", "b"]}, "1214"),
        ({"stop": "a"}, "1214"),
        ({"tool_choice": "required"}, "1214"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "1213"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}]}, "1210"),
        ({"tools": []}, "1214"),
        ({"response_format": {"type": "json_schema"}}, "1214"),
        ({"stream_options": {"include_usage": True}}, "1210"),
        ({"presence_penalty": 0.5}, "1210"),
        ({"n": 1}, "1210"),
        ({"user_id": "u-42"}, "1214"),
        ({"request_id": "short"}, "1214"),
        ({"reasoning_effort": "high"}, "1210"),
        ({"reasoning_effort": "high", "model": "glm-5.2"}, None),
        ({"thinking": {"type": "enabled"}, "model": "glm-4-flash"}, "1210"),
        ({"temperature": None, "tools": None, "thinking": None}, None),
    ],
)
def test_it_takes_what_the_platform_takes_and_nothing_else(emu: Emulator, body: dict[str, Any], right: str | None):
    response = ask(emu, **body)
    assert (response.status_code, None if right is None else code(response)) == (200 if right is None else 400, right)


def test_every_code_has_its_status_and_shape(emu: Emulator):
    for number, status in (("1002", 401), ("1113", 429), ("1220", 403), ("1230", 500), ("1301", 400)):
        emu.fault(f"code_{number}")
        refused = ask(emu)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, number)
    assert refused.json()["contentFilter"][0]["role"] == "user"
    emu.fault("front_401")
    assert ask(emu).json() == {"code": 401, "msg": "令牌已过期或验证不正确", "success": False}
    nowhere = httpx.post(f"{emu.url}/api/paas/v4/v1/chat/completions", json={})
    assert (nowhere.status_code, nowhere.json()["error"]) == (404, "Not Found")


# --- the old API --------------------------------------------------------------------------------------------------


def test_v3_streams_plain_text_and_puts_the_bill_into_meta(emu: Emulator):
    emu.set(piece=1)
    frames = ask_v3(emu, [{"role": "user", "content": "!say:你\n好"}]).text.split("\n\n")
    assert [frame.split("\n", 2)[2] for frame in frames[:3]] == ["data: 你", "data: \ndata: ", "data: 好"]
    name, _, data, meta = frames[3].split("\n")
    assert (name, data) == ("event: finish", "data: ")
    assert json.loads(meta.removeprefix("meta: "))["usage"]["completion_tokens"] == 3
    emu.set(piece=1)
    frames = ask_v3(emu, [{"role": "user", "content": "!say:ab"}], incremental=False).text.split("\n\n")
    assert [frame.split("\n", 2)[2] for frame in frames[:2]] == ["data: a", "data: ab"]


def test_v3_quotes_its_unary_answer_and_refuses_with_status_200(emu: Emulator):
    whole = ask_v3(emu, [{"role": "user", "content": "!say:你好\n"}], "invoke").json()
    assert whole["success"] and whole["data"]["choices"][0]["content"] == '"你好\\n"'
    queued = ask_v3(emu, [{"role": "user", "content": "Hi"}], "async-invoke").json()["data"]
    found = httpx.get(
        f"{emu.url}/api/paas/v3/model-api/-/async-invoke/{queued['task_id']}", headers={"authorization": TOKENS[0]}
    )
    assert found.json()["data"]["task_status"] == "SUCCESS"
    user, system = {"role": "user", "content": "Hi"}, {"role": "system", "content": "Hi"}
    for prompt, more, right in (
        ([system], {}, 1214),
        ([user, user], {}, 1214),
        ([user, {"role": "assistant", "content": "Ho"}], {}, 1214),
        ([user], {"top_p": 1}, 1214),
        ([user], {"temperature": 0}, 1214),
        ([user], {"model": "gpt-4"}, 1211),
    ):
        refused = ask_v3(emu, prompt, **more)  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["code"], refused.json()["success"]) == (200, right, False)
    bearer = httpx.post(
        f"{emu.url}/api/paas/v3/model-api/chatglm_lite/invoke",
        json={"prompt": [user]},
        headers={"authorization": f"Bearer {TOKENS[0]}"},
    )
    assert bearer.json()["code"] == 1002, "the old API knows no Bearer"


def test_v3_has_its_own_ways_to_end(emu: Emulator):
    said = [{"role": "user", "content": "!say:one two three"}]
    emu.fault("interrupted")
    assert ask_v3(emu, said).text.count("event: add") == 2
    emu.fault("error_event", code="1301")
    assert '"code": 1301' in ask_v3(emu, said).text.split("event: error")[1]
    emu.fault("no_meta")
    assert "meta" not in ask_v3(emu, said).text
