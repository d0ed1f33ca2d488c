"""How iFlytek Spark's sockets are signed and addressed, and what each code and refusal means."""

from __future__ import annotations

import base64
import json
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from parley import errors
from parley.dialects.spark import refusals
from parley.dialects.spark.signing import signed
from parley.dialects.spark.versions import OFFERED, VERSIONS, moved, tuned, version

NEW_YEAR = "Mon, 01 Jan 2024 00:00:00 GMT"
AT = parsedate_to_datetime(NEW_YEAR).timestamp()
KEY, SECRET = "demo-api-key", "demo-api-secret"
EXAMPLE = (
    "YXBpX2tleT0iZGVtby1hcGkta2V5IiwgYWxnb3JpdGhtPSJobWFjLXNoYTI1NiIsIGhlYWRlcnM9Imhvc3QgZGF0ZSByZXF1ZXN0LWxpbmUiLCBz"
    "aWduYXR1cmU9Ind0K0hiT0lBOThldzY2ejlMUTdJK0E0SWxjaTRvR2hJZ21EN1JCaEJUSlE9Ig"
)


# --- signing ------------------------------------------------------------------------------------------------------


def test_worked_example_a_of_the_page_is_signed_to_the_letter() -> None:
    assert signed("wss://spark-api.xf-yun.com/v3.5/chat", KEY, SECRET, AT) == (
        f"wss://spark-api.xf-yun.com/v3.5/chat?authorization={EXAMPLE}%3D%3D"
        "&date=Mon%2C+01+Jan+2024+00%3A00%3A00+GMT&host=spark-api.xf-yun.com"
    )


def test_worked_example_b_of_the_page_has_its_port_in_the_host() -> None:
    query = parse_qs(urlsplit(signed("ws://127.0.0.1:9300/v1.1/chat", KEY, SECRET, AT)).query)
    assert (query["host"], query["date"]) == (["127.0.0.1:9300"], [NEW_YEAR])
    origin = base64.b64decode(query["authorization"][0]).decode()
    assert origin == (
        'api_key="demo-api-key", algorithm="hmac-sha256", headers="host date request-line", '
        'signature="/RsVr9VUzbMDWPRLQ3ewHGaQ09CNCqiT518CxHy6vIs="'
    )


@pytest.mark.parametrize(
    "url", ["wss://spark-api.xf-yun.com:443/v3.5/chat", "wss://us:them@spark-api.xf-yun.com/v3.5/chat"]
)
def test_what_is_no_part_of_the_host_is_not_signed(url: str) -> None:
    assert f"authorization={EXAMPLE}%3D%3D&" in signed(url, KEY, SECRET, AT)
    assert signed(url, KEY, SECRET, AT).endswith("&host=spark-api.xf-yun.com")


# --- versions -----------------------------------------------------------------------------------------------------

PLACES = {
    "lite": ("lite", "spark-api.xf-yun.com", "/v1.1/chat"),
    "general": ("general", "spark-api.xf-yun.com", "/v1.1/chat"),
    "generalv2": ("generalv2", "spark-api.xf-yun.com", "/v2.1/chat"),
    "generalv3": ("generalv3", "spark-api.xf-yun.com", "/v3.1/chat"),
    "pro-128k": ("pro-128k", "spark-api.xf-yun.com", "/chat/pro-128k"),
    "generalv3.5": ("generalv3.5", "spark-api.xf-yun.com", "/v3.5/chat"),
    "max-32k": ("max-32k", "spark-api.xf-yun.com", "/chat/max-32k"),
    "4.0Ultra": ("4.0Ultra", "spark-api.xf-yun.com", "/v4.0/chat"),
    "kjwx": ("kjwx", "spark-openapi-n.cn-huabei-1.xf-yun.com", "/v1.1/chat_kjwx"),
    "x1": ("x1", "spark-api.xf-yun.com", "/v1/x1"),
    "image": ("image", "spark-api.cn-huabei-1.xf-yun.com", "/v2.1/image"),
    "imagev3": ("imagev3", "spark-api.cn-huabei-1.xf-yun.com", "/v2.1/image"),
    # as openai-style-api's model-config.json has them
    "v1.1": ("general", "spark-api.xf-yun.com", "/v1.1/chat"),
    "v1.5": ("general", "spark-api.xf-yun.com", "/v1.1/chat"),
    "v2.0": ("generalv2", "spark-api.xf-yun.com", "/v2.1/chat"),
    "v3.0": ("generalv3", "spark-api.xf-yun.com", "/v3.1/chat"),
    "v3.5": ("generalv3.5", "spark-api.xf-yun.com", "/v3.5/chat"),
    "v4.0": ("4.0Ultra", "spark-api.xf-yun.com", "/v4.0/chat"),
    "V3.5": ("generalv3.5", "spark-api.xf-yun.com", "/v3.5/chat"),
    "4.0ultra": ("4.0Ultra", "spark-api.xf-yun.com", "/v4.0/chat"),
}


