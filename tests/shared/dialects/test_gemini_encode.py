"""What is asked of Gemini: every row of the page's mapping, and every other manner in which it can be put."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parley.chat.prompt import Prompt
from parley.dialects.gemini import Manner, encode, path_of, remedied
from parley.errors import BadRequest, Failure, ModelNotFound, UnsupportedParameter

HELLO = {"role": "user", "content": "Hello"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather by town",
        "strict": True,
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "additionalProperties": False},
    },
}
CALLED = {"role": "assistant", "content": None}
PNG = "data:image/png;base64,iVBORw0KGgo="


def asked(*messages: Any, manner: Manner | None = None, model: str = "gemini-2.0-flash", **fields: Any) -> Any:
    """The body for a request of these fields."""
    raw = {"model": model, "messages": list(messages) or [HELLO], **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return json.loads(encode(prompt, manner or Manner()))


def refused(*messages: Any, **fields: Any) -> Failure:
    with pytest.raises(Failure) as told:
        asked(*messages, **fields)
    return told.value


def call(name: str, known: str, arguments: str = "{}", signature: str | None = None) -> dict[str, Any]:
    extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    return {"id": known, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


def result(known: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": known, "content": content}


def test_a_plain_question_says_nothing_more():
    assert asked() == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


# --- who says what ------------------------------------------------------------------------------------------------


def test_instructions_are_joined_and_stand_apart():
    body = asked(
        {"role": "system", "content": "Be brief."},
        HELLO,
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief.\n\nBe kind."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]


def test_instructions_alone_are_the_question():
    body = asked({"role": "system", "content": "Tell a joke."})
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]}


def test_a_model_without_a_place_for_instructions_hears_them_first():
    for manner, model in ((Manner(), "gemma-3-27b-it"), (Manner(instructions=False), "gemini-2.0-flash")):
        body = asked({"role": "system", "content": "Be brief."}, HELLO, manner=manner, model=model)
        assert body == {"contents": [{"role": "user", "parts": [{"text": "Be brief."}, {"text": "Hello"}]}]}


def test_neighbours_of_one_role_become_one_turn_and_empty_words_are_left_out():
    body = asked(
        HELLO,
        {"role": "user", "content": [{"type": "text", "text": ""}, "Anyone?"]},
        {"role": "assistant", "content": "Yes."},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "refusal": "I must not."},
        {"role": "user", "content": "Why?"},
    )
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hello"}, {"text": "Anyone?"}]},
        {"role": "model", "parts": [{"text": "Yes."}, {"text": "I must not."}]},
        {"role": "user", "parts": [{"text": "Why?"}]},
    ]


def test_nothing_but_empty_words_is_no_question():
    assert isinstance(refused({"role": "user", "content": ""}), BadRequest)


def test_a_round_of_tools_is_told_by_name_and_together():
    body = asked(
        HELLO,
        {
            **CALLED,
            "content": "Looking.",
            "tool_calls": [call("w", "c1", '{"town":"Basel"}'), call("w", "c2"), call("t", "c3", "now")],
        },
        result("c2", "14 C"),
        result("c1", [{"type": "text", "text": '{"celsius":'}, {"type": "text", "text": "14}"}]),
        result("c3", "[1]"),
        {"role": "user", "content": "And?"},
    )
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Looking."},
                {"functionCall": {"id": "c1", "name": "w", "args": {"town": "Basel"}}},
                {"functionCall": {"id": "c2", "name": "w", "args": {}}},
                {"functionCall": {"id": "c3", "name": "t", "args": {"arguments": "now"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c2", "name": "w", "response": {"result": "14 C"}}},
                {"functionResponse": {"id": "c1", "name": "w", "response": {"celsius": 14}}},
                {"functionResponse": {"id": "c3", "name": "t", "response": {"result": "[1]"}}},
                {"text": "And?"},
            ],
        },
    ]


# --- signatures ---------------------------------------------------------------------------------------------------


def signatures(body: Any) -> list[str | None]:
    return [
        part.get("thoughtSignature") for turn in body["contents"] for part in turn["parts"] if "functionCall" in part
    ]


ROUNDS = [
    HELLO,
    {**CALLED, "tool_calls": [call("w", "c1", signature="CpEB"), call("w", "c2")]},
    result("c1", "1"),
    result("c2", "2"),
    {**CALLED, "tool_calls": [call("w", "c3"), call("w", "c4", signature="DqFC")]},
    result("c3", "3"),
    result("c4", "4"),
]
STAND_IN = "skip_thought_signature_validator"


@pytest.mark.parametrize(
    ("model", "manner", "expected"),
    [
        ("gemini-3-pro-preview", Manner(), ["CpEB", None, STAND_IN, "DqFC"]),
        ("models/gemini-3.1-flash", Manner(), ["CpEB", None, STAND_IN, "DqFC"]),
        ("gemini-flash-latest", Manner(), ["CpEB", None, STAND_IN, "DqFC"]),
        ("gemini-2.5-flash", Manner(), ["CpEB", None, None, "DqFC"]),
        ("tunedModels/mine", Manner(), ["CpEB", None, None, "DqFC"]),
        ("tunedModels/mine", Manner(signatures=True), ["CpEB", None, STAND_IN, "DqFC"]),
        ("gemini-3-pro-preview", Manner(signatures=False), [STAND_IN, None, STAND_IN, None]),
    ],
)
def test_signatures_go_back_where_they_came_from(model: str, manner: Manner, expected: list[str | None]):
    assert signatures(asked(*ROUNDS, model=model, manner=manner)) == expected


@pytest.mark.parametrize("extra", [None, {}, {"google": "x"}, {"google": {"thought_signature": 5}}, {"other": {}}])
def test_what_is_no_signature_is_not_sent_as_one(extra: Any):
    one = {**call("w", "c1"), "extra_content": extra}
    assert signatures(asked(HELLO, {**CALLED, "tool_calls": [one]}, result("c1", "1"))) == [None]


# --- what is shown ------------------------------------------------------------------------------------------------


def part(**given: Any) -> Any:
    return {"role": "user", "content": [{"type": "text", "text": "Look:"}, given]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"type": "image_url", "image_url": {"url": PNG}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        ),
        ({"type": "image_url", "image_url": PNG}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        (
            {"type": "image_url", "image_url": {"url": "data:IMAGE/WEBP;charset=x;base64,_-\n8="}},
            {"inlineData": {"mimeType": "image/webp", "data": "/+8="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://youtu.be/abc"}},
            {"fileData": {"fileUri": "https://youtu.be/abc"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_data": "AAAA"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/a1"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a1"}},
        ),
    ],
)
def test_what_is_shown_travels_inside_the_question(given: Any, told: Any):
    assert asked(part(**given))["contents"][0]["parts"] == [{"text": "Look:"}, told]


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, UnsupportedParameter, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://169.254.0.1/"}}, UnsupportedParameter, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, UnsupportedParameter, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,raw"}}, BadRequest, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, BadRequest, "image_url.url"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "pcm"}}, BadRequest, "input_audio.format"),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, BadRequest, "input_audio.data"),
        ({"type": "file", "file": {"file_id": "file-abc"}}, UnsupportedParameter, "file.file_id"),
    ],
)
def test_what_cannot_be_shown_is_refused_at_its_place(given: Any, kind: type[Failure], param: str):
    failure = refused(part(**given))
    assert type(failure) is kind
    assert failure.param == f"messages[0].content[1].{param}"


def test_an_operator_may_leave_addresses_of_images_to_the_service():
    picture = part(type="image_url", image_url={"url": "https://a.example/b.PNG?c"})
    unknown = part(type="image_url", image_url={"url": "https://a.example/b"})
    told = asked(picture, unknown, manner=Manner(image_urls=True))["contents"][0]["parts"]
    assert told[1] == {"fileData": {"fileUri": "https://a.example/b.PNG?c", "mimeType": "image/png"}}
    assert told[3] == {"fileData": {"fileUri": "https://a.example/b"}}
    assert refused(part(type="image_url", image_url={"url": "http://a.example/b"}), manner=Manner(image_urls=True))


# --- tools and forms ----------------------------------------------------------------------------------------------


def test_tools_are_declared_with_their_schemas():
    bare = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
    (declared,) = asked(tools=[TOOL, bare])["tools"]
    assert declared["functionDeclarations"] == [
        {
            "name": "get_weather",
            "description": "Weather by town",
            "parametersJsonSchema": TOOL["function"]["parameters"],
        },
        {"name": "now"},
    ]
    (cut,) = asked(tools=[TOOL], manner=Manner(plain_schemas=False))["tools"]
    assert cut["functionDeclarations"][0]["parameters"] == {
        "type": "object",
        "properties": {"town": {"type": "string"}},
    }


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
        *(
            (
                {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": mode,
                        "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                    },
                },
                {"mode": theirs, "allowedFunctionNames": ["get_weather"]},
            )
            for mode, theirs in (("auto", "VALIDATED"), ("required", "ANY"))
        ),
    ],
)
def test_choices_of_tools(choice: Any, told: Any):
    body = asked(tools=[TOOL], tool_choice=choice)
    assert body.get("toolConfig") == (told and {"functionCallingConfig": told})
    assert "toolConfig" not in asked(tools=[], tool_choice=None)


def test_forms_of_the_answer():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    mime = {"responseMimeType": "application/json"}
    assert asked(response_format={"type": "json_object"})["generationConfig"] == mime
    assert asked(response_format=wanted)["generationConfig"] == {**mime, "responseJsonSchema": schema}
    assert "generationConfig" not in asked(response_format={"type": "text"})
    cut = asked(response_format=wanted, manner=Manner(plain_schemas=False))["generationConfig"]
    assert cut == {**mime, "responseSchema": {"type": "object", "properties": {"a": {"type": "string"}}}}


# --- knobs --------------------------------------------------------------------------------------------------------


def test_knobs_by_their_other_names():
    body = asked(
        temperature=0.2,
        top_p=0.9,
        top_k=40,
        max_tokens=256,
        stop=["END", ""],
        n=2,
        seed=-1,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logprobs=True,
        top_logprobs=3,
    )
    assert body["generationConfig"] == {
        "temperature": 0.2,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 256,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 2**31 - 1,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert "generationConfig" not in asked(n=1, presence_penalty=0, stop=[], logprobs=False)
    assert "generationConfig" not in asked(presence_penalty=1, frequency_penalty=1, manner=Manner(penalties=False))
    assert asked(max_completion_tokens=9)["generationConfig"] == {"maxOutputTokens": 9}


def test_knobs_that_gemini_does_not_have_are_left_out():
    assert (
        asked(
            user="u",
            store=True,
            metadata={"a": "b"},
            logit_bias={"5": 1},
            service_tier="flex",
            verbosity="low",
            safety_identifier="s",
            prompt_cache_key="k",
            parallel_tool_calls=False,
            unheard_of=1,
        )
        == asked()
    )


@pytest.mark.parametrize(("field", "value"), [("n", 9), ("prediction", {"type": "content", "content": "x"})])
def test_what_would_be_lost_is_refused_by_name(field: str, value: Any):
    failure = refused(**{field: value})
    assert isinstance(failure, UnsupportedParameter)
    assert failure.param == field


@pytest.mark.parametrize(
    ("model", "effort", "told"),
    [
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b-it", "high", None),
        ("gemini-2.5-flash-image", "high", None),
        ("gemini-2.5-flash", None, {"includeThoughts": True}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"includeThoughts": True, "thinkingBudget": 128}),
        ("gemini-2.5-flash", "minimal", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "medium", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-flash", "high", {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-3-flash-preview", "none", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro", "none", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.1-pro", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-pro-latest", "high", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
    ],
)
def test_how_hard_to_think(model: str, effort: str | None, told: Any):
    assert asked(model=model, reasoning_effort=effort).get("generationConfig", {}).get("thinkingConfig") == told
    assert "generationConfig" not in asked(model=model, reasoning_effort=effort, manner=Manner(thinking=False))


def test_thoughts_that_callers_must_not_see_are_not_asked_for():
    manner = Manner(thoughts=False)
    assert "generationConfig" not in asked(model="gemini-2.5-flash", manner=manner)
    body = asked(model="gemini-3-flash", reasoning_effort="low", manner=manner)
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "LOW"}}


def test_an_unknown_effort_is_refused_by_name():
    failure = refused(model="gemini-3-flash", reasoning_effort="heroic")
    assert (failure.param, failure.code) == ("reasoning_effort", "invalid_value")


def test_an_operators_thresholds_are_sent():
    told = asked(manner=Manner(safety={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"}))["safetySettings"]
    assert told == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]


# --- names --------------------------------------------------------------------------------------------------------


def test_names_of_models():
    assert path_of("gemini-2.5-pro") == path_of("models/gemini-2.5-pro") == "models/gemini-2.5-pro"
    assert path_of("tunedModels/mine-1") == "tunedModels/mine-1"


@pytest.mark.parametrize(
    "name", ["", "a:b", "a?key=1", "a b", "../files", "models/", "models/a/b", "a/b", ".", "a\n", "a%2f", "ü"]
)
def test_names_that_would_lead_elsewhere_are_of_no_model(name: str):
    with pytest.raises(ModelNotFound):
        path_of(name)


# --- other manners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "better"),
    [
        ("Function call is missing a thought_signature in functionCall parts.", Manner(signatures=True)),
        ("Corrupted thought signature.", Manner(signatures=False)),
        ("Invalid thought signature", Manner(signatures=False)),
        ("Thought signature is not valid", Manner(signatures=False)),
        ('Invalid JSON payload received. Unknown name "parametersJsonSchema" at ...', Manner(plain_schemas=False)),
        ('Unknown name "parameters_json_schema" at ...', Manner(plain_schemas=False)),
        ('Unknown name "responseJsonSchema" at ...', Manner(plain_schemas=False)),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", Manner(instructions=False)),
        ("Penalty is not enabled for this model", Manner(penalties=False)),
        ("Thinking is not enabled for this model", Manner(thinking=False)),
        ("Budget 0 is invalid. This model only works in thinking mode.", Manner(thinking=False)),
        ('Unknown name "thinkingConfig" at ...', Manner(thinking=False)),
    ],
)
def test_a_refusal_that_another_manner_avoids_names_it_once(message: str, better: Manner):
    body = json.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}).encode()
    assert remedied(Manner(), 400, body) == better
    assert remedied(better, 400, body) is None
    assert remedied(Manner(), 500, body) is None


@pytest.mark.parametrize(
    "message", ["API key not valid.", "Unknown name \"x\" at 'contents'", "contents is not specified"]
)
def test_other_refusals_have_no_remedy(message: str):
    assert remedied(Manner(), 400, json.dumps({"error": {"message": message}}).encode()) is None
