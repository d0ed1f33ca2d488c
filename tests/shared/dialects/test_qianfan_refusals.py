"""What refusals of Baidu Qianfan mean: each row of the tables in `upstreams/baidu-qianfan.md` A3 and B3."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.dialects.qianfan import legacy, refusals
from parley.dialects.qianfan.legacy.refusals import failure_in as legacy_failure_in
from tests.upstreams.qianfan.errors import CODES, NAMED

NONE = httpx.Headers()

# --- the legacy API -----------------------------------------------------------------------------------------------

MEANT: dict[int, tuple[type[errors.Failure], int, str | None]] = {
    # code: class, status and code for the caller
    **dict.fromkeys((1, 2, 336100, 336200, 336201), (errors.UpstreamOverloaded, 503, "server_is_overloaded")),
    **dict.fromkeys((3, 6, 336004, 336005), (errors.ModelNotFound, 404, "model_not_found")),
    **dict.fromkeys((4, 18, 336501), (errors.Throttled, 429, "rate_limit_exceeded")),
    336502: (errors.TokensThrottled, 429, "rate_limit_exceeded"),
    **dict.fromkeys((13, 14), (errors.CredentialRejected, 502, "upstream_authentication_error")),
    **dict.fromkeys((15, 336000), (errors.UpstreamBroken, 502, "upstream_error")),
    **dict.fromkeys((17, 19, 336503, 336504), (errors.QuotaExhausted, 429, "insufficient_quota")),
    **dict.fromkeys((100, 110, 111), (errors.CredentialExpired, 503, "upstream_credential_expired")),
    **dict.fromkeys((336001, 336002, 336003), (errors.BadRequest, 400, "invalid_value")),
    **dict.fromkeys((336101, 336102, 336104, 336105), (errors.BadRequest, 400, "invalid_value")),
    **dict.fromkeys((336006, 336007, 336103), (errors.ContextTooLong, 400, "context_length_exceeded")),
}


def test_every_code_of_the_stand_in_has_a_meaning() -> None:
    assert sorted(MEANT) == sorted(CODES)


@pytest.mark.parametrize("code", MEANT)
def test_each_code_of_the_legacy_api(code: int) -> None:
    kind, status, told = MEANT[code]
    for said in ({"error_code": code, "error_msg": CODES[code], "id": "as-1"}, {"error_code": str(code)}):
        failure = legacy_failure_in(said)
        assert failure is not None and type(failure) is kind
        assert (failure.status, failure.code) == (status, told)
        failure = legacy.failure_of(400, NONE, json.dumps(said).encode())
        assert type(failure) is kind and failure.upstream_status == 400


def test_what_the_caller_can_mend_is_told_in_the_services_words_and_nothing_else_is() -> None:
    for code in CODES:
        failure = legacy_failure_in({"error_code": code, "error_msg": "CANARY"})
        assert failure is not None
        assert ("CANARY" in failure.message) == (failure.blames == "caller"), code


@pytest.mark.parametrize("words", ["the content is sensitive", "输入内容包含敏感词"])
def test_sensitive_words_are_not_merely_wrong(words: str) -> None:
    failure = legacy_failure_in({"error_code": 336003, "error_msg": words})
    assert failure is not None
    assert (failure.code, failure.param) == ("content_filter", "messages")


def test_a_limit_says_when_to_come_back_where_the_service_does() -> None:
    failure = legacy_failure_in({"error_code": 18}, httpx.Headers({"Retry-After": "7"}))
    assert failure is not None and failure.retry_after == 7


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (500, "", errors.UpstreamBroken),
        (503, "", errors.UpstreamOverloaded),
        (401, "{}", errors.CredentialRejected),
        (403, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
        (200, '{"error_code": 999999}', errors.UpstreamBroken),
        (200, '{"error_code": {}}', errors.UpstreamBroken),
        (502, "[]", errors.UpstreamBroken),
        (404, "<html></html>", errors.UpstreamBroken),
    ],
)
def test_without_a_known_code_the_status_tells(status: int, said: str, kind: type[errors.Failure]) -> None:
    assert type(legacy.failure_of(status, NONE, said.encode())) is kind


# --- v2 -----------------------------------------------------------------------------------------------------------

BAD, FILTERED = (errors.BadRequest, 400), (errors.BadRequest, 400, "content_filter")
LIMIT = (errors.Throttled, 429, "rate_limit_exceeded")
TOKENS = (errors.TokensThrottled, 429, "rate_limit_exceeded")
BUSY = (errors.UpstreamOverloaded, 503, "server_is_overloaded")

SAYS: dict[str, tuple[Any, ...]] = {
    "malformed_json": (*BAD, "malformed_json"),
    "invalid_messages": (*BAD, "invalid_messages"),
    "invalid_argument": (*BAD, "invalid_argument"),
    "invalid_plugin_argument": (*BAD, "invalid_plugin_argument"),
    "invalid_image_url": (*BAD, "invalid_image_url"),
    "empty_model": (*BAD, "missing_required_parameter"),
    **dict.fromkeys(
        ("characters_too_long", "tokens_too_long"), (errors.ContextTooLong, 400, "context_length_exceeded")
    ),
    **dict.fromkeys(("image_url_unsafe", "system_unsafe", "user_setting_unsafe", "functions_unsafe"), FILTERED),
    **dict.fromkeys(("invalid_model", "model_offline"), (errors.ModelNotFound, 404, "model_not_found")),
    "no_parameter_permission": (errors.UnsupportedParameter, 400, "unsupported_parameter"),
    "invalid_appid": (errors.CredentialRejected, 502, "upstream_authentication_error"),
    "invalid_iam_token": (errors.CredentialExpired, 503, "upstream_credential_expired"),
    "account_overdue": (errors.QuotaExhausted, 429, "insufficient_quota"),
    "method_not_supported": (errors.WrongMethod, 405, "method_not_allowed"),
    "rpm_rate_limit_exceeded": LIMIT,
    "user_rate_limit_exceeded": LIMIT,
    "preemptible_rate_limit_exceeded": LIMIT,
    "Offline_batch_reasoning_refused": LIMIT,
    "tpm_rate_limit_exceeded": TOKENS,
    "input_tpm_rate_limit_exceeded": TOKENS,
    "output_tpm_rate_limit_exceeded": TOKENS,
    "cluster_rpm_rate_limit_exceeded": BUSY,
    "cluster_tpm_rate_limit_exceeded": BUSY,
    **dict.fromkeys(("internal_error", "dispatch_internal_error"), (errors.UpstreamBroken, 502, "upstream_error")),
}


def test_every_row_of_the_stand_in_has_a_meaning() -> None:
    assert sorted(SAYS) == sorted(NAMED)


@pytest.mark.parametrize("name", SAYS)
def test_each_row_of_v2(name: str) -> None:
    kind, told_status, told_code = SAYS[name]
    status, code, type_, message = NAMED[name]
    for shout in (str, str.upper):
        error = {"code": shout(code), "type": shout(type_), "message": message}
        failure = refusals.failure_of(status, NONE, json.dumps({"error": error, "id": "as-1"}).encode())
        assert type(failure) is kind
        assert (failure.status, failure.code, failure.upstream_status) == (told_status, told_code, status)


@pytest.mark.parametrize("name", [name for name in SAYS if name != "empty_model"])
def test_each_row_of_v2_inside_a_stream(name: str) -> None:
    kind = SAYS[name][0]
    _, code, type_, message = NAMED[name]
    failure = refusals.failure_in({"error": {"code": code, "type": type_, "message": message}})
    assert failure is not None and type(failure) is kind


def test_limits_of_tokens_are_called_so() -> None:
    failure = refusals.failure_of(
        429, httpx.Headers({"Retry-After": "7"}), b'{"error":{"code":"tpm_rate_limit_exceeded"}}'
    )
    assert (failure.type, failure.retry_after) == ("tokens", 7.0)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": "rpm_rate_limit_exceeded", "msg": "slow down"}, errors.Throttled),
        ({"code": "tokens_too_long", "msg": "too long"}, errors.ContextTooLong),
        ({"code": "who_knows", "msg": "?"}, errors.UpstreamBroken),
        ({"error": "no"}, errors.UpstreamBroken),
        ({"choices": [], "code": "", "error": None}, None),
        ({"choices": [{}], "code": "harmless"}, None),
    ],
)
def test_a_failure_that_came_with_status_200(said: dict[str, Any], kind: type[errors.Failure] | None) -> None:
    failure = refusals.failure_in(said)
    assert (None if failure is None else type(failure)) is kind


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (500, "", errors.UpstreamBroken),
        (401, "", errors.CredentialRejected),
        (429, "[]", errors.Throttled),
        (403, {"error": {"code": "who_knows", "type": "access_denied"}}, errors.CredentialRejected),
        (404, "<html></html>", errors.UpstreamBroken),
        (404, {"error": {"message": "Not Found"}}, errors.UpstreamBroken),
        (403, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
        (400, {"error": {"code": {}, "message": []}}, errors.BadRequest),
    ],
)
def test_without_a_known_code_of_v2_the_status_tells(status: int, said: Any, kind: type[errors.Failure]) -> None:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    assert type(refusals.failure_of(status, NONE, body)) is kind


_WORDS = st.sampled_from(["error", "code", "type", "message", "msg", "error_code", "error_msg", "choices"])
_LEAVES = st.none() | st.integers() | st.text()


@given(st.integers(400, 599), st.recursive(_LEAVES, lambda inner: st.dictionaries(_WORDS, inner)))
def test_no_body_is_too_strange(status: int, said: Any) -> None:
    body = json.dumps(said).encode()
    for read in (refusals.failure_of, legacy.failure_of):
        assert isinstance(read(status, NONE, body), errors.Failure)
    if isinstance(said, dict):
        refusals.failure_in(said)
        legacy_failure_in(said)
