"""The official client zai-sdk 0.2.3 asks what it is told to, whole and streamed: text, thoughts, calls, usage."""

import json
import sys

from zai import ZhipuAiClient

client = ZhipuAiClient(api_key="demoid0123456789.demosecret", base_url=f"{sys.argv[1]}/api/paas/v4", max_retries=0)


def told(messages, finish, usage):
    return {
        "text": "".join(message.content or "" for message in messages),
        "thought": "".join(message.reasoning_content or "" for message in messages),
        "calls": [[c.function.name, c.function.arguments] for message in messages for c in message.tool_calls or ()],
        "finish": finish,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens],
    }


def whole(asked):
    answer = client.chat.completions.create(**asked)
    return told([answer.choices[0].message], answer.choices[0].finish_reason, answer.usage)


def streamed(asked):
    chunks = [chunk for chunk in client.chat.completions.create(**asked, stream=True) if chunk.choices]
    return told([chunk.choices[0].delta for chunk in chunks], chunks[-1].choices[0].finish_reason, chunks[-1].usage)


print(json.dumps([[whole(asked), streamed(asked)] for asked in json.loads(sys.argv[2])]))
