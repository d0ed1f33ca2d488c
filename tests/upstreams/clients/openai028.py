"""The 0.28 generation of OpenAI's client, unmodified: what the replaced projects' users have in their scripts."""

import json
import sys

import openai

openai.api_base, openai.api_key, model = sys.argv[1:4]
FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}
saw = {}


def ask(text, **more):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return openai.ChatCompletion.create(**{"model": model, "messages": messages, **more})


def raised(call):
    try:
        call()
    except openai.error.OpenAIError as error:
        return [type(error).__name__, error.http_status, error.code]
    return None


answer = ask("Grüße, 世界", temperature=0.2, max_tokens=100)
saw["whole"] = [answer.choices[0].message.content, answer["choices"][0]["finish_reason"], answer["model"]]
saw["usage"] = answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
chunks = list(ask("Grüße, 世界", stream=True))
saw["stream"] = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
saw["roles"] = [chunk.choices[0].delta.role for chunk in chunks if "role" in chunk.choices[0].delta]
saw["finish"] = [chunk.choices[0].finish_reason for chunk in chunks][-1]
saw["models"] = model in [listed["id"] for listed in openai.Model.list()["data"]]
called = ask('!tool:get_weather:{"town":"Basel"}', tools=[{"type": "function", "function": FUNCTION}])
saw["call"] = called.choices[0].message.tool_calls[0].function.arguments
saw["unknown model"] = raised(lambda: ask("x", model="nobody-has-this"))
saw["bad request"] = raised(lambda: ask("x", temperature=7))
saw["wrong key"] = raised(lambda: ask("x", api_key="sk-wrong"))
print(json.dumps(saw))
