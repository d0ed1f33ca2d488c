"""The official client, unmodified, of either generation: messages, streams, tools, thoughts, pages, errors, retries."""

import asyncio
import json
import sys
import urllib.request

import anthropic

url, key, model = sys.argv[1:4]
saw = {"version": anthropic.__version__}


def told(name, body):
    request = urllib.request.Request(f"{url}/__emu__/{name}", json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def fault(name, times=1, **params):
    told("faults", {"name": name, "times": times, "params": params})


def raised(call):
    try:
        call()
    except anthropic.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error", {}) if isinstance(body, dict) else {}
        return [type(error).__name__, error.status_code, inner.get("type"), getattr(error, "request_id", None)]
    except anthropic.APIError as error:
        return [type(error).__name__, None, None, None]
    return None


def user(*content):
    return {"role": "user", "content": content[0] if len(content) == 1 else list(content)}


WEATHER = {
    "name": "get_weather",
    "description": "Weather by town",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
create = client.messages.create


def plain(text="Hello there", **more):
    return create(**{"model": model, "max_tokens": 2000, "messages": [user(text)], **more})


def dumped(message):
    """The message, but for ids (which differ) and members that one of the two ways leaves empty."""
    kept = message.to_dict()
    kept["content"] = [
        {name: value for name, value in block.items() if value is not None and name != "id"}
        for block in kept["content"]
    ]
    return kept


def streamed(**more):
    """The message that the helper adds up, and the kinds of what it passed on its way."""
    kinds = []
    with client.messages.stream(**{"model": model, "max_tokens": 2000, **more}) as stream:
        for event in stream:
            if event.type not in kinds:
                kinds.append(event.type)
        return dumped(stream.get_final_message()), kinds


# What goes well, whole and streamed.
whole = plain()
saw["text"] = whole.content[0].text
saw["stop_reason"] = whole.stop_reason
saw["usage"] = [whole.usage.input_tokens > 0, whole.usage.output_tokens]
saw["request_id"] = whole._request_id
saw["system"] = json.loads(plain("!report", system="Be brief.", stop_sequences=["ENDE"]).content[0].text)["body"][
    "system"
]
call = {
    "tools": [WEATHER],
    "messages": [user('!say:Let me look.\n!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{}')],
}
thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
pairs = {
    "words": {"messages": [user("Grüße, 世界! 👩‍👩‍👧‍👦")]},
    "tools": call,
    "thoughts": {"messages": [user("!think:hm, let me see\n!say:yes")], **thinking},
    "picture": {"messages": [user(image, {"type": "text", "text": "What is it?"})]},
    "limit": {"messages": [user("one two three four five six")], "max_tokens": 3},
    "stop": {"messages": [user("one two three")], "stop_sequences": ["two"]},
    "nothing": {"messages": [user("!say:")]},
}
same = saw["streamed as whole"] = {}
for name, ask in pairs.items():
    unary = dumped(create(**{"model": model, "max_tokens": 2000, **ask}))
    added, kinds = streamed(**ask)
    same[name] = [added[part] == unary[part] for part in ("content", "stop_reason", "stop_sequence")]
    same[name].append(added["usage"]["output_tokens"] == unary["usage"]["output_tokens"])
    saw.setdefault("content", {})[name] = unary["content"]
    saw.setdefault("stops", {})[name] = [unary["stop_reason"], unary["stop_sequence"]]

# A round of tools, with its signed thoughts.
first = create(model=model, max_tokens=2000, **call, **thinking)
calls = [block for block in first.content if block.type == "tool_use"]
results = [{"type": "tool_result", "tool_use_id": one.id, "content": "14 C"} for one in calls]
history = [*call["messages"], {"role": "assistant", "content": [b.to_dict() for b in first.content]}, user(*results)]
again = {"model": model, "max_tokens": 2000, "tools": [WEATHER], "messages": history, **thinking}
saw["after tools"] = create(**again).content[-1].text
history[1]["content"][0]["thinking"] = "something else"
saw["changed thought"] = raised(lambda: create(**again))
history[1]["content"].pop(0)
saw["missing thought"] = raised(lambda: create(**again))

# The cache, counting, models.
mark = {"type": "text", "text": "word " * 2000, "cache_control": {"type": "ephemeral"}}
bills = [plain(system=[mark]).usage for _ in range(2)]
saw["cache"] = [[bill.cache_creation_input_tokens > 1024, bill.cache_read_input_tokens > 1024] for bill in bills]
saw["cache adds up"] = len({b.input_tokens + b.cache_creation_input_tokens + b.cache_read_input_tokens for b in bills})
saw["counted"] = client.messages.count_tokens(model=model, messages=[user("Hello there")]).input_tokens > 0
told("set", {"page": 2})
saw["models"] = [one.id for one in client.models.list()]
saw["models in pages"] = [one.id for one in client.models.list(limit=2)]
saw["one model"] = client.models.retrieve(model).id

# What does not go well.
NAMES = "invalid_request authentication billing permission not_found conflict too_large rate_limit api_error timeout"
errors = saw["errors"] = {}
for name in [*NAMES.split(), "overloaded", "html", "forbidden"]:
    fault(name)
    errors[name] = raised(plain)
saw["wrong key"] = raised(anthropic.Anthropic(base_url=url, api_key="sk-ant-nobody", max_retries=0).models.list)
saw["no such model"] = raised(lambda: plain(model="claude-nobody"))
saw["extra"] = raised(lambda: plain(extra_body={"sauce": 1}))
saw["alone"] = raised(lambda: create(model=model, max_tokens=5, messages=[{"role": "assistant", "content": "x"}]))
saw["sampling"] = raised(lambda: plain(extra_body={"temperature": 0.5}))
saw["unanswered call"] = raised(lambda: create(**{**again, "messages": [*history[:2], user("Well?")]}))


def whole_stream():
    return streamed(messages=[user("one two three four")])[0]["content"]


usual = whole_stream()
oddities = saw["oddities"] = {}
for name in ("crlf", "comments", "pings", "bytewise", "done", "unknown_deltas", "usage_in_delta", "fixed_length"):
    fault(name)
    oddities[name] = whole_stream() == usual
fault("unnamed")
saw["without names nothing is heard"] = len(list(plain(stream=True)))
fault("error_event", type="overloaded_error")
saw["error within"] = raised(whole_stream)
fault("ping_for", seconds=0.5)
saw["after pings"] = whole_stream() == usual
for name in ("reset", "cut"):
    fault(name, bytes=700)
    try:
        whole_stream()
        saw[name] = None
    except Exception as broken:
        saw[name] = type(broken).__name__

# How often it comes back.
patient = anthropic.Anthropic(base_url=url, api_key=key, max_retries=2)
fault("overloaded", times=2, retry_after_ms=10)
retried = patient.messages.create(model=model, max_tokens=20, messages=[user("!say:at last")])
saw["retried"] = retried.content[0].text
fault("rate_limit", should_retry=False)
saw["told not to come back"] = raised(
    lambda: patient.messages.create(model=model, max_tokens=20, messages=[user("never again")])
)


async def both():
    async with anthropic.AsyncAnthropic(base_url=f"{url}/prefix/", api_key=key, max_retries=0) as waiting:
        asked = {"model": model, "max_tokens": 50}
        texts = [f"!say:number {n}" for n in range(20)]
        found = await asyncio.gather(*(waiting.messages.create(**asked, messages=[user(text)]) for text in texts))
        return all(one.content[0].text == f"number {n}" for n, one in enumerate(found))


saw["side by side"] = asyncio.run(both())
print(json.dumps(saw))
