"""What a refused call of h2oGPTe means, and for how long a web session is doubted."""

from __future__ import annotations

import pytest

from parley import errors
from parley.leases import Credential
from parley.providers.h2ogpte import web
from parley.providers.h2ogpte.refusals import refusal
from parley.providers.h2ogpte.web import Doubts

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
CHALLENGE = b"<!doctype html><title>Just a moment...</title>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "for_web", "for_key"),
    [
        (401, JSON, b'{"error":"no","request_id":"r"}', errors.CredentialExpired, errors.CredentialRejected),
        (401, {}, b"", errors.CredentialExpired, errors.CredentialRejected),
        (401, HTML, b"<html>Sign in</html>", errors.CredentialExpired, errors.CredentialRejected),
        (403, JSON, b'{"error":"CSRF token mismatch"}', errors.CredentialExpired, errors.CredentialRejected),
        (403, JSON, b'{"error":"no permission for workspace"}', errors.CredentialRejected, errors.CredentialRejected),
        (200, HTML, b"<html>Sign in</html>", errors.CredentialExpired, errors.UpstreamMalformed),
        (302, {"location": "/login?next=/ws"}, b"", errors.CredentialExpired, errors.CredentialRejected),
        (302, {"location": "https://sso.example.org/x"}, b"", errors.CredentialExpired, errors.CredentialRejected),
    ],
)
def test_a_web_session_can_be_renewed_and_a_key_cannot(
    status: int, headers: dict[str, str], body: bytes, for_web: type[errors.Failure], for_key: type[errors.Failure]
):
    assert type(refusal(status, headers, body, keyed=False)) is for_web
    assert type(refusal(status, headers, body, keyed=True)) is for_key


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (200, HTML, CHALLENGE, errors.Challenged),
        (403, HTML, CHALLENGE, errors.Challenged),
        (503, HTML, CHALLENGE, errors.Challenged),
        (403, {"cf-mitigated": "challenge"}, b"", errors.Challenged),
        (302, {"location": "/"}, b"", errors.Challenged),
        (429, JSON, b'{"error":"slow down"}', errors.Throttled),
        (429, HTML, b"<html></html>", errors.Throttled),
        (429, JSON, b'{"error":"Guest usage quota exceeded"}', errors.QuotaExhausted),
        (401, JSON, b'{"message":"?","error_type":"authorization_unavailable"}', errors.UpstreamOverloaded),
        (503, JSON, b'{"message":"?","error_type":"authorization_unavailable"}', errors.UpstreamOverloaded),
        (404, JSON, b'{"error":"Chat session 3f0c not found"}', errors.SessionLost),
        (404, JSON, b'{"error":"not found"}', errors.UpstreamBroken),
        (400, JSON, b'{"error":"Error code: 400"}', errors.UpstreamBroken),
        (500, JSON, b'{"error":"Chat session pool not found"}', errors.UpstreamBroken),
        (500, {}, b"\xff oops", errors.UpstreamBroken),
        (502, HTML, b"<html>Bad gateway</html>", errors.UpstreamBroken),
        (503, {}, b"", errors.UpstreamOverloaded),
    ],
)
def test_refusals_are_told_apart(
    status: int, headers: dict[str, str], body: bytes, kind: type[errors.Failure], keyed: bool
):
    refused = refusal(status, headers, body, keyed=keyed)
    assert type(refused) is kind
    assert refused.upstream_status == status
    assert refused.blames != "caller"


def test_a_model_that_is_not_given_is_the_callers_to_change():
    for keyed in (False, True):
        refused = refusal(403, JSON, b'{"code":403,"message":"no","error_type":"model_access"}', keyed=keyed)
        assert isinstance(refused, errors.ModelNotFound)


def test_a_refusal_says_when_to_come_back():
    assert refusal(429, {"retry-after": "30"}, b"", keyed=True).retry_after == 30


def at(generation: int) -> Credential:
    return Credential("c", "alias", {}, generation)


def test_renewing_is_tried_once_for_a_right_that_is_missing():
    doubts = Doubts()
    assert not doubts.forbidden(at(1))
    assert not doubts.forbidden(at(1))  # of another request at the same time
    assert doubts.forbidden(at(2))
    assert not doubts.forbidden(at(2))  # after its rest, once more
    assert doubts.forbidden(at(3))


def test_a_renewal_that_helped_takes_the_doubt_away():
    doubts = Doubts()
    assert not doubts.forbidden(at(1))
    doubts.succeeded(at(2))
    assert not doubts.forbidden(at(2))


def test_a_doubt_grows_old(monkeypatch: pytest.MonkeyPatch):
    doubts = Doubts()
    assert not doubts.forbidden(at(1))
    later = web.monotonic() + 3600
    monkeypatch.setattr(web, "monotonic", lambda: later)
    assert not doubts.forbidden(at(2))
