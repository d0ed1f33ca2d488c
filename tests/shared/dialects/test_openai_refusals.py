"""What refusals of OpenAI-like services mean: each row of the tables in `openai.md` and `huggingface.md`."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import clock, errors
from parley.dialects.openai import failure_of, failure_said
from parley.providers.rows import ROWS


def refused(status: int, said: Any, **headers: str) -> errors.Failure:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    failure = failure_of(status, httpx.Headers(named), body)
    assert failure.upstream_status == status
    return failure


def envelope(kind: str, code: Any, param: str | None = None, message: str = "No.") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        # OpenAI
        (400, envelope(INVALID, None, "messages"), errors.BadRequest),
        (400, envelope(INVALID, "context_length_exceeded", "messages"), errors.ContextTooLong),
        (400, envelope(INVALID, "unsupported_parameter", "max_tokens"), errors.BadRequest),
        (401, envelope(INVALID, "invalid_api_key"), errors.CredentialRejected),
        (403, envelope("request_forbidden", "unsupported_country_region_territory"), errors.CredentialRejected),
        (404, envelope(INVALID, "model_not_found"), errors.ModelNotFound),
        (429, envelope("requests", "rate_limit_exceeded"), errors.Throttled),
        (429, envelope("tokens", "rate_limit_exceeded"), errors.Throttled),
        (429, envelope("insufficient_quota", "insufficient_quota"), errors.QuotaExhausted),
        (429, envelope("insufficient_quota", "credit_balance_exhausted"), errors.QuotaExhausted),
        (429, envelope("x", "credit_balance_exhausted"), errors.QuotaExhausted),
        (500, envelope("server_error", None), errors.UpstreamBroken),
        (503, envelope("service_unavailable_error", "server_is_overloaded"), errors.UpstreamOverloaded),
        # Hugging Face's router
        (400, envelope(INVALID, "model_not_found", "model"), errors.ModelNotFound),
        (400, envelope(INVALID, "model_not_supported", "model"), errors.ModelNotFound),
        (400, {"error": "This model's maximum context length is 5 tokens"}, errors.ContextTooLong),
        (401, {"error": "Invalid username or password."}, errors.CredentialRejected),
        (402, {"error": "You have exceeded your monthly included credits"}, errors.QuotaExhausted),
        (403, {"error": "This authentication method does not have sufficient permissions"}, errors.CredentialRejected),
        (404, {"error": "Not Found"}, errors.ModelNotFound),
        (413, "too large", errors.TooLarge),
        (422, {"error": "Template error", "error_type": "template_error"}, errors.BadRequest),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, errors.BadRequest),
        (424, {"error": "CUDA", "error_type": "generation"}, errors.UpstreamBroken),
        (429, {"error": "Too many requests"}, errors.Throttled),
        (502, "<html><body>Bad gateway</body></html>", errors.UpstreamBroken),
        (503, {"error": "Model x is currently loading", "estimated_time": 20.0}, errors.UpstreamOverloaded),
        (529, "", errors.UpstreamOverloaded),
        # DeepSeek
        (
            402,
            envelope("unknown_error", "invalid_request_error", message="Insufficient Balance"),
            errors.QuotaExhausted,
        ),
        (422, envelope(INVALID, INVALID), errors.BadRequest),
        # Moonshot
        (429, envelope("exceeded_current_quota_error", None), errors.QuotaExhausted),
        (429, envelope("rate_limit_reached_error", None), errors.Throttled),
        (429, envelope("engine_overloaded_error", None), errors.UpstreamOverloaded),
        (400, envelope("content_filter", None), errors.BadRequest),
        (404, envelope("resource_not_found_error", None), errors.ModelNotFound),
        # OpenRouter
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, errors.QuotaExhausted),
        (403, {"error": {"code": 403, "message": "No.", "metadata": {"reasons": ["x"]}}}, errors.BadRequest),
        (403, {"error": {"code": 403, "message": "No."}}, errors.CredentialRejected),
        (404, {"error": {"code": 404, "message": "No endpoints found for x."}}, errors.ModelNotFound),
        (408, {"error": {"code": 408, "message": "Timed out"}}, errors.UpstreamStalled),
        # Qwen
        (400, envelope("Arrearage", "Arrearage"), errors.QuotaExhausted),
        (400, envelope("data_inspection_failed", "data_inspection_failed"), errors.BadRequest),
        (429, envelope("limit_requests", "limit_requests"), errors.Throttled),
        # Volcengine Ark
        (403, envelope("Forbidden", "AccountOverdueError"), errors.QuotaExhausted),
        (404, envelope("NotFound", "InvalidEndpointOrModel.NotFound"), errors.ModelNotFound),
        (400, envelope("BadRequest", "SensitiveContentDetected.Violence"), errors.BadRequest),
        (429, envelope("TooManyRequests", "RateLimitExceeded.EndpointTPMExceeded"), errors.Throttled),
        (429, envelope("TooManyRequests", "ServerOverloaded"), errors.UpstreamOverloaded),
        (429, envelope("TooManyRequests", "QuotaExceeded"), errors.QuotaExhausted),
        # SiliconFlow; its own codes are below
        (401, '"Invalid token"', errors.CredentialRejected),
        # relays
        (403, envelope("one_api_error", "insufficient_user_quota"), errors.QuotaExhausted),
        (503, envelope("one_api_error", "model_not_found"), errors.ModelNotFound),
        (401, envelope("one_api_error", ""), errors.CredentialRejected),
        # servers of one's own
        (404, envelope("api_error", None, message='model "x" not found, try pulling it first'), errors.ModelNotFound),
        (
            400,
            {"object": "error", "message": "maximum context length", "type": "BadRequestError", "code": 400},
            errors.ContextTooLong,
        ),
        (400, envelope("exceed_context_size_error", 400), errors.ContextTooLong),
        (500, envelope("exceed_context_size_error", 500), errors.ContextTooLong),
        (503, envelope("unavailable_error", 503, message="Loading model"), errors.UpstreamOverloaded),
        # h2oGPTe
        (401, {"code": 401, "message": "No."}, errors.CredentialRejected),
        (401, {"code": 401, "message": "?", "error_type": "authorization_unavailable"}, errors.UpstreamOverloaded),
        (403, {"code": 403, "message": "No.", "error_type": "model_access"}, errors.ModelNotFound),
        # whoever stands in between
        (302, "", errors.UpstreamBroken),
        (408, "", errors.UpstreamStalled),
        (409, "", errors.UpstreamBroken),
        (504, "<html></html>", errors.UpstreamStalled),
        (522, "error code: 522", errors.UpstreamBroken),
        (524, "<html></html>", errors.UpstreamStalled),
        (403, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
        (403, "<!doctype html><title>Forbidden</title>", errors.CredentialRejected),
    ],
)
def test_each_refusal_has_its_meaning(status: int, said: Any, kind: type[errors.Failure]):
    assert type(refused(status, said)) is kind


def test_what_a_caller_did_wrong_is_said_in_the_upstreams_words_with_param_and_code():
    failure = refused(400, envelope(INVALID, "unsupported_value", "temperature", "Only 1."))
    assert (failure.message, failure.param, failure.code) == ("Only 1.", "temperature", "unsupported_value")


@pytest.mark.parametrize(
    "said",
    [
        {"error": "Wrong."},
        {"error": {"message": "Wrong."}},
        {"message": "Wrong."},
        {"detail": "Wrong."},
        {"detail": [{"msg": "Wrong."}]},
        {"error": {"detail": "Wrong."}},
        {"detail": ["Wrong."]},
        "Wrong.",
    ],
)
def test_the_sentence_is_found_wherever_it_stands(said: Any):
    assert refused(400, said).message == "Wrong."


@pytest.mark.parametrize("said", ["", "{", "null", "[]", "{}", '{"error":null}', '{"error":{}}', '{"error":[1]}', "1"])
def test_a_refusal_without_a_sentence_gets_one(said: str):
    for status in (400, 404, 413, 500):
        assert refused(status, said).message


def test_what_concerns_the_operator_is_never_said_in_the_upstreams_words():
    message = "Incorrect API key provided: sk-abc***xyz. Account of jane@example.com."
    for status in (401, 402, 403, 429, 500, 503):
        assert "jane" not in refused(status, envelope("x", "y", message=message)).message


def test_a_long_text_is_cut():
    assert len(refused(400, {"error": "x" * 100_000}).message) == 500
    assert len(refused(400, envelope(INVALID, "c" * 5000, "p" * 5000)).param or "") == 100


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "7", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "7", "retry_after_ms": "soon"}, 7),
        ({"retry_after": "7", "retry_after_ms": "-3"}, 7),
        ({"retry_after_ms": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"x_ratelimit_reset_requests": "6m0s"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 402, 503])
def test_when_to_come_back(status: int, headers: dict[str, str], seconds: float | None):
    assert refused(status, {"error": "x"}, **headers).retry_after == seconds


def test_when_to_come_back_as_a_date():
    failure = refused(429, "", retry_after=formatdate(clock.now() + 30, usegmt=True))
    assert failure.retry_after is not None
    assert 25 < failure.retry_after <= 30


def test_a_loading_model_says_when_it_will_be_there():
    assert refused(503, {"error": "loading", "estimated_time": 19.2}).retry_after == 20
    for silly in (-1, 1e300, "soon", None, True):
        assert refused(503, {"error": "loading", "estimated_time": silly}, retry_after="3").retry_after in (3, 1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (envelope("server_error", None), errors.UpstreamBroken),
        (envelope("requests", "rate_limit_exceeded"), errors.Throttled),
        (envelope("insufficient_quota", "insufficient_quota"), errors.QuotaExhausted),
        (envelope(INVALID, "context_length_exceeded"), errors.ContextTooLong),
        (envelope(INVALID, "invalid_api_key"), errors.CredentialRejected),
        (envelope(INVALID, "model_not_found"), errors.ModelNotFound),
        (envelope(INVALID, None), errors.BadRequest),
        (envelope("overloaded_error", None), errors.UpstreamOverloaded),
        (envelope("BadRequestError", 400), errors.BadRequest),
        (envelope("x", "429"), errors.Throttled),
        ({"error": "x", "error_type": "validation"}, errors.BadRequest),
        ({"error": "x", "error_type": "overloaded"}, errors.UpstreamOverloaded),
        ({"error": "x", "error_type": "incomplete_generation"}, errors.UpstreamBroken),
        ({"error": "x"}, errors.UpstreamBroken),
        ({"error": True}, errors.UpstreamBroken),
        ({"object": "error", "message": "x", "type": "NotFoundError", "code": 404}, errors.ModelNotFound),
    ],
)
def test_an_error_without_a_status_is_judged_by_what_it_says(said: Any, kind: type[errors.Failure]):
    assert type(failure_said(said)) is kind


_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "param", "detail", "estimated_time", "error_type", "msg"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)


@given(_anything, st.integers(201, 599))
def test_whatever_is_said_is_some_failure(said: Any, status: int):
    body = json.dumps(said).encode()
    assert isinstance(failure_of(status, httpx.Headers(), body), errors.Failure)
    if isinstance(said, dict):
        assert isinstance(failure_said(said), errors.Failure)


@given(st.binary(max_size=200), st.integers(201, 599))
def test_whatever_bytes_come_are_some_failure(body: bytes, status: int):
    assert isinstance(failure_of(status, httpx.Headers({"content-type": "text/html"}), body), errors.Failure)
    assert isinstance(failure_of(status, httpx.Headers(), body), errors.Failure)


def test_a_code_that_only_repeats_the_status_is_no_code():
    failure = refused(400, {"code": 20015, "message": "Field 'x' is wrong", "data": None})
    assert (failure.code, failure.message) == (None, "Field 'x' is wrong")
    assert refused(400, envelope("BadRequestError", 400)).code is None


def test_words_that_a_service_does_not_answer_have_one_code():
    for said in (envelope("content_filter", None), envelope("x", "SensitiveContentDetected")):
        failure = refused(400, said)
        assert (failure.code, failure.param, failure.blames) == ("content_filter", "messages", "caller")


@pytest.mark.parametrize(
    ("row", "status", "said", "kind"),
    [
        ("siliconflow", 400, {"code": 20012, "message": "Model does not exist."}, errors.ModelNotFound),
        ("siliconflow", 403, {"code": 30001, "message": "Your balance is insufficient"}, errors.QuotaExhausted),
        ("siliconflow", 403, {"code": 30003, "message": "Model disabled."}, errors.ModelNotFound),
        ("siliconflow", 429, {"message": "TPM limit reached.", "data": None}, errors.Throttled),
        ("siliconflow", 503, {"code": 50505, "message": "Overloaded."}, errors.UpstreamOverloaded),
        ("qwen", 429, envelope("insufficient_quota", "insufficient_quota"), errors.Throttled),
        ("openai", 429, envelope("insufficient_quota", "insufficient_quota"), errors.QuotaExhausted),
    ],
)
def test_a_code_means_what_the_service_means_by_it(row: str, status: int, said: Any, kind: type[errors.Failure]):
    failure = failure_of(status, httpx.Headers(), json.dumps(said).encode(), ROWS[row].verdicts)
    assert type(failure) is kind
