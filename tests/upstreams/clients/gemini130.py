"""The official client google-genai 1.30.0, unmodified: it asks v1beta, and reads less than its successors."""

import asyncio
import json
import sys
import urllib.request

from google import genai
from google.genai import errors, types

url = sys.argv[1]
saw = {"version": genai.__version__}


def fault(name, **params):
    body = json.dumps({"name": name, "times": 1, "params": params}).encode()
    kind = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/__emu__/faults", body, kind, method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def get_weather(town: str) -> str:
    """Weather by town."""
    return f"14 C in {town}"


def text_of(chunks):
    return "".join(chunk.text or "" for chunk in chunks)


def raised(call):
    try:
        call()
    except errors.APIError as error:
        return [type(error).__name__, error.code, error.status]
    except Exception as error:
        return [type(error).__name__]
    return None


client = genai.Client(api_key="AIza-demo-1", http_options={"base_url": url})
ask, stream = client.models.generate_content, client.models.generate_content_stream
PLAIN, WORDS = "gemini-2.0-demo", "!say:Grüße, 世界 🙂"
whole = ask(model=PLAIN, contents=WORDS)
saw["text"] = [whole.text, text_of(stream(model=PLAIN, contents=WORDS))]
saw["finish"] = whole.candidates[0].finish_reason.name
saw["usage"] = whole.usage_metadata.candidates_token_count
saw["path"] = json.loads(ask(model=PLAIN, contents="!report").text)["path"]
thinking = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=99))
thought = ask(model="gemini-2.5-demo", contents="!think:hm, well\n!say:Yes.", config=thinking)
saw["thoughts"] = [[part.text, part.thought] for part in thought.candidates[0].content.parts]
chat = client.chats.create(model=PLAIN, config=types.GenerateContentConfig(tools=[get_weather]))
saw["chat"] = chat.send_message('!tool:get_weather:{"town":"Basel"}').text
saw["models"] = len(list(client.models.list()))


async def later():
    return (await client.aio.models.generate_content(model=PLAIN, contents="!say:later")).text


saw["async"] = asyncio.run(later())
for name in ("bytewise", "no_final_blank", "last_without_content", "usage_frame", "gzip"):
    fault(name)
    saw.setdefault("oddities", []).append(text_of(stream(model=PLAIN, contents=WORDS)))
for name in ("rate_limit", "overloaded", "context_length"):
    fault(name)
    saw[name] = raised(lambda: ask(model=PLAIN, contents="Hello"))
fault("rate_limit", shape="array")
saw["array"] = raised(lambda: list(stream(model=PLAIN, contents="Hello")))
fault("several_lines")
saw["several lines"] = raised(lambda: list(stream(model=PLAIN, contents="Hello")))
fault("error_frame")
saw["error frame"] = raised(lambda: list(stream(model=PLAIN, contents="!say:one two three four")))
print(json.dumps(saw))
