"""Where Azure OpenAI is asked, what each api-version is told, and what its refusals mean."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from parley import errors
from parley.chat.demands import refuse_unmet
from parley.chat.prompt import Prompt
from parley.dialects.azure import endpoint, refusal, surface
from parley.dialects.openai import encode

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
PLACE = "https://demo.openai.azure.com"


def prompt(messages: list[dict[str, Any]] = HELLO, model: str = "dep", **fields: Any) -> Prompt:
    raw = {"model": "asked", "messages": messages, **fields}
    made = msgspec.convert(raw, Prompt)
    made.raw, made.model = raw, model
    return made


def asked(version: str, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(prompt(**fields), surface(version).rules))
    return body


# --- where --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pasted",
    [
        PLACE,
        f"{PLACE}/",
        f" {PLACE}/openai\n",
        f"{PLACE}/openai/",
        f"{PLACE}/openai/v1/",
        f"{PLACE}/openai/v1/chat/completions",
        f"{PLACE}/openai/models?api-version=2024-10-21",
        f"{PLACE}/openai/deployments/my-dep",
        f"{PLACE}/openai/deployments/my-dep/chat/completions?api-version=2024-10-21",
    ],
)
def test_whatever_is_pasted_is_cut_back_to_the_endpoint(pasted: str):
    assert endpoint(pasted) == PLACE


def test_a_private_gateways_own_path_stays():
    assert endpoint("https://apim.example.com/team-a/openai/deployments/x") == "https://apim.example.com/team-a"
    assert endpoint("https://apim.example.com/openai-team/") == "https://apim.example.com/openai-team"


def test_a_deployment_is_one_segment_of_a_dated_path():
    dated = surface("2024-10-21")
    assert dated.chat(PLACE, "my dep/ü") == (
        f"{PLACE}/openai/deployments/my%20dep%2F%C3%BC/chat/completions?api-version=2024-10-21"
    )
    assert dated.models(PLACE) == f"{PLACE}/openai/models?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("version", "query"),
    [("v1", ""), ("", ""), ("preview", "?api-version=preview"), (" latest\n", "?api-version=latest")],
)
def test_the_newer_surface_names_the_deployment_in_the_body(version: str, query: str):
    assert surface(version).v1
    assert surface(version).chat(PLACE, "my dep") == f"{PLACE}/openai/v1/chat/completions{query}"
    assert surface(version).models(PLACE) == f"{PLACE}/openai/v1/models{query}"
    assert asked(version)["model"] == "dep"


@pytest.mark.parametrize("version", ["2024", "2024-10-21-beta", "v2", "2024-10-21&x=1", "yesterday"])
def test_what_is_no_api_version_is_refused(version: str):
    with pytest.raises(ValueError, match="an api-version is a date"):
        surface(version)


# --- what each version is told -------------------------------------------------------------------------------------

VERSIONS = ["2022-12-01", "2023-05-15", "2023-12-01-preview", "2024-02-01", "2024-06-01", "2024-08-01-preview"]
LATER = ["2024-10-21", "2024-12-01-preview", "2025-04-01-preview", "v1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_version_is_not_told_what_it_would_refuse(version: str):
    body = asked(
        version,
        max_completion_tokens=5,
        tools=[TOOL],
        parallel_tool_calls=False,
        metadata={"a": "b"},
        store=True,
        service_tier="default",
        reasoning_effort="low",
        user="u",
        temperature=0.5,
        messages=[{"role": "developer", "content": "Be brief."}, *HELLO],
        data_sources=[{"type": "azure_search", "parameters": {}}],
    )
    assert body.keys() - {"tools"} == {
        *("model", "messages", "stream", "max_tokens", "user", "temperature", "data_sources"),
    }
    assert body["max_tokens"] == 5
    assert body["messages"][0]["role"] == "system"


@pytest.mark.parametrize("version", LATER)
def test_a_later_version_is_told_everything_it_knows(version: str):
    body = asked(version, model="o3", max_tokens=5, metadata={"a": "b"}, store=True, stream=True, tools=[TOOL])
    assert body["stream_options"] == {"include_usage": True}
    assert body["max_completion_tokens"] == 5
    assert (body["metadata"], body["store"]) == ({"a": "b"}, True)


@pytest.mark.parametrize(
    ("version", "role", "effort"),
    [("2024-10-21", "system", None), ("2024-12-01-preview", "developer", "low"), ("v1", "developer", "low")],
)
def test_developers_and_effort_are_known_from_a_later_preview_on(version: str, role: str, effort: str | None):
    body = asked(version, messages=[{"role": "developer", "content": "a"}, *HELLO], reasoning_effort="low")
    assert (body["messages"][0]["role"], body.get("reasoning_effort")) == (role, effort)


@pytest.mark.parametrize(
    ("fields", "param", "before", "since"),
    [
        ({"response_format": SCHEMA}, "response_format", "2024-06-01", "2024-08-01-preview"),
        ({"response_format": {"type": "json_object"}}, "response_format", "2023-05-15", "2023-12-01-preview"),
        ({"tools": [TOOL]}, "tools[0]", "2023-05-15", "2023-12-01-preview"),
        ({"modalities": ["audio"]}, "modalities", "2024-10-21", "2025-01-01-preview"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]", "2025-04-01-preview", "v1"),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(fields: dict[str, Any], param: str, before: str, since: str):
    with pytest.raises(errors.UnsupportedParameter) as refused:
        refuse_unmet(prompt(**fields), surface(before).features, "it")
    assert refused.value.param == param
    refuse_unmet(prompt(**fields), surface(since).features, "it")


@pytest.mark.parametrize("version", [*VERSIONS, *LATER])
def test_there_is_no_web_search(version: str):
    with pytest.raises(errors.UnsupportedParameter):
        refuse_unmet(prompt(web_search_options={}), surface(version).features, "it")


# --- refusals -----------------------------------------------------------------------------------------------------


def refused(status: int, said: Any, **headers: str) -> errors.Failure:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    failure = refusal(status, httpx.Headers(named), body)
    assert failure.upstream_status == status
    return failure


def error(code: str | None, message: str = "No.", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, error(None, "Unrecognized request argument supplied: x", type="x", param=None), errors.BadRequest),
        (400, error("context_length_exceeded", param="messages"), errors.ContextTooLong),
        (400, error("OperationNotSupported"), errors.BadRequest),
        (400, error("BadRequest", "API version not supported"), errors.UpstreamBroken),
        (404, error("BadRequest", "API version not supported"), errors.UpstreamBroken),
        (401, error("401", "Access denied due to invalid subscription key"), errors.CredentialRejected),
        (401, {"statusCode": 401, "message": "Access denied"}, errors.CredentialRejected),
        (401, error("PermissionDenied"), errors.CredentialRejected),
        (403, error("403"), errors.CredentialRejected),
        (403, error("AccessDenied", "Access denied due to Virtual Network/Firewall rules."), errors.CredentialRejected),
        (404, error("DeploymentNotFound"), errors.ModelNotFound),
        (404, error("404", "Resource not found"), errors.UpstreamBroken),
        (408, error("Timeout", "The operation was timeout."), errors.UpstreamStalled),
        (429, error("429"), errors.Throttled),
        (429, error("RateLimitReached"), errors.Throttled),
        (429, error("NoCapacity"), errors.Throttled),
        (429, error("EngineOverloaded"), errors.Throttled),
        (429, error("insufficient_quota"), errors.QuotaExhausted),
        (500, error("InternalServerError"), errors.UpstreamBroken),
        (500, {"error": {"message": "x", "type": "server_error", "param": None, "code": None}}, errors.UpstreamBroken),
        (503, error("ServiceUnavailable"), errors.UpstreamOverloaded),
        (502, "<html>Bad gateway</html>", errors.UpstreamBroken),
        (404, "not json", errors.ModelNotFound),
        (400, "[]", errors.BadRequest),
    ],
)
def test_each_refusal_has_its_meaning(status: int, said: Any, kind: type[errors.Failure]):
    assert type(refused(status, said)) is kind


def test_filtered_words_are_the_callers_matter_and_say_which_filter_struck():
    failure = refused(
        400,
        error(
            "content_filter",
            "The response was filtered due to the prompt triggering the content management policy.",
            type=None,
            param="prompt",
            status=400,
            innererror={
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    "hate": {"filtered": True, "severity": "high", "note": "api-key"},
                    "jailbreak": {"filtered": False, "detected": False},
                    "violence": {"filtered": False, "severity": "api-key"},
                    "api-key": {"filtered": True},
                    "custom_blocklists": [],
                },
            },
        ),
    )
    assert (type(failure), failure.code, failure.param) == (errors.BadRequest, "content_filter", "prompt")
    assert (failure.blames, failure.try_next) == ("caller", False)
    assert failure.details == {
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                "hate": {"filtered": True, "severity": "high"},
                "violence": {"filtered": False},
                "jailbreak": {"filtered": False, "detected": False},
            },
        }
    }
    assert refused(400, error("content_filter", innererror="x")).code == "content_filter"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after": "7"}, 7),
        ({}, 12),
        ({"retry_after": "never"}, 12),
    ],
)
def test_when_to_come_back_is_said_in_headers_or_in_the_sentence(headers: dict[str, str], wait: float):
    failure = refused(429, error("429", "... pricing tier. Please retry after 12 seconds."), **headers)
    assert failure.retry_after == wait
    assert refused(429, error("429", "Too many.")).retry_after is None
