"""The refusals of the page, by name; a test may replace any part of one."""

from __future__ import annotations

from typing import Any

from ..openai.refusal import Refused

Params = dict[str, Any]

FILTERED = {
    "type": None,
    "param": "prompt",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": True, "severity": "high"},
            "jailbreak": {"filtered": False, "detected": False},
            "violence": {"filtered": False, "severity": "safe"},
        },
    },
}
ERRORS: dict[str, tuple[int, str, str | None, Params]] = {
    "content_filter": (
        400,
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "content_filter",
        FILTERED,
    ),
    "unrecognized": (
        400,
        "Unrecognized request argument supplied: x",
        None,
        {"type": "invalid_request_error", "param": None},
    ),
    "context_length": (
        400,
        "This model's maximum context length is 8192 tokens.",
        "context_length_exceeded",
        {"type": "invalid_request_error", "param": "messages"},
    ),
    "operation": (
        400,
        "The chatCompletion operation does not work with the specified model.",
        "OperationNotSupported",
        {},
    ),
    "version": (400, "API version not supported", "BadRequest", {}),
    "unauthorized": (401, "Access denied due to invalid subscription key or wrong API endpoint.", "401", {}),
    "permission": (401, "The principal lacks the required data action.", "PermissionDenied", {}),
    "firewall": (403, "Access denied due to Virtual Network/Firewall rules.", "403", {}),
    "deployment_not_found": (
        404,
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
        "minutes, please wait a moment and try again.",
        "DeploymentNotFound",
        {},
    ),
    "resource_not_found": (404, "Resource not found", "404", {}),
    "timeout": (408, "The operation was timeout.", "Timeout", {}),
    "rate_limit": (
        429,
        "Requests to the ChatCompletions_Create Operation have exceeded the token rate limit of your tier.",
        "429",
        {},
    ),
    "rate_limit_words": (429, "... of your pricing tier. Please retry after 7 seconds.", "RateLimitReached", {}),
    "no_capacity": (429, "The system is currently experiencing high demand.", "NoCapacity", {}),
    "ptu": (429, "The provisioned deployment is fully used.", "429", {}),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota", {}),
    "server_error": (
        500,
        "The server had an error processing your request.",
        None,
        {"type": "server_error", "param": None},
    ),
    "unavailable": (503, "The service is temporarily unable to process your request.", "ServiceUnavailable", {}),
}
FRONT = "unauthorized_front"
"""An API-management front says it in its own shape."""
NAMES = frozenset({*ERRORS, FRONT})


class AzureRefused(Refused):
    """A refusal whose `error` has just the members that this service gives it."""

    def __init__(self, status: int, message: str, code: str | None, members: Params, headers: Params):
        super().__init__(status, message, code=code, headers=headers)
        self._members = members

    def error(self) -> Params:
        return {"code": self.code, "message": self.message, **self._members}


def refusal(name: str, params: Params) -> Refused:
    """The refusal of this name."""
    headers = dict(params.get("headers", {}))
    for param, header in (("retry_after", "retry-after"), ("retry_after_ms", "retry-after-ms")):
        if param in params:
            headers[header] = str(params[param])
    if name == FRONT:
        return Refused(401, "Access denied.", shape="message", more={"statusCode": 401}, headers=headers)
    if name == "ptu":
        headers = {"retry-after-ms": "1500", "azure-openai-deployment-utilization": "100%", **headers}
    status, message, code, members = ERRORS[name]
    return AzureRefused(
        params.get("status", status), params.get("message", message), params.get("code", code), members, headers
    )
