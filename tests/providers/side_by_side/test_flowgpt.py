"""FlowGPT asked as the clients ask that its protocol was read from, and asked through Parley: the same words.

There is no official client; what stands here in its place is section 1 of the protocol's page, written down once more
without any of Parley's code. The stack is configured as an operator would: by the variables of flowgpt-2api.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.stack.running import Stack, until
from tests.upstreams.flowgpt.tokens import token
from tests.upstreams.running import Emulator

DEVICE = "V1StGXR8_Z5jdHi6B-myT"
YESTERDAY = time.time() - 86400
FIRST, SECOND = token("acct-1", issued=YESTERDAY), token("acct-2", issued=YESTERDAY)
OLD = token("acct-3", issued=time.time() - 8 * 86400)
TURNS: list[Any] = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Say hi"},
    {"role": "assistant", "content": "Hello"},
]


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("flowgpt") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def stack(running: Emulator) -> Iterator[Stack]:
    settings = {
        "FLOWGPT_BEARER_TOKEN": f"Bearer {FIRST}",
        "FLOWGPT_DEVICE_ID": DEVICE,
        "FLOWGPT_CREDENTIALS": json.dumps([{"value": OLD, "alias": "old"}, {"value": SECOND, "alias": "second"}]),
        "FLOWGPT_BASE_URL": running.url,
    }
    others = [
        {"name": "flow-old", "provider": "flowgpt", "base_url": running.url, "credentials": [OLD]},
        {"name": "flow-guest", "provider": "flowgpt", "base_url": running.url, "guests": 1},
    ]
    files = {"parley.yaml": json.dumps({"upstreams": others})}
    with Stack(settings, gateways=2, files=files) as made:
        yield made


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def client(stack: Stack, upstream: Emulator) -> openai.OpenAI:
    return stack.client()


def said(client: openai.OpenAI, words: str, *, model: str = "gpt-4-free", stream: bool = False, **more: Any) -> str:
    messages = [*TURNS, {"role": "user", "content": words}]
    if not stream:
        whole = client.chat.completions.create(model=model, messages=messages, **more)
        assert whole.choices[0].finish_reason in ("stop", "length") and whole.usage
        return whole.choices[0].message.content or ""
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True, **more)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def asked_directly(upstream: Emulator, words: str) -> str:
    """The two steps of the replaced project, signed as the multi-provider library does, read as it reads."""
    headers = {
        "Accept": "*/*",
        "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
        "Authorization": f"Bearer {FIRST}",
        "Content-Type": "application/json",
        "Origin": "https://flowgpt.com",
        "Referer": "https://flowgpt.com/",
        "x-flow-device-id": DEVICE,
        "x-flow-language": "en",
    }
    prompt = {"promptId": "uzNcMUGo4sOwl4GFvRpm8"}
    made = httpx.post(
        f"{upstream.url}/conversation/create",
        json={**prompt, "location": "CHAT_PAGE", "messages": TURNS},
        headers=headers,
    )
    stamp, nonce = str(int(time.time())), secrets.token_hex(16)
    digest = hashlib.md5(f"{stamp}-{nonce}-Bearer {FIRST}".encode(), usedforsecurity=False).hexdigest()
    body = {
        "model": "FlowGPT-Ares",
        "nsfw": False,
        "question": words,
        "temperature": 0.7,
        "userId": "",
        **prompt,
        "conversationId": made.json()["id"],
        "documentIds": [],
        "generateImage": False,
        "generateAudio": False,
    }
    seal = {"x-nonce": nonce, "x-timestamp": stamp, "x-signature": digest}
    answer = httpx.post(f"{upstream.url}/v3/chat", json=body, headers={**headers, **seal})
    events = [json.loads(line) for line in answer.content.decode().split("\n") if line.strip()]
    return "".join(event["data"] for event in events if event.get("event") == "text")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_same_words(client: openai.OpenAI, upstream: Emulator, stream: bool) -> None:
    upstream.set(extras=True, blank_lines=True, piece=3)
    words = "!say:Grüße, 世界! 👩‍👩‍👧‍👦 \u2028 \u0085 **Response:** stays\n\n  the end\n"
    direct = asked_directly(upstream, words)
    assert said(client, words, stream=stream) == direct == words.removeprefix("!say:")


def test_the_same_conversation_is_heard(client: openai.OpenAI, upstream: Emulator) -> None:
    direct, ours = json.loads(asked_directly(upstream, "!report")), json.loads(said(client, "!report"))
    assert ours["heard"] == direct["heard"]
    same = ("model", "nsfw", "question", "temperature", "userId", "promptId", "documentIds", "generateImage")
    assert [ours["body"][name] for name in same] == [direct["body"][name] for name in same]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_analysis_is_taken_off_what_is_said_directly(
    client: openai.OpenAI, upstream: Emulator, stream: bool
) -> None:
    words = "!think:wants a greeting\n!say:Hello there"
    direct = asked_directly(upstream, words)
    assert direct == "**User Analysis:** wants a greeting **Response:** Hello there"
    assert said(client, words, stream=stream) == "Hello there"


def test_tokens_take_turns_and_one_that_ran_out_is_never_sent(client: openai.OpenAI, upstream: Emulator) -> None:
    for _ in range(6):
        said(client, "Hi")
    stats = upstream.stats()
    accounts = [record["account"] for record in stats["log"] if record["what"] == "chat"]
    assert accounts in (["acct-1", "acct-2"] * 3, ["acct-2", "acct-1"] * 3)
    assert all(OLD not in record["headers"].get("authorization", "") for record in stats["log"])
    assert stats["leaks"] == [] and stats["devices"]["acct-1"] == [DEVICE]


def test_no_token_answers_more_than_two_at_a_time(client: openai.OpenAI, upstream: Emulator) -> None:
    upstream.set(piece_delay=0.02)
    with ThreadPoolExecutor(12) as many:
        heard = list(many.map(lambda n: said(client, f"I am {n} of twelve who ask at once", stream=True), range(12)))
    assert heard == [f"I am {n} of twelve who ask at once" for n in range(12)]
    stats = upstream.stats()
    assert {name: row["most"] for name, row in stats["credentials"].items() if name} == {"acct-1": 2, "acct-2": 2}
    assert stats["leaks"] == []


@pytest.mark.parametrize(
    ("model", "prompt_id"),
    [
        ("default", "uzNcMUGo4sOwl4GFvRpm8"),
        ("gpt-4-free", "uzNcMUGo4sOwl4GFvRpm8"),
        ("chatgpt-5-pro", "vlaOLDN9qTxzIlvzfL_Ty"),
        ("aisuperior", "lKm5yPE9x-Naf0_0_KI5M"),
        ("claude-instant", "model-claude-instant"),
    ],
)
def test_the_old_names_are_models(client: openai.OpenAI, model: str, prompt_id: str) -> None:
    assert json.loads(said(client, "!report", model=model))["body"]["promptId"] == prompt_id
    assert client.models.retrieve(model).id == model


def test_a_prompt_of_the_catalogue_is_a_model_and_an_unknown_name_is_none(client: openai.OpenAI) -> None:
    found = "V1StGXR8_Z5jdHi6B-myT"
    until(lambda: found in [model.id for model in client.models.list()], 10)
    assert json.loads(said(client, "!report", model=found))["body"]["promptId"] == found
    for name in ("gpt-4o", "flowgpt/gpt-4o"):
        with pytest.raises(openai.NotFoundError) as refused:
            said(client, "Hi", model=name)
        assert refused.value.code == "model_not_found"


def test_stop_and_most_tokens_are_kept_by_the_gateway_and_end_the_upstreams_answer(
    client: openai.OpenAI, upstream: Emulator
) -> None:
    upstream.set(piece_delay=0.05, signature="off")
    assert said(client, "!say:one two three STOP four five six seven", stop="STOP") == "one two three "
    upstream.until(lambda stats: stats["hangups"], 5)
    whole = client.chat.completions.create(
        model="gpt-4-free", max_tokens=2, messages=[{"role": "user", "content": "!say:one two three four five six"}]
    )
    assert whole.choices[0].finish_reason == "length" and whole.usage and whole.usage.completion_tokens == 2


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0]"),
    ],
)
def test_what_changes_the_meaning_is_refused_by_name(
    client: openai.OpenAI, upstream: Emulator, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        said(client, "Hi", **more)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", param)
    assert "chat" not in upstream.stats()["counts"]


def test_an_image_is_refused_by_name(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4-free", messages=[{"role": "user", "content": [image]}])  # type: ignore[list-item,misc]
    assert refused.value.param == "messages[0].content[0]"


def test_nobody_is_asked_with_nothing_but_a_token_that_ran_out(stack: Stack, upstream: Emulator) -> None:
    for _ in range(3):
        answer = stack.ask("Hi", model="flow-old/default")
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] in ("upstream_credential_expired", "no_credential_available")
    assert all(OLD not in record["headers"].get("authorization", "") for record in upstream.stats()["log"])


def test_a_guest_is_one_and_the_same_at_every_gateway_and_rests_when_its_address_is_counted(
    stack: Stack, upstream: Emulator
) -> None:
    answers = [stack.ask("Hi", model="flow-guest/claude-instant") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    stats = upstream.stats()
    assert len(stats["devices"]["guest"]) == 1 and stats["leaks"] == []
    upstream.set(guest_limit=0)
    for _ in range(3):
        answer = stack.ask("Hi", model="flow-guest/claude-instant")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 50 < int(answer.headers["retry-after"]) <= 60
    assert upstream.stats()["counts"]["guest"] == 5, "nobody asked again, and no new guest was made"


# Last: what was learnt stays with the tokens.
def test_every_gateway_learns_how_to_sign_from_the_one_that_found_out(
    client: openai.OpenAI, upstream: Emulator
) -> None:
    upstream.set(signature="concat-device")
    for _ in range(4):
        assert said(client, "!say:signed") == "signed"
    before = upstream.stats()["modes"]
    assert before == {"dash-auth": 2, "concat-device": 4}, "each token is learnt of once, for all gateways"
    for _ in range(4):
        assert said(client, "!say:signed") == "signed"
    assert upstream.stats()["modes"] == {"dash-auth": 2, "concat-device": 8}
