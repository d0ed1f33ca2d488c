"""The stand-in for OpenAI, judged by the official client for Node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import run_node
from tests.schema import check_completion, check_stream
from tests.upstreams.running import Emulator

pytestmark = pytest.mark.vendor

CLIENT = Path(__file__).parents[1] / "node" / "openai_client.mjs"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("openai") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


def node(upstream: Emulator, scene: str, body: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """What the client made of this scene."""
    env = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-upstream-1"}
    done = run_node(CLIENT, scene, json.dumps(body or {}), json.dumps(settings), env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def asking(text: str = "hello there", **more: Any) -> dict[str, Any]:
    return {"model": "demo-mini", "messages": [{"role": "user", "content": text}], **more}


def test_a_unary_answer(upstream: Emulator) -> None:
    told = node(upstream, "create", asking("grüße, 世界 🌍"))["ok"]
    check_completion({name: value for name, value in told["completion"].items() if name != "_request_id"})
    assert told["completion"]["choices"][0]["message"]["content"] == "grüße, 世界 🌍"
    assert told["request_id"] == upstream.stats()["log"][0]["id"]


def test_a_stream(upstream: Emulator) -> None:
    chunks = node(upstream, "stream", asking("hello there", stream_options={"include_usage": True}))["ok"]["chunks"]
    check_stream(chunks, include_usage=True)
    assert upstream.stats()["log"][0]["headers"]["user-agent"].startswith("OpenAI/JS")


def test_the_stream_helper_puts_text_and_tools_together(upstream: Emulator) -> None:
    told = node(upstream, "helper", asking('!tool:f:{"a":1}\n!tool:g:{"b":2}\n!say:both'))["ok"]
    message = told["completion"]["choices"][0]["message"]
    assert told["text"] == message["content"] == "both"
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]] == [
        ("f", '{"a":1}'),
        ("g", '{"b":2}'),
    ]


def test_the_parse_helper_gets_an_object(upstream: Emulator) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": schema}}
    told = node(upstream, "parse", asking("x", response_format=wanted))["ok"]
    assert told["parsed"] == {"a": 1}
    assert upstream.stats()["log"][0]["body"]["response_format"] == wanted


def test_models(upstream: Emulator) -> None:
    name = "demo-org/demo-chat:free"
    told = node(upstream, "models", {"model": name})["ok"]
    assert name in told["ids"]
    assert told["one"]["id"] == name
    assert upstream.stats()["log"][-1]["path"] == "/v1/models/demo-org%2Fdemo-chat:free"


def test_leaving_a_stream_hangs_up(upstream: Emulator) -> None:
    assert node(upstream, "hangup", asking("!slow:50:" + "word " * 100))["ok"] == {"count": 3}
    assert upstream.until(lambda stats: stats["hangups"])["hangups"][0]["sent"] > 0


@pytest.mark.parametrize(
    ("fault", "name", "status", "code", "attempts"),
    [
        ("unsupported_parameter", "BadRequestError", 400, "unsupported_parameter", 1),
        ("invalid_api_key", "AuthenticationError", 401, "invalid_api_key", 1),
        ("unsupported_country", "PermissionDeniedError", 403, "unsupported_country_region_territory", 1),
        ("model_not_found", "NotFoundError", 404, "model_not_found", 1),
        ("rate_limit", "RateLimitError", 429, "rate_limit_exceeded", 3),
        ("overloaded", "InternalServerError", 503, "server_is_overloaded", 3),
    ],
)
def test_errors_are_typed(upstream: Emulator, fault: str, name: str, status: int, code: str, attempts: int) -> None:
    upstream.fault(fault, times=None, retry_after_ms=1)
    error = node(upstream, "create", asking())["error"]
    seen = upstream.stats()["log"]
    assert (error["class"], error["status"], error["code"], error["requestID"]) == (name, status, code, seen[-1]["id"])
    assert [one["attempt"] for one in seen] == [str(count) for count in range(attempts)]


# openai.md, 2.3 and 2.4: what the client for Node makes of odd streams; None: the whole text arrives.
ODD: dict[str, str | None] = {
    "crlf": None,
    "cr": None,
    "comments": None,
    "bom": None,
    "multiline_data": None,
    "bytewise": None,
    "no_done": None,
    "role_every": None,
    "error_frame": "APIError",
    "event_ping": "OpenAIError",
    "role_never": "OpenAIError",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_streams_do_to_the_client_what_they_do(upstream: Emulator, name: str) -> None:
    upstream.fault(name)
    told = node(upstream, "helper", asking("hällo"))
    if ODD[name] is None:
        assert told["ok"]["text"] == "hällo"
    else:
        assert told["error"]["class"] == ODD[name], told
