"""The stand-in for FlowGPT has the recorded shapes, is strict where the service is, and breaks where it is told to.

There is no official client. The judges are the shapes of the protocol's page, and the ways in which the clients that it
was read from ask: written down here once more, without any of Parley's code.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.upstreams.flowgpt.faults import DELIVERIES, NAMES, PAGES, TWISTS
from tests.upstreams.flowgpt.tokens import token
from tests.upstreams.running import Emulator

DEVICE = "V1StGXR8_Z5jdHi6B-myT"
PROMPT = "uzNcMUGo4sOwl4GFvRpm8"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("flowgpt") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def http(upstream: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, trust_env=False, verify=False, timeout=5) as made:
        yield made


def common(bearer: str | None = None, device: str = DEVICE) -> dict[str, str]:
    """The headers of section 1.2."""
    return {
        "Accept": "*/*",
        "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
        "Authorization": f"Bearer {bearer or token('acct-1')}",
        "Content-Type": "application/json",
        "Origin": "https://flowgpt.com",
        "Referer": "https://flowgpt.com/",
        "x-flow-device-id": device,
        "x-flow-language": "en",
    }


_count = iter(range(1, 1 << 30))


def sealed(headers: dict[str, str], text: str | None = None, *, stamp: int | None = None) -> dict[str, str]:
    """The headers of section 1.5, by its variant C unless the text to be signed is given."""
    stamp, nonce = str(int(time.time()) if stamp is None else stamp), f"{next(_count):032x}"
    said = f"{stamp}-{nonce}-{headers['Authorization']}" if text is None else text.format(stamp=stamp, nonce=nonce)
    digest = hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()
    return {**headers, "x-nonce": nonce, "x-timestamp": stamp, "x-signature": digest}


def question(words: str, **more: Any) -> dict[str, Any]:
    """The body of section 1.4."""
    return {
        "model": "FlowGPT-Ares",
        "nsfw": False,
        "question": words,
        "temperature": 0.7,
        "userId": "",
        "promptId": PROMPT,
        "documentIds": [],
        "generateImage": False,
        "generateAudio": False,
        **more,
    }


def guests(words: str) -> dict[str, Any]:
    """The body of section 1.6."""
    body = {**question(words), "model": "gpt-3.5-turbo", "promptId": "model-gpt-3.5-turbo", "chatFileDocumentIds": []}
    del body["userId"]
    return {**body, "history": [{"role": "user", "content": "Say hi"}], "system": "You are helpful."}


def ask(http: httpx.Client, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    return http.post("/v3/chat", json=body, headers=headers or sealed(common()))


def words(answer: httpx.Response) -> str:
    """As the library reads it that cares for events."""
    events = [json.loads(line) for line in answer.content.decode().split("\n") if line.strip()]
    return "".join(event["data"] for event in events if event.get("event") == "text")


# --- recorded shapes --------------------------------------------------------------------------------------------------


def test_the_two_steps_of_the_replaced_project(http: httpx.Client, upstream: Emulator) -> None:
    told = [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "Hello"}]
    made = http.post(
        "/conversation/create", json={"promptId": PROMPT, "location": "CHAT_PAGE", "messages": told}, headers=common()
    )
    assert made.status_code == 201
    assert made.json() == {"id": made.json()["id"], "promptId": PROMPT}
    answer = ask(http, question("!report", conversationId=made.json()["id"]))
    assert answer.status_code == 200 and answer.headers["transfer-encoding"] == "chunked"
    report = json.loads(words(answer))
    assert report["heard"] == [*told, {"role": "user", "content": "!report"}]
    assert upstream.stats()["conversations"] == {"acct-1": 1}


def test_the_one_step_of_later_clients(http: httpx.Client) -> None:
    history = [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "Hello"}]
    report = json.loads(words(ask(http, question("!report", history=history, system="Be kind."))))
    assert report["heard"] == [
        {"role": "system", "content": "Be kind."},
        *history,
        {"role": "user", "content": "!report"},
    ]
    assert report["conversation"] is None


@pytest.mark.parametrize("path", ["/v3/chat-anonymous", "/v2/chat-anonymous"])
def test_a_guest_of_the_multi_provider_library(http: httpx.Client, upstream: Emulator, path: str) -> None:
    headers = common("null", "f-0123456789abcdefghi")
    answer = http.post(path, json=guests("And in French?"), headers=sealed(headers))
    assert (answer.status_code, words(answer)) == (200, "And in French?")
    upstream.set(guest_limit=1)
    answer = http.post(path, json=guests("And in French?"), headers=sealed(headers))
    assert answer.status_code == 429 and b"from your IP" in answer.content


def test_an_answer_is_lines_of_json_with_blanks_and_other_events_between(
    http: httpx.Client, upstream: Emulator
) -> None:
    upstream.set(blank_lines=True, extras=True, crlf=True, piece=3)
    answer = ask(http, question("a\u2028b 世界"))
    lines = answer.content.split(b"\r\n")
    assert b'{"event":"text","data":"a\xe2\x80\xa8b"}' in lines, "nothing is escaped that need not be"
    assert b"" in lines[:-1]
    assert {json.loads(line)["event"] for line in answer.content.split(b"\n") if line.strip()} == {
        "ping",
        "title",
        "text",
        "suggestions",
    }
    assert words(answer) == "a\u2028b 世界"


def test_a_token_has_the_recorded_shape(http: httpx.Client) -> None:
    answer = http.get("/api/auth/refresh", headers={"cookie": "__Secure-next-auth.session-token=login-1"})
    made = answer.json()["data"]["encodedToken"]
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]{342}", made), "as long as RS256 makes it"
    assert words(ask(http, question("Hi"), sealed(common(made)))) == "Hi"
    assert http.get("/api/auth/refresh", headers={"cookie": "__Secure-next-auth.session-token=x"}).status_code == 401


def test_the_catalogue_has_the_sites_shape(http: httpx.Client) -> None:
    asked = {"batch": "1", "input": '{"0":{"json":{"skip":0}}}'}
    told = http.get("/api/trpc/prompt.getPrompts", params=asked).json()
    assert PROMPT in [row["id"] for row in told[0]["result"]["data"]["json"]["prompts"]]
    assert http.get("/api/trpc/prompt.getPrompts").status_code == 400


# --- strictness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("dash-auth", None),
        ("concat-device", "{stamp}{nonce}" + DEVICE),
        ("colon-device", "{stamp}:{nonce}:" + DEVICE),
        ("off", "nothing in particular"),
    ],
)
def test_a_signature_must_be_made_by_the_selected_formula(
    http: httpx.Client, upstream: Emulator, mode: str, text: str | None
) -> None:
    upstream.set(signature=mode, signature_status=403)
    assert ask(http, question("Hi"), sealed(common(), text)).status_code == 200
    wrong = ask(http, question("Hi"), sealed(common(), "{stamp}{nonce}something else"))
    assert wrong.status_code == (200 if mode == "off" else 403)
    if mode != "off":
        assert wrong.json()["message"] == "invalid signature"


def test_a_signature_of_the_body_is_of_its_very_bytes(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(signature="body")
    content = json.dumps(question("Hi"))
    headers = sealed(common(), content.replace("{", "{{").replace("}", "}}"))
    assert http.post("/v3/chat", content=content, headers=headers).status_code == 200
    headers = sealed(common(), content.replace("{", "{{").replace("}", "}}"))
    assert http.post("/v3/chat", content=content + " ", headers=headers).status_code == 401


def test_a_nonce_counts_once_and_a_timestamp_for_five_minutes(http: httpx.Client, upstream: Emulator) -> None:
    headers = sealed(common())
    assert ask(http, question("Hi"), headers).status_code == 200
    assert ask(http, question("Hi"), headers).json()["message"] == "nonce already used"
    for away in (-301, 302):
        late = sealed(common(), stamp=int(time.time()) + away)
        assert ask(http, question("Hi"), late).json()["message"] == "timestamp out of range"
    assert ask(http, question("Hi"), {**sealed(common()), "x-nonce": "abc"}).json()["message"] == "invalid nonce"
    upstream.set(clock=3600)
    assert ask(http, question("Hi")).status_code == 401
    assert ask(http, question("Hi"), sealed(common(), stamp=int(time.time()) + 3600)).status_code == 200


@pytest.mark.parametrize(
    "bearer",
    [
        token("acct-1", issued=time.time() - 604801),
        token("acct-1")[:-4] + "AAAA",
        token("nobody"),
        "opaque",
        "null",
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_token_must_be_whole_alive_and_somebodys(
    http: httpx.Client, upstream: Emulator, bearer: str, status: int
) -> None:
    upstream.set(bad_token=status)
    assert ask(http, question("Hi"), sealed(common(bearer))).status_code == status
    assert http.get("/conversation/latest", headers=common(bearer)).status_code == status


def test_a_token_can_run_out_after_some_answers(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(expire_after={"acct-1": 2})
    bearer = token("acct-1")
    statuses = [ask(http, question("Hi"), sealed(common(bearer))).status_code for _ in range(3)]
    assert statuses == [200, 200, 401]
    assert ask(http, question("Hi"), sealed(common(token("acct-2"), "another"))).status_code == 200


@pytest.mark.parametrize("name", ["Accept-Language", "Origin", "Referer", "x-flow-device-id", "x-flow-language"])
def test_every_header_of_the_page_is_wanted(http: httpx.Client, name: str) -> None:
    headers = sealed(common())
    del headers[name]
    answer = ask(http, question("Hi"), headers)
    assert answer.status_code == 400 and name.lower() in answer.json()["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": None},
        {"temperature": 1.5},
        {"question": [{"type": "text", "text": "Hi"}]},
        {"question": " "},
        {"stream": True},
        {"nsfw": 0},
        {"history": [{"role": "system", "content": "x"}]},
        {"history": [{"role": "user", "content": None}]},
    ],
)
def test_a_body_must_have_the_recorded_keys_and_types(http: httpx.Client, wrong: dict[str, Any]) -> None:
    assert ask(http, {**question("Hi"), **wrong}).status_code == 400


def test_a_prompt_must_exist_and_a_conversation_be_ones_own(http: httpx.Client, upstream: Emulator) -> None:
    gone = ask(http, question("Hi", promptId="000000000000000000000"))
    assert (gone.status_code, gone.json()["message"]) == (404, "Prompt not found")
    body = {"promptId": PROMPT, "location": "CHAT_PAGE", "messages": []}
    made = http.post("/conversation/create", json=body, headers=common()).json()["id"]
    others = sealed(common(token("acct-2"), "another-device-of-21-"))
    assert ask(http, question("Hi", conversationId=made), others).status_code == 404
    assert [leak["what"] for leak in upstream.stats()["leaks"]] == ["conversation"]
    other_prompt = question("Hi", conversationId=made, promptId="vlaOLDN9qTxzIlvzfL_Ty")
    assert ask(http, other_prompt).status_code == 404


def test_a_device_beside_another_accounts_is_a_leak(http: httpx.Client, upstream: Emulator) -> None:
    assert ask(http, question("Hi")).status_code == 200
    assert ask(http, question("Hi"), sealed(common(token("acct-2")))).status_code == 200
    assert [leak["what"] for leak in upstream.stats()["leaks"]] == ["device"]


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PAGES if name != "no_id"])
def test_every_refusal_comes_with_its_status(http: httpx.Client, upstream: Emulator, name: str) -> None:
    upstream.fault(name, retry_after=3)
    answer = ask(http, question("Hi"))
    assert (answer.status_code, answer.text) == (PAGES[name].status, PAGES[name].content.decode())
    assert answer.headers["retry-after"] == "3"
    assert ask(http, question("Hi")).status_code == 200, "once, unless told otherwise"


@pytest.mark.parametrize("name", sorted(TWISTS))
def test_every_twist_changes_an_answer_and_none_its_status(http: httpx.Client, upstream: Emulator, name: str) -> None:
    text = "some words of an answer"
    plain = ask(http, question(text)).content
    upstream.fault(name)
    twisted = ask(http, question(text))
    assert twisted.status_code == 200 and twisted.content != plain


def test_answers_break_off_where_they_are_told_to(http: httpx.Client, upstream: Emulator) -> None:
    for name, problem in (("reset", httpx.ReadError), ("cut", httpx.RemoteProtocolError)):
        upstream.fault(name, bytes=40)
        with pytest.raises(problem):
            ask(http, question("some words of an answer"))
    assert upstream.stats()["hangups"] == []


def test_every_fault_is_known_by_name(upstream: Emulator) -> None:
    assert {*PAGES, *TWISTS, *DELIVERIES, "revoke"} == NAMES
    with pytest.raises(AssertionError, match="no fault is called"):
        upstream.fault("nonsense")


def test_who_hangs_up_is_recorded(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(piece_delay=0.1)
    with http.stream("POST", "/v3/chat", json=question("a long answer"), headers=sealed(common())) as answer:
        next(answer.iter_raw())
    (hangup,) = upstream.until(lambda stats: stats["hangups"])["hangups"]
    assert (hangup["account"], hangup["route"]) == ("acct-1", "chat")
