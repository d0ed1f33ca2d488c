"""The stand-in as Hugging Face's router, by a plain HTTP client (and OpenAI's, which must keep working)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.upstreams.openai.errors import OTHERS
from tests.upstreams.running import Emulator

KEY = "hf_demo"
MODEL = "demo-org/demo-120b"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("openai") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    running.set(dialect="huggingface")
    return running


@pytest.fixture
def http(upstream: Emulator) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{upstream.url}/v1", headers=headers, trust_env=False, verify=False) as made:
        yield made


def asking(text: str = "Warm.", model: str = MODEL, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_an_answer_bears_the_providers_marks(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json=asking("!think:hm\n!say:Warm."))
    body = answer.json()
    assert answer.headers["x-request-id"].startswith("Root=1-")
    assert answer.headers["x-inference-provider"] == "fireworks-ai"
    assert body["model"] == "accounts/fireworks-ai/models/demo-120b"
    assert not body["id"].startswith("chatcmpl-")
    assert body["system_fingerprint"] == ""
    assert "service_tier" not in body
    choice = body["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Warm.", "reasoning": "hm"}
    assert choice["finish_reason"] == "eos_token"
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_a_stream_has_its_usage_beside_the_last_choice(http: httpx.Client) -> None:
    body = asking("!think:hm\n!say:Warm.", stream=True, stream_options={"include_usage": True})
    lines = http.post("/chat/completions", json=body).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"reasoning": "hm"},
        {"content": "Warm"},
        {"content": "."},
        {},
    ]
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False, False, False, False, True]
    assert chunks[-1]["choices"][0]["finish_reason"] == "eos_token"


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        (MODEL, "fireworks-ai"),
        (f"{MODEL}:together", "together"),
        (f"{MODEL}:fastest", "fireworks-ai"),
        (f"{MODEL}:cheapest", "fireworks-ai"),
        (f"{MODEL}:preferred", "fireworks-ai"),
        ("openai/gpt-oss-120b:groq", "groq"),
    ],
)
def test_a_suffix_names_a_provider_or_a_policy(http: httpx.Client, model: str, provider: str) -> None:
    answer = http.post("/chat/completions", json=asking(model=model))
    assert answer.headers["x-inference-provider"] == provider


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("nobody/nothing", "model_not_found"),
        ("demo-120b", "model_not_found"),
        ("demo:org/demo-120b", "model_not_found"),
        (f"{MODEL}:groq", "model_not_supported"),
        (f"{MODEL}:nobody", "model_not_supported"),
    ],
)
def test_a_wrong_model_is_a_400(http: httpx.Client, model: str, code: str) -> None:
    answer = http.post("/chat/completions", json=asking(model=model))
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, "model")


def test_without_a_named_provider_another_takes_over(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(failing_providers=["fireworks-ai"])
    assert http.post("/chat/completions", json=asking()).headers["x-inference-provider"] == "together"
    named = http.post("/chat/completions", json=asking(model=f"{MODEL}:fireworks-ai"))
    assert (named.status_code, list(named.json())) == (503, ["message"])
    upstream.set(failing_providers=[])
    upstream.fault("hf_other_provider")
    assert http.post("/chat/completions", json=asking()).headers["x-inference-provider"] == "together"


def test_keys_are_told_apart(http: httpx.Client, upstream: Emulator) -> None:
    url = "/chat/completions"
    wrong = http.post(url, json=asking(), headers={"authorization": "Bearer hf_wrong"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid username or password."})
    powerless = http.post(url, json=asking(), headers={"authorization": "Bearer hf_nopermission"})
    assert powerless.status_code == 403
    assert isinstance(powerless.json()["error"], str)
    upstream.set(credits={KEY: 1})
    assert [http.post(url, json=asking()).status_code for _ in range(3)] == [200, 402, 402]


def test_models_are_public_and_found_with_their_slash(http: httpx.Client, upstream: Emulator) -> None:
    rows = httpx.get(f"{upstream.url}/v1/models").json()["data"]
    assert MODEL in [row["id"] for row in rows]
    assert [at["provider"] for at in rows[0]["providers"]] == ["fireworks-ai", "together"]
    assert http.get(f"/models/{MODEL}").json()["id"] == MODEL
    assert http.get("/models/demo-org%2Fdemo-120b").json()["id"] == MODEL


@pytest.mark.parametrize("path", ["embeddings", "completions", "responses"])
def test_only_chat_is_offered(http: httpx.Client, path: str) -> None:
    answer = http.post(f"/{path}", json={"input": "a"})
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


def test_who_pays_is_recorded(http: httpx.Client, upstream: Emulator) -> None:
    http.post("/chat/completions", json=asking(), headers={"X-HF-Bill-To": "demo-org"})
    assert upstream.stats()["log"][0]["bill_to"] == "demo-org"


def test_both_forms_of_a_schema_are_honoured(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
    for wanted in (
        {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}},
        {"type": "json_object", "value": schema},
    ):
        answer = http.post("/chat/completions", json=asking(response_format=wanted)).json()
        assert json.loads(answer["choices"][0]["message"]["content"]) == {"town": "text"}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"surprise": 1}, 200),
        ({"tool_prompt": "use them"}, 200),
        ({"n": 2}, 400),
        ({"logprobs": True, "top_logprobs": 6}, 400),
        ({"max_completion_tokens": 5}, 422),
        ({"messages": [{"role": "developer", "content": "a"}]}, 422),
        (
            {"messages": [{"role": "assistant", "content": "a", "reasoning": "b"}, {"role": "user", "content": "a"}]},
            422,
        ),
    ],
)
def test_what_providers_refuse(http: httpx.Client, more: dict[str, Any], status: int) -> None:
    answer = http.post("/chat/completions", json={**asking(), **more})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["error_type"] == "validation"


@pytest.mark.parametrize("name", OTHERS)
def test_errors_come_in_the_routers_shapes(http: httpx.Client, upstream: Emulator, name: str) -> None:
    status, message, shape, more = OTHERS[name]
    upstream.fault(name)
    answer = http.post("/chat/completions", json=asking(stream=True))
    assert answer.status_code == status
    assert answer.headers["x-request-id"]
    keys = {"string": "error", "detail": "detail", "message": "message"}
    if shape in keys:
        assert answer.json() == {keys[shape]: message, **more}
    else:
        assert answer.headers["content-type"].startswith({"html": "text/html", "text": "text/plain"}[shape])


def test_a_stream_can_end_in_the_routers_error(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("error_frame", error="inputs too long", more={"error_type": "validation"}, chunks=1)
    lines = http.post("/chat/completions", json=asking(stream=True)).text.split("\n\n")
    assert json.loads(lines[1].removeprefix("data: ")) == {"error": "inputs too long", "error_type": "validation"}
    assert lines[2:] == [""]


def test_the_first_byte_can_be_late(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("slow_first_byte", seconds=0.3)
    started = time.monotonic()
    with http.stream("POST", "/chat/completions", json=asking(stream=True)) as answer:
        head = time.monotonic() - started
        next(answer.iter_raw())
        first = time.monotonic() - started
    assert head < 0.2
    assert 0.3 <= first < 1


def test_openais_client_reads_all_of_it(upstream: Emulator) -> None:
    with OpenAI(base_url=f"{upstream.url}/v1", api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(**asking("!think:hm\n!say:Warm."))
        pieces = [
            chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**asking(stream=True))
        ]
        assert (answer.choices[0].message.content, answer.choices[0].message.reasoning) == ("Warm.", "hm")
        assert "".join(pieces) == "Warm."
        upstream.fault("hf_loading")
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**asking())
    assert caught.value.body == "Model demo is currently loading"
    assert caught.value.request_id == upstream.stats()["log"][-1]["id"]
