"""Refusals of Google's face of OpenAI's API, which wraps them in a list, and calls a wrong key a bad request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley import errors
from parley.dialects.openai import failure_of

WRONG_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 400, "message": "API key not valid.", "details": [WRONG_KEY]}, errors.CredentialRejected),
        ({"code": 400, "message": "Invalid JSON payload received.", "details": [5, {}]}, errors.BadRequest),
        ({"code": 400, "message": "Invalid JSON payload received.", "details": "none"}, errors.BadRequest),
        ({"code": 404, "message": "models/x is not found"}, errors.ModelNotFound),
        ({"code": 429, "message": "You exceeded your current quota."}, errors.Throttled),
        ({"code": 503, "message": "The model is overloaded."}, errors.UpstreamOverloaded),
    ],
)
def test_refusals_in_a_list(error: dict[str, Any], kind: type[errors.Failure]):
    failure = failure_of(error["code"], {}, json.dumps([{"error": error}]).encode())
    assert type(failure) is kind
    if kind is errors.BadRequest:
        assert failure.message == error["message"]
    assert type(failure_of(error["code"], {}, json.dumps({"error": error}).encode())) is kind


def test_a_longer_list_says_nothing_that_we_know():
    assert type(failure_of(400, {}, b'[{"error": {"message": "a"}}, 5]')) is errors.BadRequest
