"""The official client 1.6.10, unmodified: `/rpc/*` and a bare `/ws`."""

import json
import sys

import requests
from h2ogpte import H2OGPTE
from h2ogpte.errors import H2OGPTEError, ObjectNotFoundError
from h2ogpte.types import SessionError

url = sys.argv[1]
saw = {}


def fault(name, **more):
    assert requests.post(f"{url}/__emu__/faults", json={"name": name, **more}, timeout=5).ok


def raised(call):
    try:
        call()
    except (H2OGPTEError, SessionError) as error:
        return [type(error).__name__, str(error)]
    return None


client = H2OGPTE(url, api_key="sk-h2o-test", strict_version_check=True)
saw["meta"] = client.get_meta().username
saw["models"] = [model["display_name"] for model in client.get_llms()]

chat = client.create_chat_session()
with client.connect(chat) as session:
    first = session.query("My name is Ada.", system_prompt="Be brief.", timeout=10)
    saw["answer"] = first.content
    parts = []
    session.query("Count: !say:one two three four", callback=parts.append, timeout=10)
    saw["pieces"] = [part.content for part in parts[:-1]]
    saw["whole"] = parts[-1].content
    arguments = {"temperature": 0.5, "max_new_tokens": 500}
    full = {"llm": "gpt-4o", "llm_args": arguments, "rag_config": {"rag_type": "llm_only"}, "timeout": 10}
    saw["report"] = json.loads(session.query("!report", system_prompt="Be brief.", **full).content)
    saw["alone"] = json.loads(session.query("!report", include_chat_history="off", **full).content)
    fault("ce_timeout")
    saw["model_timeout"] = raised(lambda: session.query("Too slow?", timeout=10))

messages = client.list_chat_messages_full(chat, 0, 100)
saw["messages"] = [[message.content, message.reply_to is None] for message in messages[-2:]]
saw["usage"] = json.loads(client.list_chat_message_meta_part(first.id, "usage_stats").content)
saw["no_such_meta"] = raised(lambda: client.list_chat_message_meta_part(first.id, "hyde1"))

template = client.create_prompt_template("pirate", system_prompt="Talk like a pirate.")
client.set_chat_session_prompt_template(chat, template)
saw["template"] = client.get_chat_session_prompt_template(chat).system_prompt
with client.connect(chat) as session:
    saw["as_pirate"] = json.loads(session.query("!report", timeout=10).content)["system_prompt"]
client.set_chat_session_prompt_template(chat, None)
saw["no_template"] = client.get_chat_session_prompt_template(chat)
saw["templates"] = [one.name for one in client.list_recent_prompt_templates(0, 10)]
saw["templates_gone"] = client.delete_prompt_templates([template]).status

saw["stateless"] = client.answer_question("And in French?", chat_conversation=[("Hi", "Hello")]).content
saw["sessions"] = [client.count_chat_sessions(), [one.id == chat for one in client.list_recent_chat_sessions(0, 10)]]
saw["limit"] = client.get_llm_usage_24h_with_limits().max_allowed_24h
saw["messages_gone"] = client.delete_chat_messages([first.id]).status

fault("create_error", params={"error": "no more sessions"})
try:
    client.create_chat_session()
except ValueError as error:
    saw["create_error"] = str(error)
job = client.delete_chat_sessions([chat])
saw["delete"] = [job.completed, job.kind, [status.status for status in job.statuses]]
saw["left"] = client.count_chat_sessions()

saw["wrong_key"] = raised(lambda: H2OGPTE(url, api_key="sk-wrong"))
fault("http_500", route="rpc/db")
saw["http_500"] = raised(client.count_chat_sessions)
fault("http_429", route="rpc/db", params={"body": "html"})
saw["http_429"] = raised(client.count_chat_sessions)
try:
    client.get_chat_session_prompt_template("no-such-session")
except ObjectNotFoundError as error:
    saw["not_found"] = str(error)

print(json.dumps(saw))
