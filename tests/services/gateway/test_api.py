"""The addresses beside the chat: models, health, and an envelope for everything that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from gateway.accounting import Tally
from parley.chat.events import Events, Stop
from parley.chat.prompt import Prompt
from tests.schema import check_error, check_model, check_models
from tests.services.gateway.serving import Front


async def nothing(prompt: Prompt, tally: Tally) -> Events:
    yield Stop("stop")


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with Front(nothing) as front:
        yield front


def call(front: Front, method: str, path: str, **headers: str) -> httpx.Response:
    return httpx.request(method, f"{front.url}{path}", headers=headers)


# --- models -------------------------------------------------------------------------------------------------------


def test_models_are_listed_once_and_by_prefix_where_ambiguous(front: Front) -> None:
    body = call(front, "GET", "/v1/models").json()
    check_models(body)
    assert [model["id"] for model in body["data"]] == [
        "plain", "one/plain", "two/plain", "org/model:fast", "ümlaut"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name", "owner"),
    [
        ("plain", "plain", "one"),
        ("two/plain", "two/plain", "two"),
        ("two%2Fplain", "two/plain", "two"),
        ("org%2Fmodel:fast", "org/model:fast", "one"),
        ("org%2Fmodel%3Afast", "org/model:fast", "one"),
        ("org/model:fast", "org/model:fast", "one"),
        ("%C3%BCmlaut", "ümlaut", "one"),
    ],
)
def test_one_model_is_found_by_its_path_escaped_or_not(front: Front, path: str, name: str, owner: str) -> None:
    body = call(front, "GET", f"/v1/models/{path}").json()
    check_model(body)
    assert (body["id"], body["owned_by"]) == (name, owner)


@pytest.mark.parametrize("path", ["none", "org%252Fmodel:fast", "%FF", "a/b/c"])
def test_an_unknown_model_is_not_found(front: Front, path: str) -> None:
    response = call(front, "GET", f"/v1/models/{path}")
    assert response.status_code == 404
    check_error(response.json())
    assert response.json()["error"]["code"] == "model_not_found"


def test_the_official_client_finds_models(front: Front) -> None:
    client = openai.OpenAI(base_url=f"{front.url}/v1", api_key="any", max_retries=0)
    assert client.models.retrieve("org/model:fast").id == "org/model:fast"
    assert "plain" in [model.id for model in client.models.list()]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none")


# --- health and signposts -----------------------------------------------------------------------------------------


def test_health_says_that_anybody_may_enter(front: Front) -> None:
    body = call(front, "GET", "/health").json()
    assert (body["status"], body["authentication"]) == ("ok", "off")
    assert "API_MASTER_KEY" in body["warning"]
    assert call(front, "GET", "/health/live").json() == {"status": "ok"}
    assert call(front, "GET", "/health/ready").json()["degraded"] == []


def test_a_degraded_gateway_is_ready_and_says_why() -> None:
    with Front(nothing, key="a-real-key-1") as front:
        front.status["redis"]["status"] = "gone"
        ready = call(front, "GET", "/health/ready")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert [trouble["what"] for trouble in ready.json()["degraded"]] == ["redis"]
        whole = call(front, "GET", "/health").json()
        assert whole["authentication"] == "key"
        assert "warning" not in whole


def test_the_index_and_the_reference_say_where_things_are(front: Front) -> None:
    assert call(front, "GET", "/").json()["chat"] == "POST /v1/chat/completions"
    assert call(front, "GET", "/docs").status_code == 200
    schema = call(front, "GET", "/openapi.json").json()
    post = schema["paths"]["/v1/chat/completions"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    described = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"messages", "model", "tools", "stream"} <= set(described["properties"])
    assert "" not in described["properties"]
    assert "/v1/models/{model}" in schema["paths"]
    for path, operations in schema["paths"].items():
        [operation] = operations.values()
        assert ("security" in operation) == ("401" in operation["responses"]) == path.startswith("/v1/"), path
        assert not {"422", "500", "default"} & operation["responses"].keys(), path


# --- what is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("POST", "/v1/embeddings", 404, None),
        ("POST", "/v1/completions", 404, None),
        ("POST", "/v1/responses", 404, None),
        ("GET", "/v1/models/", 404, None),
        ("POST", "/v1/chat/completions/", 404, None),
        ("GET", "/v1", 404, None),
        ("GET", "/v1/chat/completions", 405, "POST, OPTIONS"),
        ("DELETE", "/v1/chat/completions", 405, "POST, OPTIONS"),
        ("HEAD", "/v1/chat/completions", 405, "POST, OPTIONS"),
        ("POST", "/v1/models", 405, "GET, OPTIONS"),
        ("PUT", "/health", 405, "GET, OPTIONS"),
    ],
)
def test_an_unknown_address_is_told_in_the_envelope(
    front: Front, method: str, path: str, status: int, allow: str | None
) -> None:
    response = call(front, method, path)
    assert response.status_code == status
    assert response.headers["x-request-id"]
    assert response.headers.get("allow") == allow
    if method != "HEAD":
        check_error(response.json())
        assert response.json()["error"]["type"] == "invalid_request_error"
        assert response.json()["error"]["code"] in {"unknown_url", "method_not_allowed", "model_not_found"}


def test_what_is_to_come_is_said_to_be(front: Front) -> None:
    assert "/v1/chat/completions" in call(front, "POST", "/v1/embeddings").json()["error"]["message"]


def test_head_is_get_without_its_body(front: Front) -> None:
    head, get = call(front, "HEAD", "/health"), call(front, "GET", "/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_options_says_what_is_allowed(front: Front) -> None:
    response = call(front, "OPTIONS", "/v1/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (204, "POST, OPTIONS")


# --- the entrance -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abcd1234", "A.b_c-12", "x" * 128])
def test_a_request_id_is_kept(front: Front, given: str) -> None:
    for path in ("/health", "/nowhere", "/v1/models/none"):
        assert call(front, "GET", path, **{"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["short", "x" * 129, "has spaces in it", 'quo"ted-identifier', "ümlautümlaut"])
def test_a_request_id_that_could_harm_a_log_is_replaced(front: Front, given: str) -> None:
    response = httpx.get(f"{front.url}/health", headers={"x-request-id": given.encode("latin-1")})
    assert len(response.headers["x-request-id"]) == 32


def test_a_preflight_lets_the_official_browser_client_in(front: Front) -> None:
    wanted = "authorization,content-type,x-stainless-arch,x-stainless-retry-count"
    response = call(
        front, "OPTIONS", "/v1/chat/completions",
        **{"origin": "https://page.example", "access-control-request-method": "POST",
           "access-control-request-headers": wanted},
    )  # fmt: skip
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == wanted


def test_a_preflight_does_not_echo_what_is_no_list_of_names(front: Front) -> None:
    response = call(
        front, "OPTIONS", "/v1/models",
        **{"origin": "https://page.example", "access-control-request-method": "GET",
           "access-control-request-headers": "a; b=c"},
    )  # fmt: skip
    assert response.headers["access-control-allow-headers"] == "*"


def test_errors_carry_cors_headers_too(front: Front) -> None:
    response = call(front, "GET", "/nowhere", origin="https://page.example")
    assert response.headers["access-control-allow-origin"] == "*"
    assert "x-request-id" in response.headers["access-control-expose-headers"]


def test_only_named_origins_are_let_in() -> None:
    with Front(nothing, origins=("https://good.example",)) as front:
        good = call(front, "GET", "/health", origin="https://good.example")
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        assert good.headers["vary"] == "origin"
        for headers in ({"origin": "https://bad.example"}, {}):
            assert "access-control-allow-origin" not in call(front, "GET", "/health", **headers).headers
        refused = call(
            front, "OPTIONS", "/health", **{"origin": "https://bad.example", "access-control-request-method": "GET"}
        )
        assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-methods" not in refused.headers


def test_a_page_that_breaks_is_a_500_in_the_envelope(caplog: pytest.LogCaptureFixture) -> None:
    with Front(nothing) as front:
        broken: Any = None
        front.status = broken
        response = call(front, "GET", "/health")
        assert response.status_code == 500
        check_error(response.json())
        assert response.headers["x-request-id"] in response.json()["error"]["message"]
        assert front.records()[0]["outcome"] == "failed"
