"""The official client zai-sdk 0.2.3, unmodified: both of its clients, both ways to sign in, its classes of error."""

import json
import sys

import httpx
from zai import ZaiClient, ZhipuAiClient
from zai.core import APIStatusError, ZaiError

url = sys.argv[1]
KEY = "demoid0123456789.demosecret"
BASE = f"{url}/api/paas/v4"
HI = [{"role": "user", "content": "你好"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
saw = {}


def fault(name, times=1, **params):
    body = {"name": name, "times": times, "params": params}
    httpx.post(f"{url}/__emu__/faults", json=body, timeout=5).raise_for_status()


def setting(**values):
    httpx.post(f"{url}/__emu__/set", json=values, timeout=5).raise_for_status()


def count(what):
    return httpx.get(f"{url}/__emu__/stats", timeout=5).json()["counts"].get(what, 0)


def raised(call):
    try:
        call()
    except ZaiError as error:
        return [type(error).__name__, getattr(error, "status_code", None)]
    return None


def whole(client, text, model="glm-4.6", **more):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **more)


def streamed(client, text, model="glm-4.6", **more):
    chunks = list(whole(client, text, model, stream=True, **more))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    return {
        "text": "".join(delta.content or "" for delta in deltas),
        "thought": "".join(delta.reasoning_content or "" for delta in deltas),
        "calls": [[c.id, c.function.name, c.function.arguments] for d in deltas for c in d.tool_calls or ()],
        "roles": sorted({delta.role for delta in deltas}),
        "finish": [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1],
        "usage": chunks[-1].usage.total_tokens,
    }


for name, made in (("zhipu", ZhipuAiClient), ("zai", ZaiClient)):
    for way, cached in (("bearer", True), ("jwt", False)):
        client = made(api_key=KEY, base_url=BASE, disable_token_cache=cached, max_retries=0)
        answer = whole(client, HI)
        report = json.loads(whole(client, "!report").choices[0].message.content)
        saw[f"{name} {way}"] = {
            "text": answer.choices[0].message.content,
            "finish": answer.choices[0].finish_reason,
            "tokens": answer.usage.total_tokens,
            "way": report["way"],
            "language": report["headers"].get("accept-language"),
            "stream": streamed(client, "!think:嗯\n!say:你好, 世界"),
        }

client = ZhipuAiClient(api_key=KEY, base_url=BASE, max_retries=0)
asked = '!tool:f:{"a": "ü"}\n!tool:f:{"b":2}'
saw["tools"] = [
    [call.function.name, call.function.arguments]
    for call in whole(client, asked, tools=[TOOL], tool_choice="auto").choices[0].message.tool_calls
]
saw["tools streamed"] = streamed(client, asked, tools=[TOOL])
saw["tools in pieces"] = streamed(client, '!tool:f:{"a":"123456"}', tools=[TOOL], tool_stream=True)
saw["json"] = json.loads(whole(client, "as JSON", response_format={"type": "json_object"}).choices[0].message.content)
picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
report = json.loads(
    whole(client, [{"role": "user", "content": [*picture, {"type": "text", "text": "!report"}]}], "glm-4.6v")
    .choices[0]
    .message.content
)
saw["picture"] = report["body"]["messages"][0]["content"][0]["image_url"]["url"]
clamped = json.loads(whole(client, "!report", "glm-4-flash", temperature=0, top_p=1).choices[0].message.content)
saw["clamped"] = {name: clamped["body"].get(name) for name in ("temperature", "top_p", "do_sample")}
saw["thinking off"] = (
    whole(client, "!think:hm\n!say:ok", thinking={"type": "disabled"}).choices[0].message.reasoning_content
)
saw["request id"] = whole(client, HI, request_id="req-demo-1").request_id
saw["same id"] = raised(lambda: whole(client, HI, request_id="req-demo-1"))
vectors = client.embeddings.create(model="embedding-3", input=["a", "b"], dimensions=256)
saw["embeddings"] = [len(vectors.data), len(vectors.data[0].embedding), vectors.usage.total_tokens]
task = client.chat.asyncCompletions.create(model="glm-4.6", messages=HI)
saw["queued"] = [task.task_status, client.chat.asyncCompletions.retrieve_completion_result(task.id).task_status]

for code in (1000, 1003, 1113, 1211, 1214, 1220, 1230, 1261, 1301, 1302, 1305, 1308):
    fault(f"code_{code}")
    saw[f"code_{code}"] = raised(lambda: whole(client, HI))
fault("code_1305", status=503)
saw["503"] = raised(lambda: whole(client, HI))
fault("spring_404")
saw["spring_404"] = raised(lambda: whole(client, HI))
saw["unknown model"] = raised(lambda: whole(client, HI, "gpt-4"))
saw["wrong address"] = raised(lambda: whole(ZhipuAiClient(api_key=KEY, base_url=f"{BASE}/v1", max_retries=0), HI))
saw["wrong key"] = raised(lambda: whole(ZhipuAiClient(api_key="a.b", base_url=BASE, max_retries=0), HI))

fault("error_frame", code="1301")
saw["error frame"] = raised(lambda: streamed(client, "!say:a long enough answer"))
for reason in ("sensitive", "network_error", "model_context_window_exceeded"):
    fault("finish", reason=reason)
    saw[reason] = [(heard := streamed(client, "!say:words"))["text"], heard["finish"]]
for oddity in ("crlf", "comments", "bytewise", "object", "content_filter"):
    fault(oddity)
    saw.setdefault("oddities", []).append(streamed(client, "!say:古怪")["text"])
fault("web_search")
saw["web search"] = [len(chunk.choices or []) for chunk in whole(client, "!say:ok", stream=True)]

patient = ZhipuAiClient(api_key=KEY, base_url=BASE)
before = count("chat")
fault("code_1302")
saw["patient"] = [whole(patient, HI).choices[0].message.content, count("chat") - before]

# A client whose clock is right, and a platform whose clock is an hour ahead.
setting(skew=3600)
late = ZaiClient(api_key="second0123456789.secondsecret", base_url=BASE, disable_token_cache=False, max_retries=0)
try:
    whole(late, HI)
except APIStatusError as error:
    saw["late"] = [type(error).__name__, error.response.json()["error"]["code"]]
print(json.dumps(saw))
