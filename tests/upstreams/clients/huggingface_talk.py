"""A conversation with the router by huggingface_hub 2.4.0: what is heard, whole and streamed."""

import json
import sys

from huggingface_hub import InferenceClient

url, asked = sys.argv[1], json.loads(sys.argv[2])
client = InferenceClient(base_url=f"{url}/v1", api_key="hf_demo")


def told(messages, finish, usage):
    calls = {}
    for message in messages:
        for place, call in enumerate(message.tool_calls or ()):
            said = calls.setdefault(getattr(call, "index", place), ["", ""])
            said[0] += call.function.name or ""
            said[1] += call.function.arguments or ""
    return {
        "text": "".join(message.content or "" for message in messages),
        "thought": "".join(getattr(message, "reasoning", None) or "" for message in messages),
        "calls": list(calls.values()),
        "finish": finish,
        "usage": [usage.prompt_tokens, usage.completion_tokens],
    }


heard = []
for question in asked:
    whole = client.chat.completions.create(**question)
    chunks = list(client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    heard.append(
        [
            told([whole.choices[0].message], whole.choices[0].finish_reason, whole.usage),
            told([c.delta for c in choices], choices[-1].finish_reason, [c.usage for c in chunks if c.usage][-1]),
        ]
    )
print(json.dumps(heard))
