"""The official client google-genai 3.4.0, unmodified: both versions, whole, streamed, async, chats with tools."""

import asyncio
import json
import sys
import urllib.request

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

url = sys.argv[1]
saw = {}


def control(where, **body):
    request = urllib.request.Request(
        f"{url}/__emu__/{where}", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.status == 200


def fault(name, times=1, **params):
    control("faults", name=name, times=times, params=params)


def client_of(version=None, key="AIza-demo-1"):
    more = {"api_version": version} if version else {}
    return genai.Client(api_key=key, http_options={"base_url": url, **more})


def raised(call):
    try:
        call()
    except errors.APIError as error:
        return [type(error).__name__, error.code, error.status, error.message]
    return None


class Weather(BaseModel):
    town: str
    celsius: float


def get_weather(town: str) -> str:
    """Weather by town."""
    return f"14 C in {town}"


def text_of(chunks):
    return "".join(chunk.text or "" for chunk in chunks)


client, beta = client_of(), client_of("v1beta")
ask, stream = client.models.generate_content, client.models.generate_content_stream
PLAIN, THINKER, SIGNER = "gemini-2.0-demo", "gemini-2.5-demo", "gemini-3-demo"

# what goes well
first = ask(model=PLAIN, contents="!say:Grüße, 世界 🙂")
saw["text"] = first.text
saw["usage"] = [first.usage_metadata.prompt_token_count > 0, first.usage_metadata.candidates_token_count]
saw["finish"] = first.candidates[0].finish_reason.name
chunks = list(stream(model=PLAIN, contents="!say:one two three"))
saw["pieces"] = [chunk.text for chunk in chunks]
saw["stream_finish"] = chunks[-1].candidates[0].finish_reason.name
saw["beta"] = [beta.models.generate_content(model=f"models/{PLAIN}", contents="Hello").text]
saw["beta"].append(text_of(beta.models.generate_content_stream(model=PLAIN, contents="Hello")))

thinking = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=99))
thought = ask(model=THINKER, contents="!think:hm, well\n!say:Yes.", config=thinking)
saw["thoughts"] = [[part.text, part.thought] for part in thought.candidates[0].content.parts]
saw["thought_tokens"] = thought.usage_metadata.thoughts_token_count

everything = types.GenerateContentConfig(
    system_instruction="Be brief.",
    temperature=0.5,
    top_k=5,
    max_output_tokens=9000,
    stop_sequences=["END"],
    tools=[types.Tool(function_declarations=[{"name": "f", "parameters_json_schema": {"type": "object"}}])],
    thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=99),
    safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
)
picture = types.Part.from_bytes(data=b"\xff\xfe8", mime_type="image/png")
said = ask(model=THINKER, contents=["!report", picture], config=everything)
saw["report"] = json.loads(said.text)

formed = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather)
saw["parsed"] = ask(model=PLAIN, contents="Basel, 14 degrees", config=formed).parsed.model_dump()
counted = client.models.count_tokens(model=PLAIN, contents="Hello")
saw["counted"] = counted.total_tokens > 0
embedding = types.EmbedContentConfig(output_dimensionality=3)
embedded = client.models.embed_content(model="embedding-demo", contents=["a", "bc"], config=embedding)
saw["embedded"] = [one.values for one in embedded.embeddings]
control("set", page=2)
saw["models"] = [model.name for model in client.models.list()]
saw["beta_models"] = len([model.name for model in beta.models.list()])
saw["model"] = client.models.get(model=PLAIN).supported_actions

# tools: the client calls the function itself, and brings its result and the signature back
for name in (PLAIN, SIGNER):
    chat = client.chats.create(model=name, config=types.GenerateContentConfig(tools=[get_weather]))
    saw[f"chat_{name}"] = chat.send_message(
        '!tool:get_weather:{"town":"Basel"}\n!tool:get_weather:{"town":"Bern"}'
    ).text
    saw[f"history_{name}"] = [
        [content.role, [part.function_call is not None for part in content.parts]] for content in chat.get_history()
    ]
chosen = types.GenerateContentConfig(
    tools=[get_weather],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
)
saw["any"] = [[call.name, call.args] for call in ask(model=PLAIN, contents="Well?", config=chosen).function_calls]


async def later():
    """The same client, asynchronously."""
    whole = await client.aio.models.generate_content(model=PLAIN, contents="!say:later")
    pieces = await client.aio.models.generate_content_stream(model=PLAIN, contents="!say:and later")
    return [whole.text, "".join([piece.text or "" async for piece in pieces])]


saw["async"] = asyncio.run(later())

# oddities that the client takes
for name, params in {
    "bytewise": {},
    "no_final_blank": {},
    "several_lines": {},
    "last_without_content": {},
    "last_without_parts": {},
    "usage_frame": {},
    "missing_candidates": {},
    "gzip": {},
    "index_omitted": {},
}.items():
    fault(name, **params)
    saw[f"odd_{name}"] = text_of(stream(model=PLAIN, contents="!say:Grüße, 世界 🙂"))
control("set", newline="lf")
saw["odd_lf"] = text_of(stream(model=PLAIN, contents="!say:Grüße, 世界 🙂"))

# answers that are none
fault("prompt_blocked", 2, reason="PROHIBITED_CONTENT")
blocked = [ask(model=PLAIN, contents="Hello"), *stream(model=PLAIN, contents="Hello")]
saw["blocked"] = [[one.text, one.prompt_feedback.block_reason.name] for one in blocked]
saw["finishes"] = []
for reason in json.loads(sys.argv[2]):
    fault("finish", 1, reason=reason)
    *_, last = stream(model=PLAIN, contents="Hello")
    saw["finishes"].append(last.candidates[0].finish_reason.name)
fault("no_words")
silent = ask(model=THINKER, contents="!think:hm\n!say:Yes.", config=thinking)
saw["silent"] = [silent.text, silent.candidates[0].finish_reason.name]
fault("call_without_args")
saw["bare_call"] = ask(model=PLAIN, contents='!tool:get_weather:{"town":"Basel"}', config=chosen).function_calls[0].args

# errors
stranger = client_of(key="AIza-wrong")
saw["wrong_key"] = raised(lambda: stranger.models.generate_content(model=PLAIN, contents="Hello"))
saw["wrong_model"] = raised(lambda: ask(model="gemini-4-preview", contents="Hello"))
for name in ("location", "service_disabled", "rate_limit", "quota_day", "context_length", "internal", "overloaded"):
    fault(name)
    saw[name] = raised(lambda: ask(model=PLAIN, contents="Hello"))
fault("rate_limit", 1, shape="array")
saw["array"] = raised(lambda: list(stream(model=PLAIN, contents="Hello")))
for name in ("error_frame", "error_bare"):
    fault(name)
    saw[name] = raised(lambda: list(stream(model=PLAIN, contents="!say:one two three four")))
saw["last_turn"] = raised(lambda: ask(model=PLAIN, contents=[types.ModelContent("I was saying")]))
saw["unsigned"] = raised(
    lambda: ask(
        model=SIGNER,
        contents=[
            types.UserContent("Well?"),
            types.ModelContent(types.Part.from_function_call(name="f", args={})),
            types.UserContent(types.Part.from_function_response(name="f", response={"result": "1"})),
        ],
    )
)

print(json.dumps(saw))
