"""The official client google-genai 3.4.0 asks what it is told to, whole and streamed: text, thoughts, calls, usage."""

import json
import sys

from google import genai

client = genai.Client(api_key="AIza-demo-1", http_options={"base_url": sys.argv[1], "api_version": "v1beta"})


def told(chunks):
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    parts = [part for one in candidates if one.content for part in one.content.parts or ()]
    usage = chunks[-1].usage_metadata
    return {
        "text": "".join(part.text for part in parts if part.text and not part.thought),
        "thought": "".join(part.text for part in parts if part.text and part.thought),
        "calls": [[part.function_call.name, part.function_call.args] for part in parts if part.function_call],
        "finish": [one.finish_reason.name for one in candidates if one.finish_reason] if candidates else ["BLOCKED"],
        "usage": [
            usage.prompt_token_count,
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            usage.thoughts_token_count or 0,
            usage.cached_content_token_count or 0,
        ],
    }


def both(asked):
    return [
        told([client.models.generate_content(**asked)]),
        told(list(client.models.generate_content_stream(**asked))),
    ]


print(json.dumps([both(asked) for asked in json.loads(sys.argv[2])]))
