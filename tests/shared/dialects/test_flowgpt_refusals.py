"""What FlowGPT's refusals mean, row by row of the page's table."""

from __future__ import annotations

import httpx
import pytest

from parley import errors
from parley.dialects.flowgpt import conversation_id, failure_of, speaks_of_signature
from parley.dialects.flowgpt.catalogue import CATALOGUE, fresh_token, prompt_ids

JSON = {"content-type": "application/json; charset=utf-8"}
HTML = {"content-type": "text/html; charset=utf-8"}
BLOCKED = b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head></html>"
MOMENT = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
CAPTCHA = b"<html><body><div id='captcha-container'></div><script src='/awswaf/captcha.js'></script></body></html>"
PAGE = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"

ROWS: list[tuple[int, dict[str, str], bytes, type[errors.Failure]]] = [
    (401, JSON, b'{"message":"Unauthorized"}', errors.CredentialRejected),
    (401, {}, b"", errors.CredentialRejected),
    (403, JSON, b'{"message":"Forbidden resource"}', errors.CredentialRejected),
    (403, JSON, b'{"message":"Please sign in"}', errors.CredentialRejected),
    (401, JSON, b'{"message":"invalid token signature"}', errors.CredentialRejected),
    (401, JSON, b'{"message":"jwt expired"}', errors.CredentialRejected),
    (400, JSON, b'{"message":"invalid signature"}', errors.UpstreamBroken),
    (401, JSON, b'{"error":"timestamp out of range"}', errors.UpstreamBroken),
    (403, JSON, b'{"data":"nonce already used"}', errors.UpstreamBroken),
    (403, JSON, b'{"message":"sign error"}', errors.UpstreamBroken),
    (403, HTML, BLOCKED, errors.Challenged),
    (503, HTML, MOMENT, errors.Challenged),
    (403, {**JSON, "cf-mitigated": "challenge"}, b"{}", errors.Challenged),
    (403, HTML, PAGE, errors.Challenged),
    (202, {**HTML, "x-amzn-waf-action": "challenge"}, b"", errors.Challenged),
    (405, {"x-amzn-waf-action": "captcha"}, b"", errors.Challenged),
    (403, HTML, CAPTCHA, errors.Challenged),
    (405, HTML, CAPTCHA, errors.Challenged),
    (429, JSON, b'{"message":"too many requests from your ip"}', errors.AddressThrottled),
    (429, {}, b"Too many requests from your IP, please try again later.", errors.AddressThrottled),
    (429, JSON, b'{"message":"Too many requests"}', errors.Throttled),
    (402, JSON, b'{"message":"Payment required"}', errors.QuotaExhausted),
    (403, JSON, b'{"message":"You have reached your daily limit"}', errors.QuotaExhausted),
    (404, JSON, b'{"message":"Prompt not found"}', errors.ModelNotFound),
    (400, JSON, b'{"message":"promptId does not exist"}', errors.ModelNotFound),
    (404, JSON, b'{"message":"Conversation not found"}', errors.UpstreamBroken),
    (404, JSON, b'{"message":"Cannot POST /v3/chat"}', errors.UpstreamBroken),
    (400, JSON, b'{"message":["question must be a string"]}', errors.BadRequest),
    (400, JSON, b'{"message":"question is too long"}', errors.ContextTooLong),
    (413, {}, b"", errors.ContextTooLong),
    (500, JSON, b'{"message":"Internal server error"}', errors.UpstreamBroken),
    (502, HTML, PAGE, errors.UpstreamBroken),
    (503, JSON, b'{"message":"busy"}', errors.UpstreamOverloaded),
    (504, HTML, PAGE, errors.UpstreamStalled),
    (307, {"location": "https://example.com"}, b"", errors.UpstreamBroken),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind"), ROWS)
def test_a_refusal_is_told_as_what_it_is(
    status: int, headers: dict[str, str], body: bytes, kind: type[errors.Failure]
) -> None:
    failure = failure_of(status, httpx.Headers(headers), body)
    assert type(failure) is kind
    assert failure.upstream_status == status
    assert failure.status != 401, "an operator's token is never a caller's matter"


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_can_be_renewed_counts_as_run_out(status: int) -> None:
    assert type(failure_of(status, JSON, b'{"message":"no"}', renewable=True)) is errors.CredentialExpired


@pytest.mark.parametrize("body", [b'{"message":"too many requests from your ip"}', b'{"message":"slow"}'])
def test_a_hint_to_come_back_is_kept(body: bytes) -> None:
    assert failure_of(429, {"retry-after": "7"}, body).retry_after == 7
    assert failure_of(429, {}, body).retry_after is None


def test_whoever_counts_addresses_rests_as_a_whole() -> None:
    failure = failure_of(429, {}, b"too many requests from your ip")
    assert (failure.blames, failure.rest, failure.status, failure.code) == (
        "upstream",
        60.0,
        429,
        "rate_limit_exceeded",
    )


@pytest.mark.parametrize(("status", "headers", "body", "kind"), ROWS)
def test_only_what_a_caller_can_act_on_is_told_in_the_services_words(
    status: int, headers: dict[str, str], body: bytes, kind: type[errors.Failure]
) -> None:
    said = b'{"message":"CANARY ' + body.replace(b'"', b"'").replace(b"\n", b" ") + b'"}'
    failure = failure_of(
        status, httpx.Headers(headers), said if headers.get("content-type") != HTML["content-type"] else body
    )
    assert ("CANARY" in failure.message) == isinstance(failure, errors.BadRequest)
    assert len(failure.message) < 400


def test_a_refused_signature_is_told_apart_from_a_refused_token() -> None:
    assert speaks_of_signature(401, b'{"message":"invalid signature"}')
    assert speaks_of_signature(400, b'{"data":{"message":"x-signature missing"}}')
    assert not speaks_of_signature(500, b'{"message":"invalid signature"}')
    assert not speaks_of_signature(401, b'{"message":"please sign in"}')
    assert not speaks_of_signature(401, b'{"message":"signed out"}')
    assert not speaks_of_signature(401, b'{"message":"invalid signature of the token"}')


# --- what else is read ------------------------------------------------------------------------------------------------


def test_a_conversation_has_an_id() -> None:
    assert conversation_id(JSON, b'{"id":"conv_made_up_1","promptId":"uzNcMUGo4sOwl4GFvRpm8"}\n') == "conv_made_up_1"


@pytest.mark.parametrize("body", [b"{}", b'{"id":7}', b'{"id":""}', b"[]", b"", b"created", PAGE])
def test_a_conversation_without_an_id_is_none(body: bytes) -> None:
    with pytest.raises(errors.UpstreamMalformed):
        conversation_id(JSON, body)


ROW = b'{"id":"lKm5yPE9x-Naf0_0_KI5M","title":"Superior","model":"gpt"}'


@pytest.mark.parametrize(
    "body",
    [
        b'[{"result":{"data":{"json":{"prompts":[' + ROW + b'],"nextCursor":36}}}}]',
        b'[{"result":{"data":{"json":[' + ROW + b"," + ROW + b"]}}}]",
        b'[{"result":{"data":{"prompts":[' + ROW + b',{"title":"no id"},null]}}}]',
    ],
)
def test_the_catalogue_is_read_however_deep_it_lies(body: bytes) -> None:
    assert prompt_ids(body) == ["lKm5yPE9x-Naf0_0_KI5M"]


@pytest.mark.parametrize(
    "body", [b"", PAGE, b"{}", b'[{"error":{"json":{"message":"x"}}}]', b'[{"result":{"data":{"json":[]}}}]']
)
def test_a_catalogue_without_prompts_is_none(body: bytes) -> None:
    with pytest.raises(errors.UpstreamMalformed):
        prompt_ids(body)


def test_the_catalogue_is_asked_for_as_the_site_does() -> None:
    assert CATALOGUE.startswith("/api/trpc/prompt.getPrompts?batch=1&input=%7B%220%22%3A")


@pytest.mark.parametrize("body", [b'{"encodedToken":"a.b.c"}', b'{"data":{"encodedToken":"a.b.c"}}'])
def test_a_fresh_token_is_found_at_either_place(body: bytes) -> None:
    assert fresh_token(body) == "a.b.c"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"encodedToken":null}', b'{"data":null}'])
def test_no_fresh_token_means_that_the_login_is_over(body: bytes) -> None:
    with pytest.raises(errors.CredentialRejected):
        fresh_token(body)
