"""What Gemini's refusals mean, row by row of the page's table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from parley import errors
from parley.dialects.gemini import failure_of, failure_said, refusals

TYPE = "type.googleapis.com/google.rpc"
CALIFORNIA = ZoneInfo("America/Los_Angeles")
KEY_INVALID = {"@type": f"{TYPE}.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}


def said(code: int, status: str, message: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def violated(quota: str, value: str = "50") -> dict[str, Any]:
    return {"@type": f"{TYPE}.QuotaFailure", "violations": [{"quotaId": quota, "quotaValue": value}]}


def delay(text: str) -> dict[str, Any]:
    return {"@type": f"{TYPE}.RetryInfo", "retryDelay": text}


def field(name: str) -> dict[str, Any]:
    return {"@type": f"{TYPE}.BadRequest", "fieldViolations": [{"field": name, "description": "Cannot find field."}]}


def refused(body: Any, status: int | None = None, **headers: str) -> errors.Failure:
    shown = status or int(body["error"]["code"])
    return failure_of(
        shown, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


TABLE: list[tuple[dict[str, Any], type[errors.Failure]]] = [
    (
        said(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", KEY_INVALID),
        errors.CredentialRejected,
    ),
    (said(400, "INVALID_ARGUMENT", "?", KEY_INVALID), errors.CredentialRejected),
    (said(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), errors.CredentialRejected),
    (said(400, "INVALID_ARGUMENT", "contents is not specified"), errors.BadRequest),
    (
        said(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        errors.ContextTooLong,
    ),
    (said(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), errors.CredentialRejected),
    (said(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), errors.CredentialRejected),
    (said(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."), errors.CredentialRejected),
    (said(404, "NOT_FOUND", "models/x is not found for API version v1"), errors.ModelNotFound),
    (said(413, "", "Request payload size exceeds the limit"), errors.TooLarge),
    (said(429, "RESOURCE_EXHAUSTED", "Quota exceeded."), errors.Throttled),
    (said(429, "RESOURCE_EXHAUSTED", "?", violated("PerMinutePerProjectPerModel"), delay("7s")), errors.ModelThrottled),
    (said(429, "RESOURCE_EXHAUSTED", "?", violated("RequestsPerDayPerProject-FreeTier")), errors.QuotaExhausted),
    (said(429, "RESOURCE_EXHAUSTED", "?", violated("PerMinute", "0")), errors.QuotaExhausted),
    (said(499, "CANCELLED", "?"), errors.UpstreamBroken),
    (said(500, "INTERNAL", "An internal error has occurred."), errors.UpstreamBroken),
    (said(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), errors.UpstreamOverloaded),
    (said(504, "DEADLINE_EXCEEDED", "?"), errors.UpstreamStalled),
]


@pytest.mark.parametrize(("body", "kind"), TABLE)
def test_the_table_of_errors_in_every_shape(body: dict[str, Any], kind: type[errors.Failure]):
    assert type(refused(body)) is kind
    assert type(refused([body], body["error"]["code"])) is kind
    assert type(failure_said(body)) is kind
    assert type(failure_said([body])) is kind
    if body["error"]["status"]:
        wordless = {name: value for name, value in body["error"].items() if name != "code"}
        assert type(failure_said({"error": wordless})) is kind


def test_what_concerns_the_operators_credential_is_said_in_our_words():
    for body, kind in TABLE:
        failure = refused(body)
        if kind in (errors.CredentialRejected, errors.Throttled, errors.QuotaExhausted):
            assert body["error"]["message"] not in failure.message
            assert (failure.blames, failure.try_next) == ("credential", True)


def test_what_the_caller_can_act_on_is_told_as_it_was_said_and_bounded():
    failure = refused(said(400, "INVALID_ARGUMENT", "contents is not specified"))
    assert (failure.message, failure.upstream_status) == ("contents is not specified", 400)
    assert len(refused(said(400, "INVALID_ARGUMENT", "x" * 9000)).message) == 500


@pytest.mark.parametrize(
    ("delays", "headers", "wait"),
    [
        ([delay("7s")], {}, 7),
        ([delay("17.4s")], {}, 17.4),
        ([delay("7s")], {"retry_after": "3"}, 7),
        ([], {"retry_after": "3"}, 3),
        ([], {}, None),
        ([delay("soon")], {}, None),
        ([delay("-5s")], {}, None),
        ([{"retryDelay": 7}], {}, None),
    ],
)
def test_how_long_to_wait_is_in_the_body(delays: list[Any], headers: dict[str, str], wait: float | None):
    assert refused(said(429, "RESOURCE_EXHAUSTED", "?", *delays), **headers).retry_after == wait
    assert refused(said(503, "UNAVAILABLE", "?", *delays), **headers).retry_after == wait


@pytest.mark.parametrize(
    ("moment", "wait"),
    [
        (datetime(2026, 1, 5, 22, 0, tzinfo=CALIFORNIA), 2 * 3600),
        (datetime(2026, 7, 5, 0, 0, 1, tzinfo=CALIFORNIA), 24 * 3600 - 1),
        (datetime(2026, 3, 7, 23, 59, 59, 900000, tzinfo=CALIFORNIA), 1),
        (datetime(2026, 3, 8, 1, 0, tzinfo=CALIFORNIA), 22 * 3600),  # the day on which clocks go forward
    ],
)
def test_a_days_quota_comes_back_at_midnight_in_california(monkeypatch, moment: datetime, wait: float):
    monkeypatch.setattr(refusals, "now", lambda: moment.astimezone(UTC).timestamp())
    body = said(
        429, "RESOURCE_EXHAUSTED", "?", violated("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), delay("17s")
    )
    assert refused(body).retry_after == wait


def test_a_machine_without_time_zones_waits_an_hour_longer_at_most(monkeypatch):
    def missing(_: str) -> ZoneInfo:
        raise refusals.ZoneInfoNotFoundError

    monkeypatch.setattr(refusals, "ZoneInfo", missing)
    moment = datetime(2026, 7, 5, 22, 0, tzinfo=CALIFORNIA)
    monkeypatch.setattr(refusals, "now", moment.timestamp)
    assert refused(said(429, "RESOURCE_EXHAUSTED", "?", violated("PerDay"))).retry_after == 3 * 3600


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            "tools[0].function_declarations[2].parameters.properties[0].value",
            "tools[2].function.parameters.properties[0].value",
        ),
        ("tools[0].functionDeclarations[1].parametersJsonSchema", "tools[1].function.parameters"),
        ("tools[0].function_declarations[0].name", "tools[0].function.name"),
        ("tool_config.function_calling_config", "tool_choice"),
        ("contents[1].parts[0].inline_data", "messages"),
        ("generation_config.max_output_tokens", "max_tokens"),
        ("generationConfig.responseJsonSchema.properties", "response_format.json_schema.schema.properties"),
        ("generation_config.temperature", "temperature"),
        ("generation_config.thinking_config.thinking_level", "reasoning_effort"),
        ("something.new", "something.new"),
    ],
)
def test_the_place_of_a_mistake_has_the_callers_name(theirs: str, ours: str):
    assert refused(said(400, "INVALID_ARGUMENT", "Invalid JSON payload received.", field(theirs))).param == ours


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, b"<html>Bad gateway</html>", errors.UpstreamBroken),
        (503, b"<!DOCTYPE html><title>Just a moment...</title>", errors.Challenged),
        (429, b"<html>Slow down</html>", errors.Throttled),
        (500, b"", errors.UpstreamBroken),
        (500, b"\xff\xfe", errors.UpstreamBroken),
        (400, b"5", errors.BadRequest),
        (400, b'{"error": "text"}', errors.BadRequest),
        (400, b'{"error": {"details": 5, "message": {}, "code": "x"}}', errors.BadRequest),
        (400, b'{"error": {"details": [{"violations": [5]}, 7]}}', errors.BadRequest),
        (422, b"{}", errors.BadRequest),
        (307, b"", errors.UpstreamBroken),
        (409, b"{}", errors.UpstreamBroken),
        (418, b"{}", errors.BadRequest),
    ],
)
def test_what_else_may_come_instead(status: int, body: bytes, kind: type[errors.Failure]):
    assert type(failure_of(status, {}, body)) is kind
