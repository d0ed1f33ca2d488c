"""What is no answer, through the real front: its status, its envelope, its headers, and its name in the logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from command import ports
from tests.schema import check_error, check_model, check_models
from tests.stack.rests import forget_rests
from tests.stack.running import KEY, Part, Stack, until
from tests.upstreams.running import Emulator

INVALID = "invalid_request_error"
ORIGIN = "https://app.example"
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Stack, Emulator]]:
    with Emulator("openai") as upstream:
        settings = {
            "OPENAI_API_KEY": "sk-upstream-1",
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "MAX_BODY_MB": "1",
            "CORS_ORIGINS": f"{ORIGIN}, https://other.example",
        }
        with Stack(settings, gateways=2) as stack:
            yield stack, upstream


@pytest.fixture(scope="module")
def http(world: tuple[Stack, Emulator]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world[0].url, timeout=30, trust_env=False) as client:
        yield client


@dataclass(frozen=True)
class Case:
    """A request, and what it is refused with."""

    status: int
    code: str | None
    param: str | None = None
    body: Any = None
    """JSON, or bytes as they are."""
    path: str = CHAT
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})
    says: str = ""
    """Words of the message."""

    def ask(self, http: httpx.Client, **headers: str) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes) else None
        told = None if isinstance(self.body, bytes) else self.body
        return http.request(self.method, self.path, headers={**self.headers, **headers}, content=content, json=told)


def chat(**members: Any) -> dict[str, Any]:
    """A body that is right but for these; None leaves one out."""
    body = {"model": "echo", "messages": HELLO, **members}
    return {name: value for name, value in body.items() if value is not None}


CASES = {
    # the body
    "no JSON": Case(400, None, body=b'{"model": ', says="JSON"),
    "nothing": Case(400, None, body=b"", says="JSON"),
    "no UTF-8": Case(400, None, body=b'{"model": "\xff"}', says="UTF-8"),
    "a list": Case(400, "invalid_type", body=[]),
    "a deep one": Case(400, "invalid_value", body=b'{"model":' + b"[" * 500 + b"]" * 500 + b"}"),
    "no messages": Case(400, "missing_required_parameter", "messages", chat(messages=None)),
    "messages of text": Case(400, "invalid_type", "messages", chat(messages="hello")),
    "empty messages": Case(400, "invalid_value", "messages", chat(messages=[])),
    "a message of text": Case(400, "invalid_type", "messages[0]", chat(messages=["hello"])),
    "a role nobody has": Case(400, "invalid_value", "messages[0].role", chat(messages=[{"role": "robot"}])),
    "a message without role": Case(
        400, "missing_required_parameter", "messages[0].role", chat(messages=[{"content": "hello"}])
    ),
    "content of a number": Case(
        400, "invalid_type", "messages[0].content", chat(messages=[{"role": "user", "content": 5}])
    ),
    "a model of a number": Case(400, "invalid_type", "model", chat(model=5)),
    "a warm word": Case(400, "invalid_type", "temperature", chat(temperature="warm")),
    "too warm": Case(400, "invalid_value", "temperature", chat(temperature=2.5)),
    "streaming perhaps": Case(400, "invalid_type", "stream", chat(stream="perhaps")),
    "options of no stream": Case(400, None, "stream_options", chat(stream_options={"include_usage": True})),
    "two limits": Case(400, None, "max_tokens", chat(max_tokens=1, max_completion_tokens=1)),
    # the model
    "no model": Case(400, "missing_required_parameter", "model", chat(model=None)),
    "a model nobody has": Case(404, "model_not_found", "model", chat(model="nobody/has-this:one")),
    "an upstream's unknown model": Case(404, "model_not_found", "model", chat(model="openai/nothing-like-it")),
    # what this upstream cannot do
    "tools": Case(400, "unsupported_parameter", "tools[0]", chat(tools=[TOOL])),
    "two answers": Case(400, "unsupported_parameter", "n", chat(n=2)),
    "a schema": Case(400, "unsupported_parameter", "response_format", chat(response_format={"type": "json_object"})),
    "probabilities": Case(400, "unsupported_parameter", "logprobs", chat(logprobs=True)),
    "a picture": Case(
        400,
        "unsupported_parameter",
        "messages[0].content[0]",
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]),
    ),
    # the key
    "no key": Case(401, None, body=chat(), headers={}, says="API key"),
    "a wrong key": Case(401, "invalid_api_key", body=chat(), headers={"authorization": "Bearer sk-wrong"}),
    "a key of another kind": Case(401, None, body=chat(), headers={"authorization": f"Basic {KEY}"}),
    "no key before no JSON": Case(401, None, body=b"{", headers={}),
    "no key for models": Case(401, None, path="/v1/models", method="GET", headers={}),
    "no key for a model": Case(401, None, path="/v1/models/echo", method="GET", headers={}),
    # the size
    "too large": Case(413, "request_too_large", body=chat(messages=[{"role": "user", "content": "x" * 2**21}])),
    "too large without a key": Case(413, "request_too_large", body=b"x" * 2**21, headers={}),
    # the path and the method
    "a path to nowhere": Case(404, "unknown_url", path="/v1/nowhere", says="POST /v1/nowhere"),
    "a path outside": Case(404, "unknown_url", path="/nowhere", method="GET", headers={}),
    "embeddings": Case(404, "unknown_url", path="/v1/embeddings", body={"input": "x"}),
    "completions": Case(404, "unknown_url", path="/v1/completions", body={"prompt": "x"}),
    "responses": Case(404, "unknown_url", path="/v1/responses", body={"input": "x"}),
    "metrics": Case(404, "unknown_url", path="/metrics", method="GET", headers={}),
    "a chat to get": Case(405, "method_not_allowed", method="GET"),
    "a chat to delete": Case(405, "method_not_allowed", method="DELETE"),
    "models to post": Case(405, "method_not_allowed", path="/v1/models", body={}),
    "a model that is not there": Case(404, "model_not_found", "model", path="/v1/models/no/such:one", method="GET"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal(http: httpx.Client, name: str) -> None:
    case = CASES[name]
    answer = case.ask(http)
    body = answer.json()
    check_error(body)
    error = body["error"]
    assert (answer.status_code, error["type"]) == (case.status, INVALID)
    assert (error["code"], error["param"]) == (case.code, case.param)
    assert case.says in error["message"] and len(error["message"]) > 10
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["x-request-id"]) >= 8
    assert ("www-authenticate" in answer.headers) == (case.status == 401)
    assert ("allow" in answer.headers) == (case.status == 405)
    assert "retry-after" not in answer.headers


def test_a_method_that_is_allowed_is_named(http: httpx.Client) -> None:
    assert http.get(CHAT).headers["allow"] == "POST, OPTIONS"
    assert "GET" in http.post("/v1/models").headers["allow"]


def test_a_body_of_unknown_length_is_too_large_as_well(http: httpx.Client) -> None:
    pieces = (b" " * 65536 for _ in range(32))
    answer = http.post(CHAT, content=pieces, headers={"authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_stream_that_cannot_begin_is_refused_like_an_answer(http: httpx.Client) -> None:
    for name in ("a model nobody has", "tools", "no messages", "too warm"):
        case = CASES[name]
        answer = http.post(CHAT, headers=case.headers, json={**case.body, "stream": True})
        check_error(answer.json())
        assert (answer.status_code, answer.json()["error"]["code"]) == (case.status, case.code)
        assert answer.headers["content-type"] == "application/json"


# --- what an upstream refuses -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """What the upstream does, and what becomes of it."""

    fault: str
    status: int
    type: str
    code: str | None
    param: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    retry_after: range | None = None
    should_retry: str | None = None


SERVER = "server_error"
TROUBLES = [
    Trouble("context_length_exceeded", 400, INVALID, "context_length_exceeded", "messages"),
    Trouble("unsupported_value", 400, INVALID, "unsupported_value", "temperature"),
    Trouble("content_policy_violation", 400, INVALID, "content_policy_violation", "prompt"),
    Trouble("invalid_api_key", 502, SERVER, "upstream_authentication_error", retry_after=range(1, 61)),
    Trouble("unsupported_country", 502, SERVER, "upstream_authentication_error", retry_after=range(1, 61)),
    Trouble("rate_limit", 429, "requests", "rate_limit_exceeded", None, {"retry_after": 9}, range(5, 10)),
    Trouble("rate_limit", 429, "requests", "rate_limit_exceeded", None, {}, range(10, 25)),
    Trouble("rate_limit", 429, "requests", "rate_limit_exceeded", None, {"retry_after": 121}, range(110, 122), "false"),
    # A week is not believed: a quarter of an hour is the most that a limit on calls is.
    Trouble(
        "rate_limit", 429, "requests", "rate_limit_exceeded", None, {"retry_after": 568800}, range(880, 901), "false"
    ),
    Trouble("server_error", 502, SERVER, "upstream_error"),
    Trouble("html", 502, SERVER, "upstream_error"),
    Trouble("overloaded", 503, SERVER, "server_is_overloaded", None, {"retry_after": 3}, range(1, 4)),
    Trouble("overloaded", 503, SERVER, "server_is_overloaded", None, {"retry_after": 121}, range(110, 122), "false"),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: f"{t.fault} {t.params.get('retry_after', '')}".strip())
def test_an_upstreams_refusal(world: tuple[Stack, Emulator], http: httpx.Client, trouble: Trouble) -> None:
    stack, upstream = world
    upstream.reset()
    with stack.store() as store:
        forget_rests(store, "openai")
    upstream.fault(trouble.fault, times=None, **trouble.params)
    answer = http.post(CHAT, headers=CASES["tools"].headers, json=chat(model="openai/demo-mini"))
    check_error(answer.json())
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (trouble.status, trouble.type, trouble.code)
    assert error["param"] == trouble.param
    if trouble.retry_after is None:
        assert "retry-after" not in answer.headers
    else:
        assert int(answer.headers["retry-after"]) in trouble.retry_after
        assert 0 < int(answer.headers["retry-after-ms"]) <= trouble.retry_after.stop * 1000
    assert answer.headers.get("x-should-retry") == trouble.should_retry
    assert int(answer.headers["x-parley-attempts"]) == upstream.stats()["counts"]["chat"]


# --- names in the logs --------------------------------------------------------------------------------------------


def lines(part: Part, request_id: str) -> list[dict[str, Any]]:
    """What a part logged about a request."""
    found = [line for line in part.log.read_text().splitlines() if request_id in line and line.startswith("{")]
    return [json.loads(line) for line in found]


ASKED: dict[str, tuple[str, str, Any, int]] = {
    "answer": ("POST", CHAT, chat(), 200),
    "stream": ("POST", CHAT, chat(stream=True), 200),
    "refusal": ("POST", CHAT, chat(n=2), 400),
    "models": ("GET", "/v1/models", None, 200),
    "nowhere": ("GET", "/nowhere", None, 404),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_given_request_id_is_the_same_everywhere(
    world: tuple[Stack, Emulator], http: httpx.Client, name: str
) -> None:
    stack, _ = world
    method, path, body, status = ASKED[name]
    request_id = f"given-by-a-test.{name}_1"
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": request_id}
    answer = http.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, [request_id])
    until(lambda: len(lines(stack.nginx, request_id)) == 1, 5, "nginx did not log it")
    until(lambda: sum(len(lines(gateway, request_id)) for gateway in stack.gateways) == 1, 5, "no gateway logged it")
    (front,) = lines(stack.nginx, request_id)
    (record,) = [line for gateway in stack.gateways for line in lines(gateway, request_id)]
    assert (front["request_id"], int(front["status"]), front["path"]) == (request_id, status, path)
    assert (record["request_id"], record["status"]) == (request_id, status)
    assert record["event"] == ("request" if path == CHAT else "page")


def test_a_request_id_is_made_where_none_was_given_or_a_strange_one(
    world: tuple[Stack, Emulator], http: httpx.Client
) -> None:
    stack, _ = world
    made = [http.get("/health/live", headers=given).headers["x-request-id"] for given in GIVEN]
    assert len(set(made)) == len(GIVEN)
    assert all(one.isalnum() and len(one) == 32 for one in made)
    assert "<script>" not in stack.nginx.log.read_text()


GIVEN: list[dict[str, str]] = [
    {},
    {"x-request-id": ""},
    {"x-request-id": "short"},
    {"x-request-id": "with spaces in it"},
    {"x-request-id": "<script>alert(1)</script>"},
    {"x-request-id": "x" * 129},
]


def test_an_upstream_is_asked_under_no_name_of_ours(world: tuple[Stack, Emulator], http: httpx.Client) -> None:
    """What callers send in headers is between them and us."""
    _, upstream = world
    upstream.reset()
    with world[0].store() as store:
        forget_rests(store, "openai")
    headers = {"authorization": f"Bearer {KEY}", "x-stainless-lang": "python", "cookie": "a=b", "x-own": "c"}
    assert http.post(CHAT, headers=headers, json=chat(model="openai/demo-mini")).status_code == 200
    seen = upstream.stats()["log"][-1]["headers"]
    assert seen["authorization"] == "Bearer sk-upstream-1"
    assert not seen.keys() & {"x-stainless-lang", "cookie", "x-own", "x-forwarded-for", "x-real-ip"}


# --- models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("demo-org/demo-chat:free", "demo-org/demo-chat:free"),
        ("demo-org%2Fdemo-chat:free", "demo-org/demo-chat:free"),
        ("demo-org%2fdemo-chat%3Afree", "demo-org/demo-chat:free"),
        ("openai/demo-org/demo-chat:free", "openai/demo-org/demo-chat:free"),
        ("openai%2Fdemo-org%2Fdemo-chat:free", "openai/demo-org/demo-chat:free"),
        ("echo", "echo"),
        ("echo?after=me", "echo"),
    ],
)
def test_a_model_by_its_name(world: tuple[Stack, Emulator], http: httpx.Client, path: str, name: str) -> None:
    lists = [f"{gateway.url}/v1/models" for gateway in world[0].gateways]  # each hears of a discovery within a second
    headers = CASES["tools"].headers
    until(lambda: all("demo-mini" in http.get(url, headers=headers).text for url in lists), 20, "no model was found")
    answer = http.get(f"/v1/models/{path}", headers=CASES["tools"].headers)
    assert answer.status_code == 200, answer.text
    check_model(answer.json())
    assert answer.json()["id"] == name


@pytest.mark.parametrize("path", ["demo-org%252Fdemo-chat:free", "demo-org//demo-chat:free", "", "echo/"])
def test_a_model_by_a_name_that_is_not_its_own(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/v1/models/{path}", headers=CASES["tools"].headers)
    assert answer.status_code == 404
    check_error(answer.json())


def test_the_list_of_models(http: httpx.Client) -> None:
    listed = http.get("/v1/models", headers=CASES["tools"].headers).json()
    check_models(listed)
    names = [model["id"] for model in listed["data"]]
    assert {"echo", "demo-mini", "demo-org/demo-chat:free"} <= set(names)


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/health/ready", "/v1/models", "/docs"])
def test_head_is_get_without_a_body(http: httpx.Client, path: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    head, whole = http.head(path, headers=headers), http.get(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert whole.content
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers["x-request-id"]


# --- browsers -----------------------------------------------------------------------------------------------------


def preflight(http: httpx.Client, origin: str, path: str = CHAT) -> httpx.Response:
    wanted = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    return http.options(path, headers={"origin": origin, **wanted})


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/v1/nowhere"])
def test_a_browser_may_ask_from_a_named_origin(http: httpx.Client, path: str) -> None:
    answer = preflight(http, ORIGIN, path)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert answer.headers["vary"] == "origin"
    assert answer.headers["x-request-id"]


def test_a_browser_may_not_ask_from_elsewhere(http: httpx.Client) -> None:
    answer = preflight(http, "https://elsewhere.example")
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("name", ["a wrong key", "no JSON", "a path to nowhere"])
def test_a_browser_may_read_a_refusal(http: httpx.Client, name: str) -> None:
    case = CASES[name]
    answer = case.ask(http, origin=ORIGIN)
    assert answer.status_code == case.status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_a_page_of_a_browser_may_read_a_stream(http: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {KEY}", "origin": ORIGIN}
    answer = http.post(CHAT, headers=headers, json=chat(stream=True))
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.text.endswith("data: [DONE]\n\n")


# --- with and without a key of ours -------------------------------------------------------------------------------

PLACEHOLDERS = ["change-me", "change_me_please", "sk-your-super-secret-key", "your-api-key", "1", "sk-1234", "xxxxxxxx"]


def started(service: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = {"up": ["command", "up", "--port", "0"], "gateway": ["gateway"], "keeper": ["keeper"]}[service]
    address = {"GATEWAY_BIND": f"127.0.0.1:{ports.free(1)[0]}"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env={**kept, **address, **settings}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "placeholder"), [("API_KEY", "change-me"), *(("API_MASTER_KEY", text) for text in PLACEHOLDERS)]
)
def test_a_gateway_does_not_start_with_a_placeholder(tmp_path: Path, name: str, placeholder: str) -> None:
    ended = started("gateway", tmp_path, **{name: placeholder})
    assert ended.returncode == 2
    (sentence,) = (ended.stdout + ended.stderr).splitlines()
    assert sentence.startswith(f"gateway: {name} is a placeholder")
    assert "openssl rand -hex 32" in sentence


@pytest.mark.parametrize("service", ["keeper", "up"])
def test_nothing_else_starts_with_a_placeholder_either(tmp_path: Path, service: str) -> None:
    ended = started(service, tmp_path, API_MASTER_KEY="change-me")
    assert ended.returncode == 2
    assert "API_MASTER_KEY is a placeholder" in ended.stdout + ended.stderr


def test_an_open_door_is_said_out_loud(tmp_path: Path) -> None:
    with Stack({"API_MASTER_KEY": ""}, gateways=1, keepers=0) as stack:
        health = httpx.get(f"{stack.url}/health").json()
        assert health["authentication"] == "off"
        assert "API_MASTER_KEY" in health["warning"]
        said: Callable[[], bool] = lambda: "NO API_MASTER_KEY IS SET" in stack.gateways[0].log.read_text()  # noqa: E731
        until(said, 5, "the log does not say it")
        for headers in ({}, {"authorization": "Bearer anything"}):
            answer = httpx.post(f"{stack.url}{CHAT}", json=chat(), headers=headers)
            assert answer.json()["choices"][0]["message"]["content"] == "hello"
        assert httpx.get(f"{stack.url}/v1/models").status_code == 200


def test_a_closed_door_is_said_too(http: httpx.Client) -> None:
    health = http.get("/health", headers={"authorization": f"Bearer {KEY}"}).json()
    assert health["authentication"] == "key" and "warning" not in health
