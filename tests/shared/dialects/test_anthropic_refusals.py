"""What refusals of the Messages API mean: each row of the tables in `anthropic.md` section 3."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.dialects.anthropic import failure_of
from parley.dialects.anthropic.refusals import failure_said


def refused(status: int, said: Any, **headers: str) -> errors.Failure:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    failure = failure_of(status, httpx.Headers(named), body)
    assert failure.upstream_status == status
    return failure


def envelope(kind: str, message: str = "No.", **details: Any) -> dict[str, Any]:
    error = {"type": kind, "message": message, "details": details or None}
    return {"type": "error", "error": error, "request_id": "req_01"}


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, envelope(INVALID), errors.BadRequest),
        (401, envelope("authentication_error", "invalid x-api-key"), errors.CredentialRejected),
        (402, envelope("billing_error"), errors.QuotaExhausted),
        (403, envelope("permission_error"), errors.CredentialRejected),
        (403, {"error": {"type": "forbidden", "message": "Request not allowed"}}, errors.CredentialRejected),
        (404, envelope("not_found_error", "model: claude-x"), errors.ModelNotFound),
        (404, "<html><body>nginx</body></html>", errors.UpstreamBroken),
        (409, envelope("conflict_error"), errors.UpstreamBroken),
        (413, envelope("request_too_large"), errors.TooLarge),
        (413, "<html><body>Request Entity Too Large</body></html>", errors.TooLarge),
        (500, envelope("api_error"), errors.UpstreamBroken),
        (502, "<html><body>Bad gateway</body></html>", errors.UpstreamBroken),
        (503, "", errors.UpstreamOverloaded),
        (504, envelope("timeout_error"), errors.FirstTokenTimeout),
        (524, "<html></html>", errors.FirstTokenTimeout),
        (529, envelope("overloaded_error", "Overloaded"), errors.UpstreamOverloaded),
        # money is spent
        (429, envelope("rate_limit_error", "You have reached your monthly tier."), errors.QuotaExhausted),
        (400, envelope(INVALID, "Your credit balance is too low to access the Anthropic API."), errors.QuotaExhausted),
        (400, envelope(INVALID, error_code="enforced_spend_limit_reached"), errors.QuotaExhausted),
        (400, envelope(INVALID, "You have reached your specified API usage limits."), errors.QuotaExhausted),
        # who stands in between
        (302, "", errors.UpstreamBroken),
        (429, "slow down", errors.Throttled),
        (403, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
    ],
)
def test_each_refusal_has_its_meaning(status: int, said: Any, kind: type[errors.Failure]):
    failure = refused(status, said)
    assert type(failure) is kind
    assert failure.status != 401, "an operator's bad key is never a client's"


def test_a_limit_with_a_time_to_come_back_is_one_of_rate():
    said = envelope("rate_limit_error", "This request would exceed your rate limit.")
    assert type(refused(429, said, retry_after="12")) is errors.Throttled
    assert refused(429, said, retry_after="12").retry_after == 12
    assert refused(429, said, retry_after="12", retry_after_ms="6500").retry_after == 6.5
    assert refused(529, envelope("overloaded_error"), retry_after="3").retry_after == 3


def test_the_reset_of_a_used_up_limit_is_a_time_to_come_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("parley.dialects.anthropic.refusals.now", lambda: 1767225600.0)  # 2026-01-01T00:00:00Z
    failure = refused(
        429,
        envelope("rate_limit_error"),
        anthropic_ratelimit_requests_remaining="4",
        anthropic_ratelimit_requests_reset="2026-01-01T01:00:00Z",
        anthropic_ratelimit_tokens_remaining="0",
        anthropic_ratelimit_tokens_reset="2026-01-01T00:00:10Z",
        anthropic_ratelimit_input_tokens_remaining="0",
        anthropic_ratelimit_input_tokens_reset="2026-01-01T01:00:30+01:00",
    )
    assert isinstance(failure, errors.Throttled)
    assert failure.retry_after == 30, "when the last of the used-up ones is full again"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded", "messages"),
        ("input length and `max_tokens` exceed context limit: 9 + 9 > 10", "context_length_exceeded", "messages"),
        ("max_tokens: 99999 > 8192, which is the maximum allowed number", "invalid_value", "max_tokens"),
        ("max_tokens: Field required", "missing_required_parameter", "max_tokens"),
        ("messages.2: `tool_use` ids were found without `tool_result` blocks", "invalid_value", "messages"),
        ("messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks", "invalid_value", "messages"),
        ("messages: text content blocks must be non-empty", "invalid_value", "messages"),
        ("messages: at least one message is required", "invalid_value", "messages"),
        ("temperature: Extra inputs are not permitted", "unknown_parameter", "temperature"),
        ("messages.0.content.0.text.sauce: Extra inputs are not permitted", "unknown_parameter", "messages"),
        ("`temperature` and `top_p` cannot both be specified for this model.", "invalid_value", "temperature"),
        ("stop_sequences: each stop sequence must contain non-whitespace", "invalid_value", "stop"),
        ("thinking.enabled.budget_tokens: Input should be greater than 1024", "invalid_value", "reasoning_effort"),
        ("output_config.format.schema: no", "invalid_value", "response_format"),
        ("tools.0.custom.input_schema.type: Field required", "missing_required_parameter", "tools"),
        ("Output blocked by content filtering policy", "content_filter", None),
        ("Something is wrong with it.", None, None),
    ],
)
def test_what_a_caller_did_wrong_is_found_in_the_sentence(message: str, code: str | None, param: str | None):
    failure = refused(400, envelope(INVALID, message))
    assert (failure.message, failure.code, failure.param) == (message, code, param)
    assert failure.blames == "caller"


def test_what_concerns_the_operator_is_never_said_in_the_upstreams_words():
    for status in (401, 402, 403, 429, 500, 529):
        assert "jane" not in refused(status, envelope("x", "Account of jane@example.com is closed.")).message


def test_a_long_text_is_cut():
    assert len(refused(400, envelope(INVALID, "x" * 100_000)).message) == 500


def test_within_a_stream_the_type_is_the_status():
    assert type(failure_said(envelope("rate_limit_error"))) is errors.Throttled
    assert failure_said(envelope("rate_limit_error")).retry_after is None
    assert type(failure_said(envelope("timeout_error"))) is errors.UpstreamStalled
    assert type(failure_said({"error": "out of memory"})) is errors.UpstreamBroken


@given(
    st.sampled_from([400, 401, 402, 403, 404, 409, 413, 418, 429, 500, 503, 529, 599]),
    st.recursive(
        st.one_of(st.none(), st.text(max_size=8), st.integers()),
        lambda inner: st.dictionaries(st.sampled_from(["type", "error", "message", "details", "error_code"]), inner),
        max_leaves=6,
    ),
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ]
        ),
        st.one_of(st.just("0"), st.sampled_from(["nan", "-1", "inf", "x", "2026-01-01T00:00:00", "1e400"])),
    ),
)
def test_whatever_is_said_is_some_failure_with_a_sensible_wait(status: int, said: Any, headers: dict[str, str]):
    failure = failure_of(status, httpx.Headers(headers), json.dumps(said).encode())
    assert failure.message
    assert failure.retry_after is None or 0 <= failure.retry_after < float("inf")
    assert failure_said(said).message