@pytest.mark.parametrize("name", PLACES)
def test_each_version_is_at_its_address_under_its_domain(name: str) -> None:
    found = version(name)
    assert found is not None
    address = urlsplit(found.address)
    assert (found.domain, address.netloc, address.path, address.scheme) == (*PLACES[name], "wss")


def test_versions_that_are_offered_are_known_and_no_other_name_is() -> None:
    assert set(OFFERED) <= set(VERSIONS)
    assert "generalv2" not in OFFERED, "it is withdrawn"
    assert version("gpt-4o") is None


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("", "wss://spark-api.xf-yun.com/v3.5/chat"),
        ("ws://127.0.0.1:9300", "ws://127.0.0.1:9300/v3.5/chat"),
        ("http://127.0.0.1:9300/", "ws://127.0.0.1:9300/v3.5/chat"),
        ("https://proxy.example/spark", "wss://proxy.example/spark/v3.5/chat"),
        ("wss://proxy.example/v3.5/chat", "wss://proxy.example/v3.5/chat"),
    ],
)
def test_a_version_can_be_at_another_place(base: str, address: str) -> None:
    assert moved(VERSIONS["generalv3.5"], base).address == address


def test_a_tuned_model_is_on_the_platform_for_these() -> None:
    assert tuned("xmodel").address == "wss://maas-api.cn-huabei-1.xf-yun.com/v1.1/chat"
    assert tuned("xmodel").domain == "xmodel"


# --- codes --------------------------------------------------------------------------------------------------------

CODES: dict[int, tuple[type[errors.Failure], int, str | None, str, bool]] = {
    # code: class, status, code for the caller, who is blamed, whether another try makes sense
    **dict.fromkeys(
        (10000, 10001, 10002, 10009, 10010, 10011, 10012, 10222, 10223),
        (errors.UpstreamBroken, 502, "upstream_error", "upstream", True),
    ),
    **dict.fromkeys((10003, 10004, 10163), (errors.BadRequest, 400, None, "caller", False)),
    10005: (errors.BadRequest, 400, "invalid_value", "caller", False),
    **dict.fromkeys((10006, 10007, 11202, 11203), (errors.Throttled, 429, "rate_limit_exceeded", "credential", True)),
    **dict.fromkeys(
        (10008, 10110, 11500, 11501), (errors.UpstreamOverloaded, 503, "server_is_overloaded", "upstream", True)
    ),
    **dict.fromkeys((10013, 10014, 10019, 10021, 10022), (errors.BadRequest, 400, "content_filter", "caller", False)),
    10015: (errors.CredentialRejected, 502, "upstream_authentication_error", "credential", True),
    **dict.fromkeys((10016, 11200), (errors.ModelExhausted, 429, "insufficient_quota", "credential", True)),
    11201: (errors.QuotaExhausted, 429, "insufficient_quota", "credential", True),
    **dict.fromkeys((10017, 10018, 99999), (errors.UpstreamBroken, 502, "upstream_error", "upstream", False)),
    10404: (errors.ModelNotFound, 404, "model_not_found", "caller", False),
    10907: (errors.ContextTooLong, 400, "context_length_exceeded", "caller", False),
}


def met(failure: errors.Failure | None) -> errors.Failure:
    assert failure is not None
    return failure


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_page_has_its_meaning(code: int) -> None:
    kind, status, ours, blamed, try_next = CODES[code]
    header = {"code": code, "message": f"出错了 (code={code})", "sid": "cht000demo@dx1", "status": 2}
    failure = met(refusals.failure_in(header))
    assert isinstance(failure, kind)
    assert (failure.status, failure.code, failure.blames, failure.try_next) == (status, ours, blamed, try_next)
    assert f"code {code}, sid cht000demo@dx1" in failure.message
    if kind in (errors.BadRequest, errors.ContextTooLong, errors.ModelNotFound):
        assert "出错了" in failure.message, "who can act on it may read it"


