"""The stand-in for claude.ai has the recorded shapes, is strict where the site is, and breaks where it is told to.

There is no official client to prove it with; the requests and answers here are those of `upstreams/claude-web.md`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.upstreams import claude_web
from tests.upstreams.claude_web.service import NAMES, organization
from tests.upstreams.running import Emulator

KEY, MODEL = "sk-ant-sid01-one", "claude-sonnet-4-5-20250929"
ORG = organization("one")
CHATS = f"/api/organizations/{ORG}/chat_conversations"
ROOT = "00000000-0000-4000-8000-000000000000"
RECORDED = Path(__file__).parents[1] / "transcripts" / "claude-web"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("claude_web") as emulator:
        yield emulator


@pytest.fixture
def site(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def page(site: Emulator) -> Iterator[httpx.Client]:
    """Calls as the page makes them."""
    headers = {
        "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Test",
        "accept-language": "en-US,en;q=0.5",
        "origin": site.url,
        "referer": f"{site.url}/chats",
        "anthropic-client-platform": "web_claude_ai",
        "anthropic-device-id": str(uuid4()),
        "cookie": f"sessionKey={KEY}",
    }
    with httpx.Client(base_url=site.url, headers=headers, trust_env=False, verify=False, timeout=5) as made:
        yield made


def question(prompt: str = "Hi", **changes: Any) -> dict[str, Any]:
    """The first turn of 1.6; a field that is changed to None is left out."""
    style = {
        "type": "default",
        "key": "Default",
        "name": "Normal",
        "nameKey": "normal_style_name",
        "prompt": "Normal\n",
        "summary": "Default responses from Claude",
        "summaryKey": "normal_style_summary",
        "isDefault": True,
    }
    body = {
        "prompt": prompt,
        "parent_message_uuid": ROOT,
        "timezone": "UTC",
        "locale": "en-US",
        "model": MODEL,
        "personalized_styles": [style],
        "tools": [],
        "attachments": [],
        "files": [],
        "sync_sources": [],
        "rendering_mode": "messages",
        "turn_message_uuids": {"human_message_uuid": str(uuid4()), "assistant_message_uuid": str(uuid4())},
        "effort": "low",
        "thinking_mode": "off",
        "completion_request_id": str(uuid4()),
        "create_conversation_params": {
            "name": "",
            "model": MODEL,
            "include_conversation_preferences": True,
            "paprika_mode": None,
            "compass_mode": None,
            "tool_search_mode": "auto",
            "is_temporary": True,
            "enabled_imagine": False,
        },
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def ask(page: httpx.Client, body: Any, chat: str | None = None, **headers: str) -> httpx.Response:
    chat = chat or str(uuid4())
    return page.post(f"{CHATS}/{chat}/completion", json=body, headers={"accept": "text/event-stream", **headers})


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return frames(answer.text)


def frames(text: str) -> list[dict[str, Any]]:
    told = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        kind, payload = frame.split("\n")
        told.append(json.loads(payload.removeprefix("data: ")))
        assert kind == f"event: {told[-1]['type']}"
    return told


def words(told: list[dict[str, Any]]) -> str:
    return "".join(event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta")


def shape(told: Any) -> Any:
    """What it is made of, without what is said."""
    if isinstance(told, dict):
        return {name: shape(value) for name, value in told.items() if name not in ("windows",)}
    return type(told).__name__ if not isinstance(told, list) else [shape(one) for one in told]


def failed(answer: httpx.Response) -> tuple[int, str, str]:
    told = answer.json()
    assert told.keys() == {"type", "error", "request_id"} and told["type"] == "error"
    return answer.status_code, told["error"]["type"], told["error"]["message"]


# --- recorded shapes ------------------------------------------------------------------------------------------------


def test_an_answer_has_the_recorded_events(page: httpx.Client, site: Emulator) -> None:
    site.set(piece=3)
    told = events(ask(page, question("Hello")))
    recorded = frames((RECORDED / "hello.sse").read_text())
    assert [event["type"] for event in told] == [event["type"] for event in recorded]
    assert [shape(event) for event in told] == [shape(event) for event in recorded]
    assert words(told) == words(recorded) == "Hello"


def test_thoughts_have_the_recorded_events(page: httpx.Client, site: Emulator) -> None:
    site.set(piece=100)
    told = events(ask(page, question("!think:hmm\n!say:Hello")))
    recorded = frames((RECORDED / "thinking.sse").read_text())
    known = {json.dumps(shape(event), sort_keys=True) for event in recorded}
    assert {json.dumps(shape(e), sort_keys=True) for e in told} <= known | {'{"type": "str"}'}
    assert words(told) == "Hello"


def test_an_answer_names_its_turn(page: httpx.Client) -> None:
    body = question()
    start = next(event for event in events(ask(page, body)) if event["type"] == "message_start")
    named = body["turn_message_uuids"]
    assert start["message"]["uuid"] == named["assistant_message_uuid"]
    assert start["message"]["parent_uuid"] == named["human_message_uuid"]
    assert start["message"]["model"] == ""


def test_organisations(page: httpx.Client, site: Emulator) -> None:
    told = page.get("/api/organizations").json()
    assert [one["capabilities"] for one in told] == [["api"], ["chat", "claude_pro"]]
    assert told[1] == {
        "id": 1,
        "uuid": ORG,
        "name": "Personal",
        "capabilities": ["chat", "claude_pro"],
        "rate_limit_tier": "default",
    }
    site.set(api_first=False)
    assert page.get("/api/organizations").json()[0]["uuid"] == ORG


def test_usage(page: httpx.Client) -> None:
    told = page.get(f"/api/organizations/{ORG}/usage").json()
    assert told["five_hour"] == {"utilization": 42, "resets_at": "2026-01-01T05:00:00Z"}
    assert told["seven_day"]["utilization"] == 7


def test_a_conversation_is_created_listed_read_renamed_and_deleted(page: httpx.Client, site: Emulator) -> None:
    chat = str(uuid4())
    created = page.post(CHATS, json={"uuid": chat, "name": ""})
    assert created.status_code == 201
    assert created.json().keys() == {"uuid", "name", "summary", "created_at", "updated_at"}
    assert [one["uuid"] for one in page.get(CHATS).json()] == [chat]
    listed = page.get(f"{CHATS}_v2?limit=30&offset=0&consistency=eventual").json()
    assert (listed["has_more"], listed["data"][0]["uuid"]) == (False, chat)
    assert page.put(f"{CHATS}/{chat}", json={"name": "x"}).json()["name"] == "x"
    assert page.post(f"{CHATS}/{chat}/title", json={"message_content": "x", "recent_titles": []}).status_code == 202
    assert page.get(f"{CHATS}/{chat}?tree=True").json()["chat_messages"] == []
    assert page.delete(f"{CHATS}/{chat}").status_code == 204
    assert page.get(f"{CHATS}/{chat}").status_code == 404
    site.set(create_status=200)
    assert page.post(CHATS, json={"uuid": chat, "name": ""}).status_code == 200


@pytest.mark.parametrize("form", ["string", "object", "none"])
def test_three_ways_to_delete(page: httpx.Client, site: Emulator, form: str) -> None:
    chat = str(uuid4())
    ask(page, question(), chat)
    body = {"string": chat, "object": {"uuid": chat}, "none": None}[form]
    told = page.request("DELETE", f"{CHATS}/{chat}", **({} if body is None else {"json": body}))
    assert (told.status_code, told.content) == (204, b"")
    assert site.stats()["conversations"]["one"] == {"created": 1, "deleted": 1, "live": []}
    again = page.request("DELETE", f"{CHATS}/{chat}", **({} if body is None else {"json": body}))
    assert failed(again)[:2] == (404, "not_found_error")


def test_several_are_deleted_at_once(page: httpx.Client, site: Emulator) -> None:
    made = [str(uuid4()) for _ in range(3)]
    for chat in made:
        ask(page, question(), chat)
    page.post(f"{CHATS}/delete_many", json={"conversation_uuids": made[:2]})
    assert site.stats()["conversations"]["one"]["live"] == made[2:]


def test_what_was_said_is_kept_and_seen_by_the_next_turn(page: httpx.Client) -> None:
    chat, body = str(uuid4()), question("!say:first answer")
    ask(page, body, chat)
    answer = body["turn_message_uuids"]["assistant_message_uuid"]
    stored = page.get(f"{CHATS}/{chat}?tree=True&rendering_mode=messages&consistency=strong").json()
    assert [m["sender"] for m in stored["chat_messages"]] == ["human", "assistant"]
    assert stored["current_leaf_message_uuid"] == answer
    kept = stored["chat_messages"][1]
    assert (kept["uuid"], kept["content"][0]["text"], kept["stop_reason"]) == (answer, "first answer", "end_turn")
    follow_up = question("!report", parent_message_uuid=answer, create_conversation_params=None)
    told = json.loads(words(events(ask(page, follow_up, chat))))
    assert told["branch"] == ["!say:first answer", "first answer"]
    assert told["cookies"] == {"sessionKey": KEY} and told["account"] == "one"


def test_a_temporary_conversation_is_in_no_list(page: httpx.Client) -> None:
    ask(page, question())
    assert page.get(CHATS).json() == []


def test_a_completion_has_a_status(page: httpx.Client, site: Emulator) -> None:
    chat = str(uuid4())
    ask(page, question(), chat)
    status = f"{CHATS}/{chat}/completion_status?poll=false"
    over = {"is_pending": False, "is_error": False, "error_code": None, "error_detail": None}
    assert page.get(status).json() == over
    assert failed(page.get(f"{CHATS}/{uuid4()}/completion_status"))[0] == 404


# --- where it is strict ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "gpt-4o"}, "Invalid model"),
        ({"locale": "de-CH"}, "locale"),
        ({"rendering_mode": "raw"}, "rendering_mode"),
        ({"rendering_mode": None}, "rendering_mode"),
        ({"timezone": None}, "timezone"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 400_001}, "prompt is too long"),
        ({"effort": "enormous"}, "effort"),
        ({"thinking_mode": "sometimes"}, "thinking_mode"),
        ({"temperature": 0.5}, "temperature"),
        ({"tools": None}, "tools"),
        ({"turn_message_uuids": {"human_message_uuid": "h", "assistant_message_uuid": ROOT}}, "valid UUID"),
        ({"completion_request_id": "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"}, "valid UUID"),
        ({"parent_message_uuid": "4be0643f-1d98-4df6-9d1b-bd1f3ab5cd1d"}, "parent_message_uuid"),
        (
            {"attachments": [{"file_name": "a", "file_type": "t", "file_size": 9, "extracted_content": "x"}]},
            "file_size",
        ),
    ],
)
def test_a_question_of_another_form_is_refused(
    page: httpx.Client, site: Emulator, changes: dict[str, Any], said: str
) -> None:
    status, kind, message = failed(ask(page, question(**changes)))
    assert (status, kind) == (400, "invalid_request_error")
    assert said in message
    assert site.stats()["conversations"] == {}


def test_a_turn_is_taken_once(page: httpx.Client) -> None:
    body = question()
    assert ask(page, body).status_code == 200
    assert failed(ask(page, body)) == (409, "invalid_request_error", "Message already created")


def test_a_conversation_is_made_once_and_a_follow_up_makes_none(page: httpx.Client) -> None:
    chat = str(uuid4())
    assert ask(page, question(), chat).status_code == 200
    assert failed(ask(page, question(), chat))[0] == 409
    assert failed(ask(page, question(create_conversation_params=None)))[:2] == (404, "not_found_error")


@pytest.mark.parametrize(
    "header",
    ["anthropic-client-platform", "anthropic-device-id", "origin", "referer", "user-agent", "accept", "content-type"],
)
def test_a_header_of_the_pages_own_may_not_be_missing(page: httpx.Client, site: Emulator, header: str) -> None:
    told = ask(page, question(), **{header: "strange/1"})
    assert failed(told)[:2] == (403, "permission_error") and header in told.text
    assert told.json()["error"].get("details") is None, "it is no expired session"
    site.set(strict=False)
    assert ask(page, question(), **{header: "strange/1"}).status_code == 200


@pytest.mark.parametrize("cookie", ["", "sessionKey=unknown", "other=sk-ant-sid01-one"])
def test_without_a_known_key_there_is_no_session(page: httpx.Client, cookie: str) -> None:
    told = page.get("/api/organizations", headers={"cookie": cookie})
    assert failed(told) == (403, "permission_error", "Invalid authorization")
    assert told.json()["error"]["details"] == {
        "error_visibility": "user_facing",
        "error_code": "account_session_invalid",
    }


def test_an_expired_key_is_refused_in_three_ways_and_counted_when_it_comes_again(
    page: httpx.Client, site: Emulator
) -> None:
    site.set(expired=[KEY])
    assert failed(page.get("/api/organizations"))[0] == 403
    assert site.stats()["again"] == 0
    site.set(expired_as="401")
    assert failed(page.get("/api/organizations"))[:2] == (401, "authentication_error")
    site.set(expired_as="redirect")
    told = page.get("/api/organizations")
    assert (told.status_code, told.headers["location"]) == (302, "/login")
    assert site.stats()["again"] == 2


def test_organisations_and_conversations_belong_to_an_account(page: httpx.Client) -> None:
    chat = str(uuid4())
    ask(page, question(), chat)
    other = {"cookie": "sessionKey=sk-ant-sid01-two"}
    assert page.get(f"{CHATS}/{chat}", headers=other).status_code == 403
    theirs = f"/api/organizations/{organization('two')}/chat_conversations"
    assert page.get(f"{theirs}/{chat}", headers=other).status_code == 404
    assert failed(page.get(f"{CHATS}/not-a-uuid"))[:2] == (400, "invalid_request_error")


def test_an_agent_may_be_met_with_a_challenge(page: httpx.Client, site: Emulator) -> None:
    site.set(refuse_agents=["Mozilla"])
    told = page.get("/api/organizations")
    assert (told.status_code, told.headers["cf-mitigated"]) == (403, "challenge")
    assert "Just a moment..." in told.text and "/cdn-cgi/challenge-platform/" in told.text


def test_only_so_many_answers_at_once(page: httpx.Client, site: Emulator) -> None:
    site.set(most_streams=1, piece_delay=0.1)
    chat = f"{CHATS}/{uuid4()}/completion"
    with page.stream("POST", chat, json=question("Hello there"), headers={"accept": "text/event-stream"}):
        status, _, message = failed(ask(page, question()))
    assert (status, json.loads(message)["representativeClaim"]) == (429, "concurrents")


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_every_fault_is_explained() -> None:
    assert claude_web.__doc__
    known = set(re.findall(r"\w+", claude_web.__doc__.partition("Faults")[2]))
    assert known >= NAMES


def test_a_used_up_quota_is_json_in_a_text(page: httpx.Client, site: Emulator) -> None:
    site.fault("quota", resets_in=3600)
    status, kind, message = failed(ask(page, question()))
    told = json.loads(message)
    assert (status, kind, told["type"]) == (429, "rate_limit_error", "exceeded_limit")
    assert told["resetsAt"] - time.time() == pytest.approx(3600, abs=5)
    assert told.keys() == {"type", "resetsAt", "remaining", "perModelLimit", "representativeClaim"}


@pytest.mark.parametrize("wait", [7, "date"])
def test_a_throttle_may_say_when_to_come_back(page: httpx.Client, site: Emulator, wait: Any) -> None:
    site.fault("throttle", retry_after=wait)
    told = ask(page, question())
    assert failed(told)[0] == 429
    assert told.headers["retry-after"] == "7" if wait == 7 else told.headers["retry-after"].endswith("GMT")


def test_an_error_strikes_between_two_pieces(page: httpx.Client, site: Emulator) -> None:
    site.fault("error_event", at=1)
    told = events(ask(page, question("Hello there")))
    assert told[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert words(told) == "Hello"


@pytest.mark.parametrize("stored", [True, False])
def test_an_answer_goes_on_without_its_reader_or_is_lost(page: httpx.Client, site: Emulator, stored: bool) -> None:
    site.set(finish_after=0.2)
    site.fault("cut", bytes=900, stored=stored)
    chat = str(uuid4())
    with pytest.raises(httpx.RemoteProtocolError):
        ask(page, question("!say:" + "word " * 50), chat)
    assert page.get(f"{CHATS}/{chat}/completion_status").json()["is_pending"] is True
    assert len(page.get(f"{CHATS}/{chat}").json()["chat_messages"]) == 1
    time.sleep(0.25)
    assert page.get(f"{CHATS}/{chat}/completion_status").json()["is_error"] is not stored
    assert len(page.get(f"{CHATS}/{chat}").json()["chat_messages"]) == 1 + stored


def test_an_answer_can_be_stopped(page: httpx.Client, site: Emulator) -> None:
    site.set(piece_delay=0.1, finish_after=60)
    chat = str(uuid4())
    path = f"{CHATS}/{chat}/completion"
    with page.stream("POST", path, json=question("word " * 50), headers={"accept": "text/event-stream"}) as answer:
        next(answer.iter_bytes())
    site.until(lambda told: told["hangups"])
    assert page.get(f"{CHATS}/{chat}/completion_status").json()["is_pending"] is True
    assert page.post(f"{CHATS}/{chat}/stop_response").status_code == 200
    assert page.get(f"{CHATS}/{chat}").json()["chat_messages"][1]["stop_reason"] == "user_canceled"


def test_a_key_is_renewed_and_the_new_one_opens_the_same_account(page: httpx.Client, site: Emulator) -> None:
    site.fault("roll", route="completion")
    renewed = ask(page, question()).headers["set-cookie"].split(";")[0]
    assert renewed == f"sessionKey={KEY}~1"
    assert page.get("/api/organizations", headers={"cookie": renewed}).json()[1]["uuid"] == ORG
