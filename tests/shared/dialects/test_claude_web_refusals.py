"""What claude.ai's refusals mean: an expired session, a challenge, a limit, and who is to blame for the others."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from parley import errors
from parley.dialects.claude_web import refusal
from parley.state.verdict import verdict
from tests.shared.providers.lending import credential

CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
PLATFORM = "<html><body><script src='/cdn-cgi/challenge-platform/h/b/x'></script></body></html>"
PAGE = "<!DOCTYPE html><html><head><title>Claude</title></head></html>"


def said(kind: str, message: str, **details: Any) -> str:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message, "details": details}})


EXPIRED = said("permission_error", "Invalid authorization", error_code="account_session_invalid")


def read(status: int, body: str = "", **headers: str) -> errors.Failure:
    kind = "text/html" if body.startswith("<") else "application/json"
    told = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return refusal(status, told, body.encode())


ROWS: list[tuple[int, str, dict[str, str], type[errors.Failure]]] = [
    # The session has expired.
    (403, EXPIRED, {}, errors.CredentialRejected),
    (401, EXPIRED, {}, errors.CredentialRejected),
    (401, said("authentication_error", "no"), {}, errors.CredentialRejected),
    (401, "", {}, errors.CredentialRejected),
    (302, "", {"location": "/login"}, errors.CredentialRejected),
    (307, "", {"location": "https://claude.ai/login?returnTo=%2Fchats"}, errors.CredentialRejected),
    (302, "", {"location": "/logout"}, errors.CredentialRejected),
    # A page for humans: not the credential's fault.
    (403, CHALLENGE, {"cf_mitigated": "challenge"}, errors.Challenged),
    (503, CHALLENGE, {}, errors.Challenged),
    (200, PLATFORM, {}, errors.Challenged),
    (403, EXPIRED, {"cf_mitigated": "challenge"}, errors.Challenged),
    (401, PLATFORM, {}, errors.Challenged),
    (403, PAGE, {}, errors.Challenged),
    (429, CHALLENGE, {}, errors.Challenged),
    (302, "", {"location": "https://claude.ai/app-unavailable-in-region"}, errors.Challenged),
    (302, "", {}, errors.Challenged),
    # Limits.
    (429, said("rate_limit_error", "Slow down"), {}, errors.Throttled),
    (429, "", {}, errors.Throttled),
    (429, PAGE, {}, errors.Throttled),
    # The account.
    (400, said("invalid_request_error", "This organization has been disabled."), {}, errors.CredentialRejected),
    (403, said("permission_error", "This organization has been disabled."), {}, errors.CredentialRejected),
    (403, said("permission_error", "Not allowed"), {}, errors.CredentialRejected),
    (403, said("permission_error", "Your plan does not include this model"), {}, errors.ModelNotFound),
    # The question.
    (400, said("invalid_request_error", "Invalid model"), {}, errors.ModelNotFound),
    (404, said("not_found_error", "model: claude-x"), {}, errors.ModelNotFound),
    (400, said("invalid_request_error", "prompt is too long: 9 tokens > 8 of the model"), {}, errors.ContextTooLong),
    (413, said("request_too_large", "Request too large"), {}, errors.ContextTooLong),
    (413, PAGE, {}, errors.ContextTooLong),
    (400, said("invalid_request_error", "prompt: contains what is not allowed"), {}, errors.BadRequest),
    # How we ask is our affair.
    (400, said("invalid_request_error", "locale: Input should be 'en-US'"), {}, errors.UpstreamBroken),
    (400, said("invalid_request_error", "uuid: Input should be a valid UUID"), {}, errors.UpstreamBroken),
    (400, "", {}, errors.UpstreamBroken),
    (404, said("not_found_error", "Conversation not found"), {}, errors.SessionLost),
    (404, PAGE, {}, errors.SessionLost),
    (409, said("invalid_request_error", "Message already created"), {}, errors.UpstreamBroken),
    # The service.
    (529, said("overloaded_error", "Overloaded"), {}, errors.UpstreamOverloaded),
    (503, said("api_error", "Unavailable"), {}, errors.UpstreamOverloaded),
    (500, said("api_error", "Internal server error"), {}, errors.UpstreamBroken),
    (502, PAGE, {}, errors.UpstreamBroken),
    (504, "", {}, errors.UpstreamBroken),
    (200, PAGE, {}, errors.UpstreamMalformed),
    (200, said("overloaded_error", "Overloaded"), {}, errors.UpstreamOverloaded),
    (200, EXPIRED, {}, errors.CredentialRejected),
    (200, "{}", {}, errors.UpstreamBroken),
    # Bodies that are nothing.
    (500, "[1]", {}, errors.UpstreamBroken),
    (500, "{not json", {}, errors.UpstreamBroken),
    (500, '{"error": "text"}', {}, errors.UpstreamBroken),
    (403, '{"error": {"type": 1, "message": null, "details": "x"}}', {}, errors.CredentialRejected),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind"), ROWS)
def test_a_refusal_means(status: int, body: str, headers: dict[str, str], kind: type[errors.Failure]):
    failure = read(status, body, **headers)
    assert type(failure) is kind
    assert failure.upstream_status == status
    assert failure.status != 401, "an operator's session is never the caller's key"


def test_a_challenge_says_nothing_about_the_credential_and_a_session_nothing_about_the_site():
    assert read(403, CHALLENGE, cf_mitigated="challenge").blames == "upstream"
    assert read(403, EXPIRED).blames == "credential"


def limit(left: float | None, **facts: Any) -> str:
    over = None if left is None else int(time.time() + left)
    told = {"type": "exceeded_limit", "resetsAt": over, "remaining": None, "perModelLimit": False, **facts}
    return said("rate_limit_error", json.dumps({"representativeClaim": "five_hour", **told}))


def test_a_used_up_quota_says_when_it_opens_again():
    failure = read(429, limit(3600))
    assert type(failure) is errors.QuotaExhausted
    assert failure.retry_after is not None and 3595 < failure.retry_after <= 3600
    assert "five hours" in failure.message and "{" not in failure.message


def test_a_quota_of_days_is_not_believed_for_days():
    failure = read(429, limit(158 * 3600, representativeClaim="seven_day"))
    assert failure.retry_after == 6 * 3600
    assert "seven days" in failure.message
    assert verdict(failure, credential({}), renewable=False).hint == 6 * 3600 * 1000


def test_a_limit_of_one_model_does_not_close_the_account_for_hours():
    failure = read(429, limit(4 * 3600, perModelLimit=True))
    assert type(failure) is errors.ModelExhausted
    assert 4 * 3600 - 5 < failure.retry_after <= 4 * 3600
    told = verdict(failure, credential({}), renewable=False, model="claude-opus")
    assert (told.blame, told.reason) == ("model", "insufficient_quota")
    assert verdict(failure, credential({}), renewable=False).blame == "credential", "nobody knows for which"


@pytest.mark.parametrize("left", [None, -60.0, 0.0])
def test_a_limit_without_an_end_is_a_short_one(left: float | None):
    failure = read(429, limit(left, representativeClaim="concurrents"), retry_after="3")
    assert (type(failure), failure.retry_after) == (errors.Throttled, 3.0)
    assert "{" not in failure.message


@pytest.mark.parametrize("over", ['"soon"', "true", "1e999", "[]"])
def test_a_strange_end_is_no_end(over: str):
    told = f'{{"type":"exceeded_limit","resetsAt":{over}}}'
    assert type(read(429, said("rate_limit_error", told))) is errors.Throttled


def test_a_retry_after_may_be_a_date():
    failure = read(429, said("rate_limit_error", "Slow down"), retry_after=formatdate(time.time() + 30, usegmt=True))
    assert failure.retry_after is not None and 27 < failure.retry_after <= 30


def test_a_long_complaint_is_cut():
    assert len(read(500, said("api_error", "x" * 5000)).message) < 400
