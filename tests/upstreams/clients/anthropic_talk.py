"""The official client asks what it is told, whole and streamed; a round of tools goes on to its end."""

import json
import sys

import anthropic

url, key, questions = sys.argv[1:]
client = anthropic.Anthropic(base_url=url, api_key=key)


def whole(asked):
    return client.messages.create(**asked)


def streamed(asked):
    with client.messages.stream(**asked) as stream:
        return stream.get_final_message()


def told(message):
    bill = message.usage
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "thought": "".join(block.thinking for block in message.content if block.type == "thinking"),
        "calls": [[block.name, block.input] for block in message.content if block.type == "tool_use"],
        "usage": [
            bill.input_tokens + bill.cache_creation_input_tokens + bill.cache_read_input_tokens,
            bill.output_tokens,
            bill.cache_read_input_tokens,
        ],
    }


def talk(ask, asked):
    message = ask(asked)
    heard = [told(message)]
    used = [block for block in message.content if block.type == "tool_use"]
    if used:
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": "14 C"} for block in used]
        spoken = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
        heard += [told(ask({**asked, "messages": [*asked["messages"], spoken, {"role": "user", "content": results}]}))]
    return heard


print(json.dumps({"heard": [[talk(ask, asked) for ask in (whole, streamed)] for asked in json.loads(questions)]}))
