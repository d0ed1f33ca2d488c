"""The official client huggingface_hub 2.4.0, unmodified: InferenceClient, sync and async, its classes of error."""

import asyncio
import json
import sys
import urllib.request

from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError, TextGenerationError

url = sys.argv[1]
MODEL = "demo-org/demo-120b"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
saw, alive = {}, []


def control(name, body):
    request = urllib.request.Request(f"{url}/__emu__/{name}", json.dumps(body).encode(), method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()


def fault(name, times=1, **params):
    control("faults", {"name": name, "times": times, "params": params})


def stats():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/__emu__/stats", timeout=5) as answer:
        return json.load(answer)


def ask(text="Warm.", model=MODEL, key="hf_demo", bill_to=None, **more):
    made = InferenceClient(base_url=f"{url}/v1", api_key=key, bill_to=bill_to)
    alive.append(made)  # it closes its streams when it is forgotten
    return made.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def streamed(text, **more):
    chunks = list(ask(text, stream=True, **more))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    calls = [call for choice in choices for call in choice.delta.tool_calls or ()]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "thought": "".join(getattr(choice.delta, "reasoning", None) or "" for choice in choices),
        "calls": "".join((call.function.name or "") + (call.function.arguments or "") for call in calls),
        "finish": choices[-1].finish_reason,
        "usage": [chunk.usage.total_tokens for chunk in chunks if chunk.usage],
    }


def raised(call):
    try:
        call()
    except (HfHubHTTPError, TextGenerationError) as error:
        answer = getattr(error, "response", None)
        return [
            type(error).__name__,
            answer.status_code if answer is not None else None,
            bool(error.request_id) if answer is not None else None,
        ]
    except Exception as error:
        return [type(error).__name__]
    return None


answer = ask("!think:hm\n!say:Warm.")
saw["whole"] = [answer.choices[0].message.content, answer.choices[0].finish_reason, answer.model]
saw["reasoning"] = getattr(answer.choices[0].message, "reasoning", None)
saw["stream"] = streamed("!think:hm\n!say:Wärme, 世界", stream_options={"include_usage": True})
saw["tools"] = streamed('!tool:f:{"a":1}', tools=[TOOL])["calls"]
call = ask('!tool:f:{"a":1}', tools=[TOOL]).choices[0].message.tool_calls[0]
saw["tool whole"] = [call.function.name, call.function.arguments]
saw["named provider"] = ask(model=f"{MODEL}:together").model
saw["policy"] = ask(model=f"{MODEL}:cheapest").model
saw["wrong provider"] = raised(lambda: ask(model=f"{MODEL}:groq"))
saw["unknown model"] = raised(lambda: ask(model="demo-org/nobody"))
schema = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
saw["schema"] = json.loads(ask("where?", response_format=wanted).choices[0].message.content)
ask(bill_to="acme")
saw["billed"] = stats()["log"][-1]["bill_to"]
saw["wrong key"] = raised(lambda: ask(key="hf_wrong"))
saw["powerless"] = raised(lambda: ask(key="hf_nopermission"))
for name in (
    "hf_credits",
    "hf_rate_limit",
    "hf_template",
    "hf_validation",
    "hf_loading",
    "hf_overloaded",
    "html",
    "hf_generation",
):
    fault(name)
    before = stats()["counts"]["chat"]
    saw[name] = [*raised(ask), stats()["counts"]["chat"] - before]
control("set", {"dialect": "huggingface", "credits": {"hf_demo": 2}})
spent = stats()["credentials"]["hf_demo"]["requests"]
saw["spent"] = raised(ask)
control("set", {"credits": {}})
for oddity in ("crlf", "comments", "bytewise", "no_done", "hf_other_provider"):
    fault(oddity)
    saw.setdefault("oddities", {})[oddity] = streamed("!say:odd but right")["text"]
fault("done_no_space")
saw["done without a space"] = raised(lambda: streamed("!say:x"))
fault("error_frame", error="too long", more={"error_type": "validation"})
saw["error frame"] = raised(lambda: streamed("!say:a long enough answer"))


async def alongside():
    made = AsyncInferenceClient(base_url=f"{url}/v1", api_key="hf_demo")
    stream = await made.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "async"}], stream=True
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


saw["async"] = asyncio.run(alongside())
print(json.dumps(saw))
