"""A request refused, in Google's envelope; the errors that the page lists, by name."""

from __future__ import annotations

import json
from typing import Any

Params = dict[str, Any]
Detail = dict[str, Any]

RPC = "type.googleapis.com/google.rpc"
HTML = "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"

# name: HTTP, status, message, reason of an ErrorInfo
ERRORS: dict[str, tuple[int, str, str, str | None]] = {
    "api_key_invalid": (
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        "API_KEY_INVALID",
    ),
    "api_key_expired": (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "API_KEY_INVALID"),
    "invalid_argument": (400, "INVALID_ARGUMENT", "Request contains an invalid argument.", None),
    "context_length": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
        None,
    ),
    "location": (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", None),
    "billing": (400, "FAILED_PRECONDITION", "Gemini API free tier is not available in your country.", None),
    "unauthenticated": (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    ),
    "unregistered": (
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity).",
        None,
    ),
    "service_disabled": (
        403,
        "PERMISSION_DENIED",
        "Generative Language API has not been used in project 1 before or it is disabled.",
        "SERVICE_DISABLED",
    ),
    "key_leaked": (403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.", None),
    "not_found": (404, "NOT_FOUND", "models/x is not found for API version v1beta.", None),
    "too_large": (413, "", "Request payload size exceeds the limit: 20971520 bytes.", None),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", None),
    "rate_limit_bare": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", None),
    "quota_day": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan.", None),
    "quota_zero": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota. limit: 0", None),
    "cancelled": (499, "CANCELLED", "The operation was cancelled.", None),
    "internal": (500, "INTERNAL", "An internal error has occurred. Please retry.", None),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", None),
    "deadline": (504, "DEADLINE_EXCEEDED", "The request timed out. Please try again.", None),
}
_QUOTAS = {
    "rate_limit": ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "10"),
    "quota_day": ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50"),
    "quota_zero": ("GenerateContentInputTokensPerModelPerMinute-FreeTier", "0"),
}
PARAMS = frozenset({"message", "retry_delay", "shape", "headers", "status"})


class Refused(Exception):
    """The answer to this request is an error."""

    def __init__(
        self,
        code: int,
        status: str,
        message: str,
        *details: Detail,
        shape: str = "object",
        headers: Params | None = None,
    ):
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        self.shape = shape
        self.headers = {name: str(value) for name, value in (headers or {}).items()}

    def envelope(self) -> dict[str, Any]:
        """The value with the key `error`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        error |= {"status": self.status} if self.status else {}
        error |= {"details": list(self.details)} if self.details else {}
        return {"error": error}

    def content(self) -> tuple[str, bytes]:
        """Content type and body: pretty-printed, as the service does it."""
        if self.shape == "html":
            return "text/html; charset=UTF-8", HTML.format(status=self.code).encode()
        said: Any = [self.envelope()] if self.shape == "array" else self.envelope()
        return "application/json; charset=UTF-8", json.dumps(said, indent=2, ensure_ascii=False).encode()


def refusal(name: str, params: Params) -> Refused:
    """The refusal of this name; `params` may replace parts of it."""
    code, status, message, reason = ERRORS[name]
    details: list[Detail] = []
    if reason:
        details.append({"@type": f"{RPC}.ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if name in _QUOTAS:
        quota, value = _QUOTAS[name]
        violation = {"quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": quota, "quotaValue": value}
        details.append({"@type": f"{RPC}.QuotaFailure", "violations": [violation]})
        details.append({"@type": f"{RPC}.RetryInfo", "retryDelay": params.get("retry_delay", "17s")})
    return Refused(
        params.get("status", code),
        status,
        params.get("message", message),
        *details,
        shape=params.get("shape", "object"),
        headers=params.get("headers"),
    )


def invalid(message: str, field: str | None = None) -> Refused:
    """A 400 about the request itself; `field` is where."""
    violation = {"@type": f"{RPC}.BadRequest", "fieldViolations": [{"field": field, "description": message}]}
    return Refused(400, "INVALID_ARGUMENT", message, *([violation] if field else []))
