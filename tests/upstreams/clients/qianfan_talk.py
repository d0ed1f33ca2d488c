"""The official client qianfan 0.4.12.3 asks what it is told to, whole and streamed: text, call, usage."""

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
    }
)

import qianfan  # noqa: E402

qianfan.disable_log()
CLIENTS = {
    "qianfan-legacy": qianfan.ChatCompletion(ak="demoapikey1", sk="demosecretkey1"),
    "qianfan": qianfan.ChatCompletion(version="2", access_key="DEMOAK", secret_key="DEMOSK"),
}


def of_legacy(chunks):
    calls = [chunk["function_call"] for chunk in chunks if chunk.get("function_call")]
    return {
        "text": "".join(chunk["result"] for chunk in chunks),
        "thought": "".join(call.get("thoughts", "") for call in calls),
        "calls": [[call["name"], call["arguments"]] for call in calls],
        "usage": [chunks[-1]["usage"][name] for name in ("prompt_tokens", "completion_tokens")],
    }


def of_v2(chunks):
    said = [choice.get("message") or choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    calls = [call["function"] for message in said for call in message.get("tool_calls") or ()]
    return {
        "text": "".join(message.get("content") or "" for message in said),
        "thought": "".join(message.get("reasoning_content") or "" for message in said),
        "calls": [[call["name"], call["arguments"]] for call in calls],
        "usage": [chunks[-1]["usage"][name] for name in ("prompt_tokens", "completion_tokens")],
    }


def heard(name, asked):
    client, told = CLIENTS[name], of_legacy if name == "qianfan-legacy" else of_v2
    more = {} if name == "qianfan-legacy" else {"stream_options": {"include_usage": True}}
    return [
        told([client.do(**asked).body]),
        told([chunk.body for chunk in client.do(**asked, stream=True, **more)]),
    ]


print(json.dumps([heard(name, asked) for name, asked in json.loads(sys.argv[2])]))
