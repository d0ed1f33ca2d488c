"""The stand-in for the Messages API, judged by two generations of the vendor's own client; the rest by plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.node import run_node
from tests.upstreams.anthropic.settings import MODELS
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parent / "clients" / "anthropic_sdk.py"
NODE_CLIENT = Path(__file__).parents[1] / "node" / "vendors" / "anthropic_client.mjs"
KEY, MODEL = "sk-ant-one", "claude-demo-4-5"
OLD, NEW = "2023-06-01", "2026-10-21"
CLASSES = {
    "2.11.0": {
        "billing": "PaymentRequiredError",
        "too_large": "ContentTooLargeError",
        "timeout": "GatewayTimeoutError",
    },
    "0.60.0": {"billing": "APIStatusError", "too_large": "RequestTooLargeError", "timeout": "InternalServerError"},
}
"""The classes by which the two generations call the same error."""


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("anthropic") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


def ask(
    upstream: Emulator, version: str | None = OLD, *, headers: Any = None, path: str = "/v1/messages", **fields: Any
) -> httpx.Response:
    """One plain request; fields that are None are left out."""
    named = {"x-api-key": KEY, "anthropic-version": version, **(headers or {})}
    body = {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return httpx.post(
        f"{upstream.url}{path}",
        headers={name: value for name, value in named.items() if value is not None},
        json={name: value for name, value in body.items() if value is not None},
        timeout=10,
        trust_env=False,
    )


def said(response: httpx.Response) -> str:
    """The message of a refusal."""
    body = response.json()
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return str(body["error"]["message"])


# --- the vendor's client ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "release", "auth", "version"),
    [("anthropic", "2.11.0", "bearer", NEW), ("anthropic060", "0.60.0", "x-api-key", OLD)],
)
def test_the_official_client_works(upstream: Emulator, environment: str, release: str, auth: str, version: str) -> None:
    found = saw(environment, CLIENT, upstream.url, KEY, MODEL)
    assert found["version"] == release
    assert found["text"] == "Hello there"
    assert found["stop_reason"] == "end_turn"
    assert found["usage"] == [True, 3]
    assert found["request_id"].startswith("req_")
    assert found["system"] == "Be brief."
    for name, same in found["streamed as whole"].items():
        assert same == [True] * 4, name
    assert found["content"]["words"] == [{"type": "text", "text": "Grüße, 世界! 👩‍👩‍👧‍👦"}]
    calls = found["content"]["tools"][1:]
    assert [(call["type"], call["input"]) for call in calls] == [("tool_use", {"town": "Zürich"}), ("tool_use", {})]
    assert found["content"]["thoughts"][0]["thinking"] == "hm, let me see"
    assert found["content"]["thoughts"][0]["signature"]
    assert found["content"]["nothing"] == []
    assert found["stops"] == {
        "words": ["end_turn", None],
        "tools": ["tool_use", None],
        "thoughts": ["end_turn", None],
        "picture": ["end_turn", None],
        "limit": ["max_tokens", None],
        "stop": ["stop_sequence", "two"],
        "nothing": ["end_turn", None],
    }
    assert found["after tools"] == "14 C 14 C"
    assert found["changed thought"][:3] == ["BadRequestError", 400, "invalid_request_error"]
    assert found["missing thought"][:3] == ["BadRequestError", 400, "invalid_request_error"]
    assert found["cache"] == [[True, False], [False, True]]
    assert found["cache adds up"] == 1
    assert found["counted"] is True
    assert found["models"] == found["models in pages"] == list(MODELS)
    assert found["one model"] == MODEL
    named = CLASSES[release]
    broken = {
        "invalid_request": ["BadRequestError", 400, "invalid_request_error"],
        "authentication": ["AuthenticationError", 401, "authentication_error"],
        "billing": [named["billing"], 402, "billing_error"],
        "permission": ["PermissionDeniedError", 403, "permission_error"],
        "not_found": ["NotFoundError", 404, "not_found_error"],
        "conflict": ["ConflictError", 409, "conflict_error"],
        "too_large": [named["too_large"], 413, "request_too_large"],
        "rate_limit": ["RateLimitError", 429, "rate_limit_error"],
        "api_error": ["InternalServerError", 500, "api_error"],
        "timeout": [named["timeout"], 504, "timeout_error"],
        "overloaded": ["OverloadedError", 529, "overloaded_error"],
        "html": ["InternalServerError", 502, None],
        "forbidden": ["PermissionDeniedError", 403, "forbidden"],
    }
    assert {name: error[:3] for name, error in found["errors"].items()} == broken
    assert all(error[3].startswith("req_") for error in found["errors"].values())
    assert found["wrong key"][:2] == ["AuthenticationError", 401]
    assert found["no such model"][:2] == ["NotFoundError", 404]
    for name in ("extra", "alone", "unanswered call"):
        assert found[name][:2] == ["BadRequestError", 400], name
    assert found["sampling"] == (None if version == OLD else [*found["extra"][:3], found["sampling"][3]])
    assert found["oddities"] == dict.fromkeys(found["oddities"], True)
    assert found["without names nothing is heard"] == 0
    assert found["error within"][:3] == ["APIStatusError", 200, "overloaded_error"]
    assert found["after pings"] is True
    assert found["reset"]
    assert found["cut"]
    assert found["retried"] == "at last"
    assert found["told not to come back"][:2] == ["RateLimitError", 429]
    assert found["side by side"] is True
    log = upstream.stats()["log"]
    assert {entry["auth"] for entry in log} == {auth}
    assert {entry["headers"]["anthropic-version"] for entry in log} == {version}
    attempts = [entry["attempt"] for entry in log if "at last" in json.dumps(entry["body"])]
    assert attempts == ["0", "1", "2"]
    assert sum("never again" in json.dumps(entry["body"]) for entry in log) == 1
    assert any(entry["path"] == "/prefix/v1/messages" for entry in log)


@pytest.mark.timeout(600)  # the first run installs it
def test_the_official_client_for_node_adds_up_to_the_same(upstream: Emulator) -> None:
    done = run_node(NODE_CLIENT, upstream.url, KEY, MODEL)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for name in ("words", "tools", "thoughts", "limit", "stop"):
        assert told[name]["added"] == told[name]["unary"], name
    assert told["words"]["unary"]["content"] == [{"type": "text", "text": "Grüße, 世界! 👩‍👩‍👧‍👦"}]
    assert [call["input"] for call in told["tools"]["unary"]["content"][1:]] == [{"town": "Zürich"}, {}]
    assert told["thoughts"]["unary"]["content"][0]["thinking"] == "hm, let me see"
    assert told["limit"]["unary"]["stop_reason"] == "max_tokens"
    assert (told["stop"]["unary"]["stop_reason"], told["stop"]["unary"]["stop_sequence"]) == ("stop_sequence", "two")
    assert told["request_id"].startswith("req_")
    assert len(told["odd"]) == 6 and all(told["odd"].values())
    assert told["errors"] == {
        "invalid_request": ["BadRequestError", 400, "invalid_request_error", True],
        "authentication": ["AuthenticationError", 401, "authentication_error", True],
        "permission": ["PermissionDeniedError", 403, "permission_error", True],
        "not_found": ["NotFoundError", 404, "not_found_error", True],
        "rate_limit": ["RateLimitError", 429, "rate_limit_error", True],
        "overloaded": ["OverloadedError", 529, "overloaded_error", True],
        "within": ["APIError", None, "overloaded_error", True],
    }
    assert (told["retried"], told["models"]) == ("at last", list(MODELS))
    log = upstream.stats()["log"]
    assert ({entry["auth"] for entry in log}, {entry["headers"]["anthropic-version"] for entry in log}) == (
        {"bearer"},
        {NEW},
    )
    assert [entry["attempt"] for entry in log if "at last" in json.dumps(entry["body"])] == ["0", "1", "2"]


# --- what a client of the vendor cannot be brought to do ----------------------------------------------------------


def test_headers_are_required_and_a_key_wins_over_a_bearer(upstream: Emulator) -> None:
    assert said(ask(upstream, None)) == "anthropic-version: header is required"
    assert "not a valid version" in said(ask(upstream, "2024-01-01"))
    assert ask(upstream, headers={"x-api-key": None}).status_code == 401
    assert ask(upstream, headers={"x-api-key": None, "authorization": f"Bearer {KEY}"}).status_code == 200
    assert ask(upstream, headers={"x-api-key": "wrong", "authorization": f"Bearer {KEY}"}).status_code == 401
    assert ask(upstream, headers={"authorization": "Bearer wrong"}).status_code == 200
    assert ask(upstream, headers={"x-api-key": "sk-ant-powerless"}).status_code == 403


def test_limits_are_told_and_kept(upstream: Emulator) -> None:
    headers = ask(upstream).headers
    assert headers["anthropic-ratelimit-requests-remaining"] == "499"
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    upstream.set(rate={"requests": 1, "seconds": 30})
    refused = ask(upstream)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert ask(upstream, headers={"x-api-key": "sk-ant-two"}).status_code == 200


USED = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
DONE = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
HI = {"role": "user", "content": "Hi"}
BITMAP = {"type": "base64", "media_type": "image/bmp", "data": "AA=="}
PAPER = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
THINK = {"type": "enabled", "budget_tokens": 1024}


def turns(*contents: Any) -> list[Any]:
    return [{"role": ("user", "assistant")[place % 2], "content": content} for place, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be"),
        ({"max_tokens": 70_000}, "max_tokens: 70000 > 64000"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"sauce": 1}, "sauce: Extra inputs are not permitted"),
        ({"messages": [{**HI, "name": "x"}]}, "messages.0.name: Extra inputs"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [HI, HI]}, "messages: roles must alternate"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message must use"),
        ({"messages": turns("")}, "text content blocks must be non-empty"),
        ({"messages": turns([])}, "messages.0.content"),
        ({"messages": turns("a", [{"type": "text", "text": " "}])}, "text content blocks must be non-empty"),
        ({"messages": turns("a", "b ")}, "cannot end with trailing whitespace"),
        ({"messages": turns("a", "b"), "model": "claude-demo-4-7"}, "does not support assistant message prefill"),
        ({"messages": turns("a", [USED], "b"), "tools": [TOOL]}, "`tool_use` ids were found without"),
        ({"messages": turns("a", [USED]), "tools": [TOOL]}, "`tool_use` ids were found without"),
        ({"messages": turns([DONE]), "tools": [TOOL]}, "unexpected `tool_use_id` found"),
        (
            {"messages": turns("a", [USED], [{"type": "text", "text": "b"}, DONE]), "tools": [TOOL]},
            "`tool_use` ids were found without",
        ),
        ({"messages": turns("a", [USED], [DONE], [USED], [DONE]), "tools": [TOOL]}, "ids must be unique"),
        ({"messages": turns("a", [USED], [DONE])}, "must define tools"),
        ({"messages": turns("a", [{**USED, "id": "a.b"}]), "tools": [TOOL]}, "tool_use.id"),
        ({"messages": turns("a", [{**USED, "input": "{}"}]), "tools": [TOOL]}, "tool_use.input"),
        ({"messages": turns([USED])}, "Input tag 'tool_use'"),
        ({"messages": turns([{"type": "image", "source": {"type": "url", "url": "http://x"}}])}, "Only HTTPS"),
        (
            {"messages": turns([{"type": "image", "source": BITMAP}])},
            "media_type",
        ),
        ({"stop_sequences": ["\n"]}, "must contain non-whitespace"),
        ({"metadata": {"user": "x"}}, "metadata.user: Extra inputs"),
        ({"temperature": 1.5}, "temperature: range"),
        ({"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ({"temperature": 0.5, "model": "claude-demo-4-7"}, "temperature: this model accepts only the default"),
        ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while providing tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "Tool 'g' not found"),
        ({"tools": [TOOL], "tool_choice": {"type": "none", "disable_parallel_tool_use": True}}, "Extra inputs"),
        ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
        ({"tools": [{"name": "a.b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type"),
        ({"tools": [{**TOOL, "strict": True}]}, "'additionalProperties' must be explicitly set to false"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than `thinking.budget_tokens`"),
        ({"thinking": {"type": "adaptive"}}, "not supported by this model"),
        ({"thinking": THINK, "model": "claude-3-5-demo-20241022"}, "does not support thinking"),
        ({"thinking": THINK, "temperature": 0.5}, "may only be set to 1 when thinking is enabled"),
        ({"thinking": THINK, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
        ({"thinking": THINK, "tools": [TOOL], "messages": turns("a", [USED], [DONE])}, "Expected `thinking`"),
        ({"output_config": {"effort": "high"}}, "does not support the effort"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "integer", "minimum": 1}}}},
            "property 'minimum' is not supported",
        ),
        ({"system": ""}, "system: text content blocks"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_refused(upstream: Emulator, fields: dict[str, Any], sentence: str) -> None:
    response = ask(upstream, **fields)
    assert response.status_code == 400
    assert sentence in said(response)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"temperature": 1}, "temperature: Extra inputs are not permitted"),
        ({"top_p": 1}, "top_p: Extra inputs are not permitted"),
        ({"top_k": 1}, "top_k: Extra inputs are not permitted"),
        (
            {"messages": turns("a", [PAPER], "b")},
            "a document is not permitted",
        ),
        ({"messages": turns([{"type": "text", "text": "a", "citations": [{}]}])}, "citations are not permitted"),
    ],
)  # fmt: skip
def test_the_newer_version_takes_less(upstream: Emulator, fields: dict[str, Any], sentence: str) -> None:
    assert ask(upstream, OLD, **fields).status_code == 200
    response = ask(upstream, NEW, **fields)
    assert response.status_code == 400
    assert sentence in said(response)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_of_the_model_has_its_details(upstream: Emulator, streamed: bool) -> None:
    response = ask(upstream, stream=streamed, messages=turns("!refuse:I will not."))
    told = (
        response.json()
        if not streamed
        else json.loads(response.text.split("event: message_delta\ndata: ")[1].split("\n")[0])["delta"]
    )
    assert told["stop_reason"] == "refusal"
    assert told["stop_details"]["explanation"] == "I will not."


def test_counting_takes_no_field_of_an_answer(upstream: Emulator) -> None:
    path = "/v1/messages/count_tokens"
    assert ask(upstream, path=path, max_tokens=None).json()["input_tokens"] > 0
    assert "max_tokens: Extra inputs" in said(ask(upstream, path=path))


def test_a_hang_up_is_recorded(upstream: Emulator) -> None:
    upstream.set(piece_delay=0.2)
    body = {"model": MODEL, "max_tokens": 90, "stream": True, "messages": turns("one two three four five six seven")}
    headers = {"x-api-key": KEY, "anthropic-version": OLD}
    with httpx.stream("POST", f"{upstream.url}/v1/messages", json=body, headers=headers, trust_env=False) as response:
        next(response.iter_bytes())
    (left,) = upstream.until(lambda stats: stats["hangups"])["hangups"]
    assert left["key"] == KEY
    assert left["sent"] > 0
