"""The official client 0.4.5, unmodified: `ChatSparkLLM` over signed sockets.

`spark.py URL` goes through all that it can do; `spark.py URL JSON` asks a list of questions, each {"domain", "path",
"messages", "functions"}, and tells of each the text, the call and the usage: of a whole answer, and of a streamed one.
"""

import asyncio
import json
import sys

import requests
from sparkai.core.messages import ChatMessage, ImageChatMessage
from sparkai.errors import SparkAIConnectionError
from sparkai.llm.llm import ChatSparkLLM

url = sys.argv[1]
socket_url = url.replace("http://", "ws://")
WEATHER = {
    "name": "get_weather",
    "description": "按城市查天气",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


def client(path="/v3.5/chat", domain="generalv3.5", **more):
    facts = {
        "spark_app_id": "demoapp1",
        "spark_api_key": "demo-api-key",
        "spark_api_secret": "demo-api-secret",
        "streaming": False,
        "request_timeout": 10,
        **more,
    }
    return ChatSparkLLM(spark_api_url=socket_url + path, spark_llm_domain=domain, **facts)


def said(text):
    return [ChatMessage(role="user", content=text)]


def generated(llm, messages, **more):
    """Text, call and usage of a whole answer."""
    result = llm.generate([messages], **more)
    message = result.generations[0][0].message
    call = getattr(message, "function_call", None)
    return [message.content, call, result.llm_output["token_usage"]]


def streamed(llm, messages, **more):
    """The pieces, and the usage on the last one."""
    pieces = list(llm.stream(messages, **more))
    usage = next((piece.additional_kwargs["token_usage"] for piece in pieces if piece.additional_kwargs), None)
    return [[piece.content for piece in pieces if piece.content], usage]


async def streamed_asynchronously(llm, messages):
    return [piece.content async for piece in llm.astream(messages) if piece.content]


def raised(call):
    try:
        call()
    except SparkAIConnectionError as error:
        return [type(error).__name__, error.error_code, str(error)]
    return None


def fault(name, **more):
    assert requests.post(f"{url}/__emu__/faults", json={"name": name, **more}, timeout=5).ok


def talked(questions):
    return [[_asked(question, streaming=False), _asked(question, streaming=True)] for question in questions]


def _asked(question, streaming):
    messages = [ChatMessage(role=message["role"], content=message["content"]) for message in question["messages"]]
    more = {"function_definition": question["functions"]} if question.get("functions") else {}
    llm = client(question["path"], question["domain"], streaming=streaming)
    if not streaming:
        text, call, usage = generated(llm, messages, **more)
        return {"text": text, "call": call or None, "usage": usage}
    pieces = list(llm.stream(messages, **more))
    return {
        "text": "".join(piece.content for piece in pieces),
        "call": next((call for piece in pieces if (call := getattr(piece, "function_call", None))), None),
        "usage": next(piece.additional_kwargs["token_usage"] for piece in pieces if piece.additional_kwargs),
    }


def everything():
    saw = {}
    llm = client()
    saw["whole"] = generated(llm, said("!say:晴。明天有雨。"))
    saw["streamed"] = streamed(client(streaming=True), said("!say:晴。明天有雨。"))
    saw["async"] = asyncio.run(streamed_asynchronously(client(streaming=True), said("!say:晴。")))
    turns = [("system", "简短"), ("user", "你好"), ("assistant", "你好!"), ("user", "!report")]
    saw["report"] = json.loads(generated(llm, [ChatMessage(role=r, content=c) for r, c in turns])[0])
    saw["called"] = generated(llm, said('!tool:get_weather:{"town":"Basel"}'), function_definition=[WEATHER])
    versions = (
        ("/v1.1/chat", "general"), ("/v1.1/chat", "lite"), ("/v3.1/chat", "generalv3"), ("/chat/pro-128k", "pro-128k"),
        ("/chat/max-32k", "max-32k"), ("/v4.0/chat", "4.0Ultra"), ("/v1.1/chat_kjwx", "kjwx"), ("/v1/x1", "x1"),
    )  # fmt: skip
    saw["versions"] = [generated(client(path, domain), said(f"!say:{domain}"))[0] for path, domain in versions]
    image = [ImageChatMessage(role="user", content="iVBORw0KGgo=", content_type="image")]
    question = [ImageChatMessage(role="user", content="!say:一只猫", content_type="text")]
    saw["image"] = generated(client("/v2.1/image", "image"), image + question)[0]
    saw["wrong_domain"] = raised(lambda: generated(client(domain="lite"), said("?")))
    saw["wrong_app"] = raised(lambda: generated(client(spark_app_id="somebody"), said("?")))
    saw["wrong_secret"] = raised(lambda: generated(client(spark_api_secret="wrong"), said("?")))
    # A client of it that saw an error finds the end of that answer in its queue, and so has to be made anew.
    saw["empty"] = raised(lambda: generated(client(), [ChatMessage(role="user", content="")]))
    for code in (10013, 10014, 11202):
        fault("code", route="question", params={"code": code, "message": f"no (code={code})"})
        saw[f"code_{code}"] = raised(lambda: generated(client(), said("?")))
    return saw


print(json.dumps(talked(json.loads(sys.argv[2])) if len(sys.argv) > 2 else everything()))
