"""The signature of IAM keys, and the tokens that keys buy: both examples of `upstreams/baidu-qianfan.md` part C."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from parley import errors
from parley.dialects.qianfan.signing import AccessKeys, authorization, canonical, signed
from parley.dialects.qianfan.tokens import Token, access_token, access_token_target, bearer, bearer_target

KEYS = AccessKeys("DEMOAK", "DEMOSK")
DATE = "2024-01-01T00:00:00Z"
NEW_YEAR = 1704067200.0
CHAT = "https://qianfan.baidubce.com/v2/chat/completions"
ASKED = {"content-type": "application/json", "host": "qianfan.baidubce.com", "x-bce-date": DATE}


def test_the_first_example_of_the_page() -> None:
    assert canonical("POST", CHAT, ASKED) == (
        "POST\n/v2/chat/completions\n\ncontent-type:application%2Fjson\nhost:qianfan.baidubce.com\n"
        "x-bce-date:2024-01-01T00%3A00%3A00Z"
    )
    assert authorization(KEYS, "POST", CHAT, ASKED, date=DATE) == (
        "bce-auth-v1/DEMOAK/2024-01-01T00:00:00Z/1800/content-type;host;x-bce-date/"
        "abe684b840521ba57bbfcd5a4446158292ea8fd9ab348f9218934dfdce3046bb"
    )


def test_the_second_example_of_the_page_has_a_query() -> None:
    url = f"https://iam.bj.baidubce.com{bearer_target()}"
    assert url.endswith("/v1/BCE-BEARER/token?expireInSeconds=43200")
    headers = signed(KEYS, "GET", url, "iam.bj.baidubce.com", NEW_YEAR)
    assert headers == {
        "x-bce-date": DATE,
        "authorization": "bce-auth-v1/DEMOAK/2024-01-01T00:00:00Z/1800/host;x-bce-date/"
        "863f9c8b32e8a73d82e0d99d2093c7a9a9cb4af25b64deb386c02925edb1ffba",
    }


def test_what_is_signed_is_sorted_encoded_and_trimmed() -> None:
    url = "http://127.0.0.1:8080/a%20b/ü~c?b=2&a=x%2Fy&empty&authorization=no"
    assert canonical("GET", url, {"host": "127.0.0.1:8080", "b": " t "}) == (
        "GET\n/a%20b/%C3%BC~c\na=x%2Fy&b=2&empty=\nb:t\nhost:127.0.0.1%3A8080"
    )
    assert canonical("GET", "http://h", {}) == "GET\n/\n"


def test_the_keys_of_an_application_are_told_in_the_query() -> None:
    assert access_token_target("a k", "s&k") == (
        "/oauth/2.0/token?grant_type=client_credentials&client_id=a+k&client_secret=s%26k"
    )


def body(said: Any) -> bytes:
    return said.encode() if isinstance(said, str) else json.dumps(said).encode()


PLAIN = httpx.Headers({"content-type": "application/json"})


@pytest.mark.parametrize(("lifetime", "good_for"), [(2592000, 2592000 - 600), (3600, 3240), (10, 9)])
def test_a_token_is_not_used_to_its_last_second(lifetime: int, good_for: float) -> None:
    said = {"access_token": "24.demo", "expires_in": lifetime, "session_key": "x"}
    assert access_token(200, PLAIN, body(said), 1000.0) == Token("24.demo", 1000.0 + good_for)


def test_a_bearer_lives_as_long_as_its_two_times_are_apart() -> None:
    said = {
        "token": "bce-v3/ALTAK-x/y",
        "status": "enable",
        "createTime": "2026-01-01T00:00:00Z",
        "expireTime": "2026-01-01T12:00:00Z",
    }
    assert bearer(200, PLAIN, body(said), 5.0) == Token("bce-v3/ALTAK-x/y", 5.0 + 43200 - 600)
    assert bearer(200, PLAIN, body({"token": "t"}), 0.0) == Token("t", 42600.0)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, {"error": "invalid_client", "error_description": "unknown client id"}, errors.CredentialRejected),
        (200, {"error": "invalid_client", "error_description": "Wrong secret"}, errors.CredentialRejected),
        (200, {"error": "temporarily_unavailable"}, errors.UpstreamBroken),
        (200, {"error_code": 18, "error_msg": "Open api qps request limit reached"}, errors.Throttled),
        (200, {"error_code": 13, "error_msg": "Get service token failed"}, errors.CredentialRejected),
        (429, {}, errors.Throttled),
        (503, "", errors.UpstreamOverloaded),
        (500, {"what": 1}, errors.UpstreamBroken),
        (502, "<html></html>", errors.UpstreamBroken),
        (200, "<!doctype html><title>Just a moment...</title>", errors.Challenged),
        (200, "upstream said what?", errors.UpstreamMalformed),
        (200, [], errors.UpstreamMalformed),
        (200, {"expires_in": 5}, errors.UpstreamMalformed),
        (200, {"access_token": "x"}, errors.UpstreamMalformed),
        (200, {"access_token": 5, "expires_in": 5}, errors.UpstreamMalformed),
    ],
)
def test_keys_that_buy_no_access_token(status: int, said: Any, kind: type[errors.Failure]) -> None:
    with pytest.raises(errors.Failure) as refused:
        access_token(status, PLAIN, body(said), 0.0)
    assert type(refused.value) is kind


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"code": "InvalidHTTPAuthHeader", "message": "x"}, errors.CredentialRejected),
        (403, {"code": "SignatureDoesNotMatch", "message": "x"}, errors.CredentialRejected),
        (404, {"code": "NotFound", "message": "Could not find credential."}, errors.CredentialRejected),
        (200, {"token": "x", "status": "disable"}, errors.CredentialRejected),
        (429, {"code": "RequestLimitExceeded"}, errors.Throttled),
        (500, {"code": "InternalError"}, errors.UpstreamBroken),
        (200, {}, errors.UpstreamMalformed),
    ],
)
def test_access_keys_that_buy_no_bearer(status: int, said: Any, kind: type[errors.Failure]) -> None:
    with pytest.raises(errors.Failure) as refused:
        bearer(status, PLAIN, body(said), 0.0)
    assert type(refused.value) is kind
