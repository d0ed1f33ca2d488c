"""The older official client zhipuai 2.1.5, unmodified: both ways to sign in, streams, tools, its classes of error."""

import json
import sys

import httpx
from zhipuai import ZhipuAI
from zhipuai.core._errors import APIStatusError, ZhipuAIError

url = sys.argv[1]
KEY = "demoid0123456789.demosecret"
BASE = f"{url}/api/paas/v4"
HI = [{"role": "user", "content": "你好"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
saw = {}


def fault(name, times=1, **params):
    body = {"name": name, "times": times, "params": params}
    httpx.post(f"{url}/__emu__/faults", json=body, timeout=5).raise_for_status()


def count():
    return httpx.get(f"{url}/__emu__/stats", timeout=5).json()["counts"].get("chat", 0)


def raised(call):
    try:
        call()
    except ZhipuAIError as error:
        return [type(error).__name__, getattr(error, "status_code", None)]
    return None


def whole(client, text, model="glm-4.6", **more):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **more)


def streamed(client, text, **more):
    chunks = list(whole(client, text, stream=True, **more))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "calls": [[c.function.name, c.function.arguments] for one in choices for c in one.delta.tool_calls or ()],
        "finish": choices[-1].finish_reason,
        "usage": chunks[-1].usage.total_tokens,
    }


def client_of(**more):
    return ZhipuAI(api_key=KEY, base_url=BASE, **{"max_retries": 0, **more})


for way, cached in (("bearer", True), ("jwt", False)):
    client = client_of(disable_token_cache=cached)
    answer = whole(client, HI)
    report = json.loads(whole(client, "!report").choices[0].message.content)
    saw[way] = {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "tokens": answer.usage.total_tokens,
        "way": report["way"],
        "stream": streamed(client, "!say:你好, 世界"),
    }
client = client_of()
asked = '!tool:f:{"a": "ü"}\n!tool:f:{"b":2}'
message = whole(client, asked, tools=[TOOL], tool_choice="auto").choices[0].message
saw["tools"] = [[call.function.name, call.function.arguments] for call in message.tool_calls]
saw["tools streamed"] = streamed(client, asked, tools=[TOOL])
picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
seen = [{"role": "user", "content": [picture, {"type": "text", "text": "!report"}]}]
body = json.loads(whole(client, seen, "glm-4.6v").choices[0].message.content)["body"]
saw["picture"] = body["messages"][0]["content"][0]["image_url"]["url"]
clamped = json.loads(whole(client, "!report", "glm-4-flash", temperature=0, top_p=1).choices[0].message.content)["body"]
saw["clamped"] = {name: clamped.get(name) for name in ("temperature", "top_p", "do_sample")}

for code in (1000, 1003, 1113, 1211, 1214, 1220, 1230, 1301, 1302):
    fault(f"code_{code}")
    saw[f"code_{code}"] = raised(lambda: whole(client, HI))
fault("code_1305", status=503)
saw["503"] = raised(lambda: whole(client, HI))
fault("error_frame", code="1301")
saw["error frame"] = raised(lambda: streamed(client, "!say:a long enough answer"))
for oddity in ("crlf", "comments", "bytewise", "object"):
    fault(oddity)
    saw.setdefault("oddities", []).append(streamed(client, "!say:古怪")["text"])

patient = client_of(max_retries=3)
for name, times in (("code_1302", 1), ("code_1113", None)):
    before = count()
    fault(name, times)
    saw[f"patient {name}"] = [raised(lambda: whole(patient, HI)), count() - before]

httpx.post(f"{url}/__emu__/reset", timeout=5).raise_for_status()
httpx.post(f"{url}/__emu__/set", json={"skew": 3600}, timeout=5).raise_for_status()
late = ZhipuAI(api_key="second0123456789.secondsecret", base_url=BASE, disable_token_cache=False, max_retries=0)
try:
    whole(late, HI)
except APIStatusError as error:
    saw["late"] = [type(error).__name__, error.response.json()["error"]["code"]]
print(json.dumps(saw))
