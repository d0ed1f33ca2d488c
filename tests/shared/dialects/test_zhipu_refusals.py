"""What refusals of Zhipu's platform mean: each row of the table in `upstreams/zhipu.md` section 3."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import clock, errors
from parley.dialects.zhipu import failure_in, failure_of


def coded(code: Any, message: str = "说明") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def refused(status: int, said: Any, **headers: str) -> errors.Failure:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    failure = failure_of(status, httpx.Headers(named), body)
    assert failure.upstream_status == status
    return failure


CODES = [
    *((401, code, errors.CredentialRejected) for code in (1000, 1001, 1002, 1004, 1005)),
    (401, 1003, errors.CredentialExpired),
    *((429, code, errors.CredentialRejected) for code in (1110, 1111, 1112, 1120, 1121)),
    (429, 1113, errors.QuotaExhausted),
    *((400, code, errors.BadRequest) for code in (1210, 1213, 1214, 1215)),
    *((400, code, errors.ModelNotFound) for code in (1211, 1212, 1221, 1222)),
    (403, 1220, errors.CredentialRejected),
    (403, 1311, errors.ModelNotFound),
    (400, 1261, errors.ContextTooLong),
    *((400, code, errors.BadRequest) for code in (1300, 1301)),
    *((429, code, errors.Throttled) for code in (1302, 1303)),
    *((429, code, errors.UpstreamOverloaded) for code in (1305, 1312)),
    *((429, code, errors.QuotaExhausted) for code in (1304, 1308, 1309, 1310, 1313)),
    *((500, code, errors.UpstreamBroken) for code in (1200, 1230, 1234)),
    (400, 1231, errors.BadRequest),
]


@pytest.mark.parametrize(("status", "code", "kind"), CODES)
def test_each_code_has_its_meaning_whatever_the_status_and_wherever_it_stands(
    status: int, code: int, kind: type[errors.Failure]
):
    for said in (coded(str(code)), coded(code), {"code": code, "msg": "说明", "success": False}):
        assert type(refused(status, said)) is kind
        assert type(refused(400, said)) is kind
        assert type(failure_in(said)) is kind


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (435, "", errors.TooLarge),
        (401, {"code": 401, "msg": "令牌已过期或验证不正确", "success": False}, errors.CredentialRejected),
        (404, {"timestamp": "2025", "status": 404, "error": "Not Found", "path": "/v1"}, errors.UpstreamBroken),
        (404, "<html><body>404</body></html>", errors.UpstreamBroken),
        (500, {"code": 500, "msg": "404 NOT_FOUND", "success": False}, errors.UpstreamBroken),
        (429, coded("1399"), errors.Throttled),
        (400, coded("1299"), errors.BadRequest),
        (500, "", errors.UpstreamBroken),
        (503, "", errors.UpstreamOverloaded),
        (502, "<html></html>", errors.UpstreamBroken),
        (403, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
        (400, "[]", errors.BadRequest),
        (400, {"error": "no"}, errors.BadRequest),
        (400, {"error": {"code": {}, "message": []}}, errors.BadRequest),
    ],
)
def test_without_a_known_code_the_status_tells(status: int, said: Any, kind: type[errors.Failure]):
    assert type(refused(status, said)) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": 401, "msg": "x", "success": False}, errors.CredentialRejected),
        ({"code": 404, "msg": "x", "success": False}, errors.UpstreamBroken),
        ({"code": 429, "msg": "x", "success": False}, errors.Throttled),
        ({"success": False}, errors.UpstreamBroken),
        ({"error": "boom"}, errors.UpstreamBroken),
        (coded("1999"), errors.UpstreamBroken),
    ],
)
def test_what_a_body_with_status_200_refuses(said: dict[str, Any], kind: type[errors.Failure]):
    assert type(failure_in(said)) is kind


@pytest.mark.parametrize("said", [{}, {"choices": []}, {"code": 200, "success": True}, {"error": None}])
def test_what_refuses_nothing(said: dict[str, Any]):
    assert failure_in(said) is None


@pytest.mark.parametrize(
    ("code", "param", "word"),
    [
        ("1210", None, "invalid_value"),
        ("1213", None, "missing_required_parameter"),
        ("1211", "model", "model_not_found"),
        ("1261", "messages", "context_length_exceeded"),
        ("1301", None, "content_filter"),
        ("1231", "request_id", "duplicate_request_id"),
    ],
)
def test_what_a_caller_did_wrong_is_said_in_the_upstreams_words(code: str, param: str | None, word: str):
    failure = refused(400, coded(code, "参数有误" * 500))
    assert (failure.param, failure.code) == (param, word)
    assert failure.message == ("参数有误" * 500)[:500]


def test_a_signed_token_that_is_said_back_to_us_is_not_repeated():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJhcGlfa2V5IjoiYSJ9.tnT5L-r_C1b9NatKKjyplrNTn"
    for code in ("1210", "1299"):
        failure = refused(400, coded(code, f"no {token}, sorry"))
        assert failure.message == "no ..., sorry"
    assert token not in str(failure_in({"error": {"type": "invalid_request_error", "message": f"no {token}"}}))


def test_what_concerns_the_operator_is_said_in_ours():
    for code in ("1002", "1113", "1302", "1305", "1230"):
        assert "说明" not in refused(429, coded(code)).message


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        ("已达到 5 小时的使用上限。您的限额将在 2025-01-01 13:30:00 重置。", 5400.0),
        ("Usage limit reached for 5 hour. Your limit will reset at 2025-01-01 12:00:07", 7.0),
        ("resets 2025-01-01T12:01", 60.0),
        ("resets at 2024-12-31 00:00:00", 0.0),
        ("resets at 2025-13-45 00:00:00", None),
        ("次数已达上限", None),
    ],
)
def test_a_used_up_plan_rests_until_it_is_said_to_be_filled_again(
    monkeypatch: pytest.MonkeyPatch, message: str, wait: float | None
):
    monkeypatch.setattr(clock, "now", lambda: 1735704000.0)  # 12:00 in Beijing
    assert refused(429, coded("1308", message)).retry_after == wait


@pytest.mark.parametrize("code", ["1302", "1305", "1113", "1399"])
def test_a_header_that_says_when_to_come_back_is_believed(code: str):
    assert refused(429, coded(code), retry_after="7").retry_after == 7


@given(st.integers(400, 599), st.binary(max_size=200))
def test_whatever_is_said_is_a_failure(status: int, body: bytes):
    assert isinstance(failure_of(status, {}, body), errors.Failure)
