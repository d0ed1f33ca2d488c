"""The stand-in for Gemini is what its page says: judged by Google's own client, and by OpenAI's on the look-alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.node import run_node
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parent / "clients" / "gemini.py"
OLDER_CLIENT = Path(__file__).parent / "clients" / "gemini130.py"
NODE_CLIENT = Path(__file__).parents[1] / "node" / "vendors" / "google_client.mjs"
KEY = {"x-goog-api-key": "AIza-demo-1"}
TOOLS = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]
REASONS = [
    *("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
    *("MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE"),
    *("IMAGE_RECITATION", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
    "MALFORMED_RESPONSE",
]
GREETING = "Grüße, 世界 🙂"


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with Emulator("gemini") as emulator:
        yield emulator


@pytest.fixture
def emu(process: Emulator) -> Emulator:
    process.reset()
    return process


# --- Google's own client ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    with Emulator("gemini") as emulator:
        return saw("gemini", CLIENT, emulator.url, json.dumps(REASONS))


def test_googles_client_reads_words_thoughts_and_usage(seen: dict[str, Any]):
    assert (seen["text"], seen["usage"], seen["finish"]) == (GREETING, [True, 3], "STOP")
    assert seen["pieces"] == ["one ", "two ", "thre", "e", ""]
    assert seen["stream_finish"] == "STOP"
    assert seen["beta"] == ["Hello", "Hello"]
    assert seen["async"] == ["later", "and later"]
    assert (seen["thoughts"], seen["thought_tokens"]) == ([["hm, well", True], ["Yes.", None]], 2)
    assert seen["parsed"] == {"town": "text", "celsius": 1.0}


def test_what_googles_client_sends_is_understood_in_both_spellings(seen: dict[str, Any]):
    report = seen["report"]
    assert report["path"] == "/v1/models/gemini-2.5-demo:generateContent"
    assert report["headers"]["x-goog-api-key"] == report["key"] == "AIza-demo-1"
    # What the page saw it send, so that nobody "corrects" the reading:
    assert report["body"]["contents"][0]["parts"][1] == {"inlineData": {"data": "__44", "mime_type": "image/png"}}
    assert "parameters_json_schema" in report["body"]["tools"][0]["functionDeclarations"][0]
    assert report["read"]["contents"][0]["parts"][1] == {"inlineData": {"data": "//44", "mimeType": "image/png"}}
    assert report["read"]["tools"] == TOOLS
    config = report["read"]["generationConfig"]
    assert config["topK"] == 5 and isinstance(config["topK"], int)
    assert config["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 99}


def test_googles_client_lists_counts_and_embeds(seen: dict[str, Any]):
    assert len(seen["models"]) == 8 and seen["models"][0] == "models/gemini-2.0-demo"
    assert seen["beta_models"] == 9
    assert seen["model"] == ["generateContent", "countTokens"]
    assert seen["counted"] is True
    assert seen["embedded"] == [[0.01, 1.01, 2.01], [0.02, 1.02, 2.02]]


@pytest.mark.parametrize("model", ["gemini-2.0-demo", "gemini-3-demo"])
def test_googles_client_calls_functions_and_brings_signatures_back(seen: dict[str, Any], model: str):
    assert seen[f"chat_{model}"] == '{"result": "14 C in Basel"}; {"result": "14 C in Bern"}'
    turns = [["user", [False]], ["model", [True, True]], ["user", [False, False]], ["model", [False]]]
    assert seen[f"history_{model}"] == turns
    assert seen["any"] == [["get_weather", {"town": "text"}]]
    assert seen["bare_call"] is None
    assert seen["unsigned"][3].startswith("Function call is missing a thought_signature in functionCall parts.")


def test_googles_client_takes_the_oddities_that_the_page_says_it_takes(seen: dict[str, Any]):
    odd = {name: text for name, text in seen.items() if name.startswith("odd_")}
    assert len(odd) == 10
    assert set(odd.values()) == {GREETING}


def test_googles_client_reads_blocks_and_reasons(seen: dict[str, Any]):
    assert seen["blocked"] == [[None, "PROHIBITED_CONTENT"]] * 2
    assert seen["finishes"] == REASONS
    assert seen["silent"] == [None, "MAX_TOKENS"]


def test_googles_client_raises_its_own_errors(seen: dict[str, Any]):
    raised = {name: seen[name][:3] for name in seen if isinstance(seen[name], list) and "Error" in str(seen[name][:1])}
    assert raised == {
        "wrong_key": ["ClientError", 400, "INVALID_ARGUMENT"],
        "wrong_model": ["ClientError", 404, "NOT_FOUND"],
        "location": ["ClientError", 400, "FAILED_PRECONDITION"],
        "service_disabled": ["ClientError", 403, "PERMISSION_DENIED"],
        "rate_limit": ["ClientError", 429, "RESOURCE_EXHAUSTED"],
        "quota_day": ["ClientError", 429, "RESOURCE_EXHAUSTED"],
        "context_length": ["ClientError", 400, "INVALID_ARGUMENT"],
        "internal": ["ServerError", 500, "INTERNAL"],
        "overloaded": ["ServerError", 503, "UNAVAILABLE"],
        "array": ["ClientError", 429, "RESOURCE_EXHAUSTED"],
        "error_frame": ["ServerError", 503, "UNAVAILABLE"],
        "error_bare": ["ServerError", 503, "UNAVAILABLE"],
        "last_turn": ["ClientError", 400, "INVALID_ARGUMENT"],
        "unsigned": ["ClientError", 400, "INVALID_ARGUMENT"],
    }


@pytest.mark.timeout(600)  # the first run makes the environment
def test_googles_older_client_reads_what_it_can():
    with Emulator("gemini") as emulator:
        told = saw("gemini130", OLDER_CLIENT, emulator.url)
    assert told["version"] == "1.30.0"
    assert told["text"] == [GREETING] * 2
    assert (told["finish"], told["usage"], told["models"], told["async"]) == ("STOP", 3, 9, "later")
    assert told["path"] == "/v1beta/models/gemini-2.0-demo:generateContent"
    assert told["thoughts"] == [["hm, well", True], ["Yes.", None]]
    assert told["chat"] == '{"result": "14 C in Basel"}'
    assert told["oddities"] == [GREETING] * 5
    assert told["rate_limit"] == ["ClientError", 429, "RESOURCE_EXHAUSTED"]
    assert told["overloaded"] == ["ServerError", 503, "UNAVAILABLE"]
    assert told["context_length"] == ["ClientError", 400, "INVALID_ARGUMENT"]
    # What the page saw it break on, and pass over.
    assert told["array"] == ["AttributeError"]
    assert told["several lines"] == ["UnknownApiResponseError"]
    assert told["error frame"] is None


@pytest.mark.timeout(600)
def test_googles_client_for_node_reads_the_same():
    with Emulator("gemini") as emulator:
        done = run_node(NODE_CLIENT, emulator.url)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["whole"] == told["streamed"] == {"text": GREETING, "finish": "STOP"}
    assert (told["usage"], len(told["models"])) == (3, 9)
    assert told["path"] == "/v1beta/models/gemini-2.0-demo:generateContent"
    assert told["thoughts"] == [["hm, well", True], ["Yes.", False]]
    assert told["call"] == {"name": "get_weather", "args": {"town": "Basel"}}
    assert told["after"] == '{"result": "14 C in Basel"}', "the signature came back"
    assert len(told["odd"]) == 6 and set(told["odd"].values()) == {GREETING}
    statuses = {name: error[:2] for name, error in told["errors"].items()}
    assert statuses == {
        **{"key": ["ApiError", 400], "context_length": ["ApiError", 400]},
        **{"rate_limit": ["ApiError", 429], "overloaded": ["ApiError", 503], "internal": ["ApiError", 500]},
        "frame": ["ApiError", 503],
        "no final blank line": ["Error", None],
    }


# --- what it is strict about --------------------------------------------------------------------------------------


def asked(
    emu: Emulator, *contents: Any, model: str = "gemini-2.0-demo", version: str = "v1beta", query: str = "", **more: Any
) -> httpx.Response:
    turns = [{"parts": [{"text": one}]} if isinstance(one, str) else one for one in contents]
    url = f"{emu.url}/{version}/models/{model}:generateContent{query}"
    return httpx.post(url, json={"contents": turns, **more}, headers={} if query else KEY, timeout=5)


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


def called(*names: str, signature: str | None = None) -> Any:
    parts: list[Any] = [{"functionCall": {"name": name, "args": {}}} for name in names]
    if signature:
        parts[0]["thoughtSignature"] = signature
    return {"role": "model", "parts": parts}


def gave(*names: str, **more: Any) -> Any:
    parts = [{"functionResponse": {"name": name, "response": {}, **more}} for name in names]
    return {"role": "user", "parts": parts}


def test_who_may_ask(emu: Emulator):
    assert asked(emu, "Hello", query="?key=AIza-demo-2").status_code == 200
    wrong = asked(emu, "Hello", query="?key=AIza-none").json()["error"]
    assert (wrong["code"], wrong["status"], wrong["details"][0]["reason"]) == (
        400,
        "INVALID_ARGUMENT",
        "API_KEY_INVALID",
    )
    url = f"{emu.url}/v1/models"
    assert httpx.get(url, timeout=5).status_code == 403
    assert httpx.get(url, headers={"authorization": "Bearer x"}, timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"unheard_of": 1}, 'Unknown name "unheard_of": Cannot find field.'),
        ({"generationConfig": {"top_q": 1}}, "at 'generation_config'"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "$ref": "x"}}]}]},
            "Unknown name \"$ref\" at 'tools[0].function_declarations[0].parameters'",
        ),
        ({"generationConfig": {"topK": 5.5}}, "Invalid value at 'generation_config.top_k'"),
        ({"generationConfig": {"maxOutputTokens": "many"}}, "Invalid value at 'generation_config.max_output_tokens'"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]}, "Base64 decoding failed"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": "text"}}]}]}, "Struct"),
        ({"generationConfig": {"topK": "5", "top_p": 1, "stopSequences": "END"}}, None),
    ],
)
def test_how_strictly_it_reads(emu: Emulator, body: Any, place: str | None):
    answer = asked(emu, "Hello", **body)
    if place is None:
        assert answer.status_code == 200
    else:
        assert place in refused(answer)
        assert answer.json()["error"]["details"][0]["fieldViolations"][0]["field"]


MODEL = {"role": "model", "parts": [{"text": "Hm."}]}


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([], "contents is not specified"),
        ([{"role": "robot", "parts": [{"text": "x"}]}], "valid role"),
        ([{"parts": []}], "must not be empty"),
        (["Hello", MODEL], "end with a user role"),
        ([""], "must have a text parameter"),
        ([{"parts": [{"text": "x", "functionCall": {"name": "f"}}]}], "oneof"),
        ([called("f"), gave("f")], "function call turn comes immediately after"),
        (["Hello", called("f", "g"), gave("f")], "number of function response parts"),
        (["Hello", called("f"), "Never mind"], "number of function response parts"),
        (["Hello", gave("f")], "number of function response parts"),
        (["Hello", called("f"), gave("g")], "names"),
        (["Hello", called("f"), gave("f", id="x")], "ids"),
    ],
)
def test_the_order_of_turns(emu: Emulator, contents: list[Any], words: str):
    assert words in refused(asked(emu, *contents))


def test_a_round_of_tools_in_order(emu: Emulator):
    answer = asked(emu, "Hello", called("f", "f"), gave("f", "f"))
    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": "{}; {}"}]


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (None, "missing a thought_signature"),
        ("CpEB", "Corrupted thought signature"),
        ("skip_thought_signature_validator", None),
        ("context_engineering_is_the_way_to_go", None),
    ],
)
def test_signatures(emu: Emulator, signature: str | None, words: str | None):
    answer = asked(emu, "Hello", called("f", signature=signature), gave("f"), model="gemini-3-demo")
    assert (answer.status_code == 200) if words is None else (words in refused(answer))
    assert asked(emu, "Hello", called("f"), gave("f"), MODEL, "Hi", model="gemini-3-demo").status_code == 200


def test_a_signature_is_good_for_one_project_and_model(emu: Emulator):
    asking = {"tools": TOOLS, "model": "gemini-3-demo"}
    said = asked(emu, "!tool:f:{}", **asking).json()["candidates"][0]["content"]
    signed = called("f", signature=said["parts"][0]["thoughtSignature"])
    assert asked(emu, "Hello", signed, gave("f"), model="gemini-3-demo").status_code == 200
    same, other = (
        asked(emu, "Hello", signed, gave("f"), model="gemini-3-demo", query=f"?key=AIza-demo-{n}") for n in (2, 3)
    )
    assert same.status_code == 200
    assert refused(other) == "Corrupted thought signature."


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("gemma-demo", {"systemInstruction": {"parts": [{"text": "x"}]}}, "Developer instruction is not enabled"),
        ("gemini-2.5-pro-demo", {"generationConfig": {"presencePenalty": 1}}, "Penalty is not enabled"),
        ("gemini-2.5-pro-demo", {"generationConfig": {"candidateCount": 2}}, "Only 1 candidate"),
        ("gemini-2.5-pro-demo", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, "Budget 0"),
        ("gemini-2.0-demo", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9}}}, "Thinking is not enabled"),
        ("gemini-2.5-demo", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "Thinking level"),
        (
            "gemini-3-demo",
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}},
            "only one of",
        ),
        ("gemini-demo-latest", {"generationConfig": {"responseLogprobs": True}}, "Logprobs is not enabled"),
        ("gemini-2.0-demo", {"generationConfig": {"responseJsonSchema": {}}}, "response_mime_type"),
        ("gemini-2.0-demo", {"generationConfig": {"stopSequences": list("abcdef")}}, "stop_sequences"),
        ("gemini-2.0-demo", {"generationConfig": {"temperature": 3}}, "temperature"),
        ("gemini-2.0-demo", {"safetySettings": [{"category": "X", "threshold": "OFF"}]}, "safety_settings"),
        ("gemini-2.0-demo", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "needs function declarations"),
    ],
)
def test_what_a_model_does_not_have(emu: Emulator, model: str, more: Any, words: str):
    assert words in refused(asked(emu, "Hello", model=model, **more))


def test_an_older_version_of_the_api_does_not_read_json_schema(emu: Emulator):
    emu.set(plain_schemas=["v1beta"])
    assert 'Unknown name "parametersJsonSchema"' in refused(asked(emu, "Hello", version="v1", tools=TOOLS))
    assert asked(emu, "Hello", tools=TOOLS).status_code == 200


def test_the_bytes_of_a_stream_are_those_that_the_page_saw(emu: Emulator):
    url = f"{emu.url}/v1beta/models/gemini-2.0-demo:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "!say:one two"}]}]}
    stream = httpx.post(f"{url}?alt=sse", json=body, headers=KEY, timeout=5)
    assert stream.headers["content-type"] == "text/event-stream"
    *frames, rest = stream.content.split(b"\r\n\r\n")
    assert rest == b"" and len(frames) == 3
    first, _, last = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    assert "finishReason" not in first["candidates"][0] and "candidatesTokenCount" not in first["usageMetadata"]
    assert last["candidates"][0] == {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "index": 0,
        "finishReason": "STOP",
    }
    whole = httpx.post(url, json=body, headers=KEY, timeout=5)
    assert [one["candidates"][0]["content"]["parts"] for one in whole.json()] == [
        [{"text": "one "}],
        [{"text": "two"}],
        [{"text": ""}],
    ]


# --- the look-alike of OpenAI's API -------------------------------------------------------------------------------


def test_openais_client_on_the_look_alike(emu: Emulator):
    options = {"base_url": f"{emu.url}/v1beta/openai/", "max_retries": 0}
    with openai.OpenAI(api_key="AIza-demo-1", **options) as client:
        tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        question: Any = {"role": "user", "content": '!tool:f:{"a":1}\n!tool:f:{"a":2}'}
        first = client.chat.completions.create(model="gemini-3-demo", messages=[question], tools=tools)
        message = first.choices[0].message
        assert message.tool_calls and len(message.tool_calls) == 2
        assert message.tool_calls[0].to_dict()["extra_content"]["google"]["thought_signature"]
        results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "1"} for call in message.tool_calls]
        history: Any = [question, message, *results]
        again = client.chat.completions.create(model="models/gemini-3-demo", messages=history, tools=tools)
        assert again.choices[0].message.content == '{"result": "1"}; {"result": "1"}'
        chunks = list(
            client.chat.completions.create(model="gemini-3-demo", messages=[question], tools=tools, stream=True)
        )
        deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        assert [delta.index for delta in deltas] == [0, 0]
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert "models/gemini-3-demo" in [model.id for model in client.models.list()]
        with pytest.raises(openai.BadRequestError) as unknown:
            client.chat.completions.create(model="gemini-3-demo", messages=[question], seed=5)
        assert isinstance(unknown.value.response.json(), list)
    with openai.OpenAI(api_key="AIza-none", **options) as stranger, pytest.raises(openai.BadRequestError):
        stranger.models.list()


def test_hang_ups_are_recorded(emu: Emulator):
    emu.set(piece_delay=0.2)
    url = f"{emu.url}/v1/models/gemini-2.0-demo:streamGenerateContent?alt=sse"
    body = {"contents": [{"parts": [{"text": "!say:one two three four"}]}]}
    with httpx.stream("POST", url, json=body, headers=KEY, timeout=5) as response:
        next(response.iter_bytes())
    (left,) = emu.until(lambda stats: stats["hangups"])["hangups"]
    assert (left["key"], left["route"]) == ("AIza-demo-1", "chat") and left["sent"] > 0
