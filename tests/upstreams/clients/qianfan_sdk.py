"""The official client qianfan 0.4.12.3, unmodified: both APIs, both sign-ins, its retries, its classes of error."""

import json
import os
import sys
import tempfile

url = sys.argv[1]
os.environ.update(
    {
        **dict.fromkeys(("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL"), url),
        "QIANFAN_DISABLE_CACHE": "true",
        "QIANFAN_CACHE_DIR": tempfile.mkdtemp(),
        "QIANFAN_DOT_ENV_CONFIG_FILE": os.devnull,
        "QIANFAN_ACCESS_TOKEN_REFRESH_MIN_INTERVAL": "3600",
    }
)

import logging  # noqa: E402

import qianfan  # noqa: E402
import requests  # noqa: E402
from qianfan import errors  # noqa: E402

qianfan.disable_log()
logging.disable(logging.CRITICAL)
KEYS = {"ak": "demoapikey1", "sk": "demosecretkey1"}
IAM = {"access_key": "DEMOAK", "secret_key": "DEMOSK"}
HI = [{"role": "user", "content": "你好"}]
FUNCTION = {"name": "f", "description": "f", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
AT_ONCE = {"backoff_factor": 0, "retry_jitter": 0, "retry_max_wait_interval": 0}
saw = {}


def control(name, body):
    requests.post(f"{url}/__emu__/{name}", json=body, timeout=5).raise_for_status()


def fault(name, times=1, **params):
    control("faults", {"name": name, "times": times, "route": "chat", "params": params})


def counts():
    return requests.get(f"{url}/__emu__/stats", timeout=5).json()["counts"]


def raised(call):
    try:
        call()
    except errors.QianfanError as error:
        return [type(error).__name__, getattr(error, "error_code", None)]
    return None


def words(text):
    return [{"role": "user", "content": text}]


def legacy(client, text, model="ERNIE-4.0-8K", **more):
    messages = text if isinstance(text, list) else words(text)
    return client.do(messages, model=model, **{"retry_count": 1, **AT_ONCE, **more})


def streamed(client, text, **more):
    chunks = [chunk.body for chunk in legacy(client, text, stream=True, **more)]
    return {
        "text": "".join(chunk["result"] for chunk in chunks),
        "pieces": len(chunks),
        "ends": [chunk["is_end"] for chunk in chunks][-1],
        "reason": chunks[-1].get("finish_reason"),
        "call": chunks[-1].get("function_call"),
        "usage": chunks[-1].get("usage", {}).get("total_tokens"),
    }


# --- the legacy API ---

control("set", {"rpm": 60000, "tpm": 60000000})  # it slows itself down to what it is told
old = qianfan.ChatCompletion(**KEYS)
answer = legacy(old, HI)
saw["whole"] = [answer["result"], answer["finish_reason"], answer["usage"]["total_tokens"] > 0]
report = json.loads(legacy(old, "!report", system="简短", max_output_tokens=3000)["result"])
saw["way"], saw["source"] = report["way"], report["body"]["extra_parameters"]["request_source"]
saw["endpoint"] = report["path"].split("?")[0].rpartition("/")[2]
saw["limit"] = answer.headers.get("X-Ratelimit-Limit-Requests")
saw["stream"] = streamed(old, "!say:你好, 世界")
saw["call"] = legacy(old, '!think:嗯\n!tool:f:{"a":1}', functions=[FUNCTION])["function_call"]
saw["call streamed"] = streamed(old, '!tool:f:{"a":1}', functions=[FUNCTION])["call"]
saw["signed"] = json.loads(legacy(qianfan.ChatCompletion(**IAM), "!report")["result"])["way"]
vectors = qianfan.Embedding(**KEYS).do(["a", "b"])
saw["embeddings"] = [vectors["object"], len(vectors["data"])]
saw["wrong secret"] = raised(lambda: legacy(qianfan.ChatCompletion(ak="demoapikey1", sk="no"), HI))
saw["wrong key"] = raised(lambda: legacy(qianfan.ChatCompletion(ak="nobody", sk="no"), HI))

for code in (1, 2, 3, 6, 14, 17, 18, 336000, 336003, 336006, 336100, 336501):
    for stream in (False, True):
        fault(f"code_{code}", 2)
        before = counts()["chat"]
        how = {"retry_count": 2, "stream": stream}
        saw[f"code {code} {stream}"] = raised(lambda: list(legacy(old, HI, **how)))  # noqa: B023
        saw[f"tries {code} {stream}"] = counts()["chat"] - before
        while counts().get(f"fault:code_{code}", 0) % 2:
            raised(lambda: legacy(old, HI))  # what is left of it
fault("code_336502")  # after this one a client asks nothing until the minute is over
saw["code 336502"] = raised(lambda: legacy(qianfan.ChatCompletion(**KEYS), HI))
for code in (110, 111):
    fault(f"code_{code}")
    before = counts()
    saw[f"code {code}"] = raised(lambda: legacy(old, HI))
    saw[f"bought {code}"] = counts()["token"] - before["token"]
qianfan.get_config().ACCESS_TOKEN_REFRESH_MIN_INTERVAL = 0
fault("code_111")
before = counts()
saw["code 111 later"] = raised(lambda: legacy(old, HI))
saw["bought later"] = counts()["token"] - before["token"]
fault("error_frame", code=336100)
saw["error frame"] = raised(lambda: streamed(old, "!say:a long enough answer"))
saw["even"] = raised(lambda: legacy(old, [*HI, {"role": "assistant", "content": "a"}]))
saw["two users"] = raised(lambda: legacy(old, [*HI, *HI, *HI]))
saw["silence"] = raised(lambda: legacy(old, words("")))
fault("clear_history")
sensitive = legacy(old, HI)
saw["sensitive"] = [sensitive["need_clear_history"], sensitive["ban_round"]]
fault("no_reason")
saw["no reason"] = streamed(old, "!say:ok")["reason"]
for oddity in ("crlf", "bytewise", "gzip"):
    fault(oddity)
    saw.setdefault("oddities", []).append(raised(lambda: streamed(old, "!say:古怪")))

# --- v2 ---

new = qianfan.ChatCompletion(version="2", **IAM)


def asked(text, model="ernie-4.0-8k", **more):
    return new.do(messages=words(text), model=model, **{"retry_count": 1, **AT_ONCE, **more})


whole = asked("!think:嗯\n!say:你好")
message = whole["choices"][0]["message"]
saw["v2"] = [message["content"], message["reasoning_content"], whole["choices"][0]["finish_reason"]]
report = json.loads(asked("!report")["choices"][0]["message"]["content"])
saw["v2 way"] = report["way"]
chunks = [chunk.body for chunk in asked("!say:你好, 世界", stream=True, stream_options={"include_usage": True})]
saw["v2 stream"] = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
saw["v2 usage"] = chunks[-1]["usage"]["total_tokens"] > 0
saw["v2 call"] = asked('!tool:f:{"a":1}', tools=[TOOL])["choices"][0]["message"]["tool_calls"][0]["function"]
for name in ("invalid_model", "rpm_rate_limit_exceeded", "internal_error", "account_overdue"):
    fault(name)
    before = counts()["chat"]
    saw[f"v2 {name}"] = raised(lambda: asked("Hi", retry_count=3))
    saw[f"v2 tries {name}"] = counts()["chat"] - before
saw["bearers"] = counts()["bearer"]
print(json.dumps(saw))