@pytest.mark.parametrize("code", CODES)
def test_both_shapes_of_the_http_api_say_the_same(code: int) -> None:
    body: dict[str, Any] = {"code": code, "message": "no", "sid": "cha1"}
    envelope = {"error": {"message": "no", "type": "api_error", "param": None, "code": str(code)}, "sid": "cha1"}
    plain, wrapped = met(refusals.failure_in(body)), met(refusals.failure_in(envelope))
    refused = refusals.refused(400, {}, json.dumps(envelope).encode())
    assert type(plain) is type(wrapped) is type(refused)
    assert plain.message == wrapped.message == refused.message
    assert (plain.code, plain.param) == (wrapped.code, wrapped.param) == (refused.code, refused.param)
    assert refused.upstream_status == 400


def test_what_says_no_code_is_no_failure() -> None:
    for said in ({"code": 0, "message": "Success"}, {}, {"code": None}, {"code": "0"}, {"error": None}):
        assert refusals.failure_in(said) is None


def test_a_daily_limit_ends_at_midnight_in_china(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "now", lambda: AT)  # eight in the morning there
    assert met(refusals.failure_in({"code": 11201})).retry_after == 16 * 3600


@pytest.mark.parametrize(("code", "seconds"), [(11202, 1), (11203, 1), (10006, 2), (10007, 2), (10008, 2), (10110, 2)])
def test_the_service_never_says_when_so_we_do(code: int, seconds: float) -> None:
    assert met(refusals.failure_in({"code": code})).retry_after == seconds


# --- handshakes and statuses --------------------------------------------------------------------------------------

CLOCK = "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"


@pytest.mark.parametrize(
    "words",
    [
        "Unauthorized",
        "HMAC signature cannot be verified: fail to retrieve credential",
        "HMAC signature cannot be verified:enforced header 'host' not used for signature creation",
        "HMAC signature does not match",
    ],
)
def test_a_bad_signature_is_a_bad_credential(words: str) -> None:
    failure = refusals.refused(401, {}, json.dumps({"message": words}).encode())
    assert type(failure) is errors.CredentialRejected
    assert (failure.status, failure.upstream_status) == (502, 401)


def test_a_wrong_clock_is_nobodys_credential() -> None:
    body = json.dumps({"message": CLOCK}).encode()
    assert refusals.wrong_clock(403, body)
    assert not refusals.wrong_clock(401, body)
    assert not refusals.wrong_clock(403, b'{"message":"forbidden"}')
    failure = refusals.refused(403, {}, body)
    assert (failure.status, failure.blames, failure.try_next) == (502, "upstream", False)


def test_how_far_a_clock_is_off_is_read_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "now", lambda: AT - 1000)
    assert refusals.ahead({"date": NEW_YEAR}) == 1000
    assert refusals.ahead({"date": "tomorrow"}) == refusals.ahead({}) == 0


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"error":{"message":"invalid user","type":"api_error","param":null,"code":null}}', "CredentialRejected"),
        (401, '{"error":{"message":"no","code":"11200"}}', "ModelExhausted"),
        (404, '{"message":"no Route matched with those values"}', "ModelNotFound"),
        (429, '{"message":"API rate limit exceeded"}', "Throttled"),
        (500, "oops", "UpstreamBroken"),
        (503, "", "UpstreamOverloaded"),
        (403, "<html>Just a moment...</html>", "Challenged"),
    ],
)
def test_other_refusals_mean_what_their_status_says(status: int, body: str, kind: str) -> None:
    headers = {"content-type": "text/html" if body.startswith("<") else "application/json"}
    assert type(refusals.refused(status, headers, body.encode())).__name__ == kind


def test_a_hint_of_a_gateway_counts_more_than_our_guess() -> None:
    body = b'{"error":{"message":"slow","code":"11202"}}'
    assert refusals.refused(429, {"retry-after": "7"}, body).retry_after == 7
