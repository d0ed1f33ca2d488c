"""The official client 1.7.5, unmodified: REST for sessions, the socket for questions; also its generated REST layer."""

import asyncio
import json
import sys
import threading

import requests
from h2ogpte import H2OGPTE, H2OGPTEAsync
from h2ogpte import rest_sync as rest
from h2ogpte.errors import H2OGPTEError
from h2ogpte.types import RateLimitError, SessionError

url = sys.argv[1]
saw = {}


def fault(name, **more):
    assert requests.post(f"{url}/__emu__/faults", json={"name": name, **more}, timeout=5).ok


def setting(**values):
    assert requests.post(f"{url}/__emu__/set", json=values, timeout=5).ok


def raised(call):
    try:
        call()
    except (H2OGPTEError, SessionError) as error:
        return [type(error).__name__, str(error)]
    return None


client = H2OGPTE(url, api_key="sk-h2o-test", strict_version_check=True)
saw["meta"] = client.get_meta().is_guest
saw["models"] = client.get_llm_names()
saw["roles"] = [role.name for role in client.list_user_roles()]

chat = client.create_chat_session()
saw["workspace"] = client.get_chat_session_workspace(chat)
with client.connect(chat) as session:
    first = session.query("My name is Ada.", system_prompt="Be brief.", timeout=10)
    saw["answer"] = first.content
    parts = []
    session.query("Count: !say:one two three four", callback=parts.append, timeout=10)
    saw["pieces"] = [part.content for part in parts[:-1] if part.content]
    saw["usage_frame"] = [json.loads(part.meta[0]["content"])["usage"] for part in parts if getattr(part, "meta", None)]
    saw["whole"] = parts[-1].content
    arguments = {"temperature": 0.5, "max_new_tokens": 500}
    full = {"llm": "gpt-4o", "llm_args": arguments, "rag_config": {"rag_type": "llm_only"}, "timeout": 10}
    saw["report"] = json.loads(session.query("!report", system_prompt="Be brief.", **full).content)
    saw["alone"] = json.loads(session.query("!report", include_chat_history="off", **full).content)
    for oddity in ("batch", "crlf", "unknown_t", "foreign", "duplicate_cr", "only_ca"):
        fault(oddity)
        odd = session.query(f"Nothing wrong with {oddity}?", timeout=10)
        saw.setdefault("oddities", []).append(odd.content)
    fault("ce_rate_limit")
    try:
        session.query("Too many?", timeout=10)
    except RateLimitError as error:
        saw["rate_limit"] = [str(error), error.retry_after]
    fault("ce_context")
    saw["context"] = raised(lambda: session.query("Too long?", timeout=10))
    fault("cp_error")
    saw["cp_error"] = raised(lambda: session.query("Half way?", timeout=10))
    saw["unknown_model"] = raised(lambda: session.query("Who?", llm="no-such-model", timeout=10))

    setting(chunk_delay=0.02)
    stoppers = []

    def stop(part):
        if not stoppers:
            stoppers.append(threading.Thread(target=client.stop_chat, args=(part.reply_to,)))
            stoppers[0].start()

    saw["stopped"] = session.query("!words:200", callback=stop, timeout=10).content
    stoppers[0].join()
    setting(chunk_delay=0)

messages = client.list_chat_messages_full(chat, 0, 100)
saw["messages"] = [[message.content, message.reply_to is None] for message in messages[-2:]]
saw["usage"] = json.loads(client.list_chat_message_meta_part(first.id, "usage_stats").content)

template = client.create_prompt_template("pirate", system_prompt="Talk like a pirate.")
client.set_chat_session_prompt_template(chat, template)
saw["template"] = client.get_chat_session_prompt_template(chat).system_prompt
with client.connect(chat) as session:
    saw["as_pirate"] = json.loads(session.query("!report", timeout=10).content)["system_prompt"]
client.set_chat_session_prompt_template(chat, None)
saw["no_template"] = client.get_chat_session_prompt_template(chat)
saw["templates"] = [one.name for one in client.list_recent_prompt_templates(0, 10)]
client.delete_prompt_templates([template])

answer = client.answer_question("!report", system_prompt="S", chat_conversation=[("Hi", "Hello")], llm="gpt-4o")
saw["stateless"] = [json.loads(answer.content)["history"], answer.llm, answer.input_tokens]
fault("answer_error", params={"error": "overloaded"})
saw["answer_error"] = raised(lambda: client.answer_question("Hm?"))
saw["unknown_model_rest"] = raised(lambda: client.answer_question("Hm?", llm="no-such-model"))

generated = rest.ChatApi(rest.ApiClient(rest.Configuration(host=f"{url}/api/v1", access_token="sk-h2o-test")))
wish = rest.ChatCompletionRequest(message="!report", llm="gpt-4o", llm_args={"temperature": 0.1})
saw["completion"] = json.loads(generated.get_completion(chat, wish).body)

fork = client.fork_chat_session(chat)
client.rename_chat_session(fork, "a copy")
saw["sessions"] = [client.count_chat_sessions(), [one.name for one in client.list_recent_chat_sessions(0, 10)]]
saw["limit"] = client.get_llm_usage_24h_with_limits().max_allowed_24h
saw["messages_gone"] = client.delete_chat_messages([messages[0].id, messages[1].id]).status

job = client.delete_chat_sessions([chat, fork])
saw["delete"] = [job.completed, job.kind, [status.status for status in job.statuses]]
saw["left"] = client.count_chat_sessions()

saw["wrong_key"] = raised(lambda: H2OGPTE(url, api_key="sk-wrong"))
saw["gone"] = raised(lambda: client.rename_chat_session(chat, "too late"))
for status in (403, 429, 500, 503):
    fault(f"http_{status}", route="api/v1/chats")
    saw[f"http_{status}"] = raised(client.count_chat_sessions)
fault("http_401", route="ws")
saw["handshake_401"] = raised(lambda: client.connect("whatever").connect())


async def asynchronously():
    async with H2OGPTEAsync(url, api_key="sk-h2o-test") as other:
        chat = await other.create_chat_session()
        async with other.connect(chat) as session:
            reply = await session.query("Are you async?", timeout=10)
        await other.delete_chat_sessions([chat])
        return reply.content


saw["async"] = asyncio.run(asynchronously())
print(json.dumps(saw))
