"""The errors that the two vendor pages list, by name, as a fault or a rule may raise them."""

from __future__ import annotations

from ..plan import Params, hints
from .accent_errors import ACCENTED
from .refusal import Refused

INVALID = "invalid_request_error"

# name: status, message, type, code, param (openai.md, section 3)
ENVELOPES: dict[str, tuple[int, str, str, str | None, str | None]] = {
    "status": (500, "The server had an error while processing your request.", "server_error", None, None),
    "bad_request": (400, "Invalid value.", INVALID, None, "messages"),
    "context_length_exceeded": (
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        INVALID,
        "context_length_exceeded",
        "messages",
    ),
    "unsupported_parameter": (
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        INVALID,
        "unsupported_parameter",
        "max_tokens",
    ),
    "unsupported_value": (
        400,
        "Unsupported value: 'temperature' does not support 0.2 with this model. "
        "Only the default (1) value is supported.",
        INVALID,
        "unsupported_value",
        "temperature",
    ),
    "invalid_value": (400, "Invalid value: 'robot'.", INVALID, "invalid_value", "messages[0].role"),
    "invalid_type": (400, "Invalid type for 'messages[0].content'.", INVALID, "invalid_type", "messages[0].content"),
    "missing_required_parameter": (
        400,
        "Missing required parameter: 'messages'.",
        INVALID,
        "missing_required_parameter",
        "messages",
    ),
    "unknown_parameter": (400, "Unrecognized request argument supplied: x", INVALID, "unknown_parameter", "x"),
    "content_policy_violation": (
        400,
        "Your request was rejected by the safety system.",
        INVALID,
        "content_policy_violation",
        "prompt",
    ),
    "invalid_prompt": (400, "Invalid prompt: it was flagged.", INVALID, "invalid_prompt", "prompt"),
    "invalid_api_key": (401, "Incorrect API key provided: sk-…xxxx.", INVALID, "invalid_api_key", None),
    "no_api_key": (401, "You didn't provide an API key.", INVALID, None, None),
    "mismatched_organization": (401, "OpenAI-Organization is wrong.", INVALID, "mismatched_organization", None),
    "account_deactivated": (401, "The account is deactivated.", INVALID, "account_deactivated", None),
    "unsupported_country": (
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
        None,
    ),
    "model_not_found": (
        404,
        "The model `x` does not exist or you do not have access to it.",
        INVALID,
        "model_not_found",
        None,
    ),
    "unknown_url": (404, "Invalid URL (POST /v1/x)", INVALID, "unknown_url", None),
    "rate_limit": (
        429,
        "Rate limit reached for requests. Please try again in 6ms.",
        "requests",
        "rate_limit_exceeded",
        None,
    ),
    "rate_limit_tokens": (429, "Rate limit reached for tokens.", "tokens", "rate_limit_exceeded", None),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
        None,
    ),
    "credit_balance_exhausted": (
        429,
        "Your credit balance is exhausted.",
        "insufficient_quota",
        "credit_balance_exhausted",
        None,
    ),
    "server_error": (500, "The server had an error while processing your request.", "server_error", None, None),
    "overloaded": (503, "The server is overloaded.", "service_unavailable_error", "server_is_overloaded", None),
    "slow_down": (503, "Slow down.", "service_unavailable_error", "slow_down", None),
    "hf_model_not_found": (400, "The requested model 'x/y' does not exist.", INVALID, "model_not_found", "model"),
    "hf_model_not_supported": (
        400,
        "The requested model 'x/y' is not supported by any provider you have enabled.",
        INVALID,
        "model_not_supported",
        "model",
    ),
}

# name: status, message, shape, further keys (huggingface.md, section 3)
OTHERS: dict[str, tuple[int, str, str, Params]] = {
    "hf_unauthorized": (401, "Invalid username or password.", "string", {}),
    "hf_credits": (
        402,
        "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO for more.",
        "string",
        {},
    ),
    "hf_permission": (
        403,
        "This authentication method does not have sufficient permissions to call Inference Providers "
        "on behalf of user x",
        "string",
        {},
    ),
    "hf_not_found": (404, "Not Found", "string", {}),
    "hf_too_large": (413, "Payload Too Large", "text", {}),
    "hf_template": (422, "Template error: unknown method", "string", {"error_type": "template_error"}),
    "hf_validation": (422, "inputs must have less than 8192 tokens", "detail", {}),
    "hf_generation": (424, "Request failed during generation", "string", {"error_type": "generation"}),
    "hf_rate_limit": (429, "Too many requests", "string", {}),
    "hf_trouble": (500, "Internal error", "message", {}),
    "html": (502, "Bad gateway", "html", {}),
    "hf_loading": (503, "Model demo is currently loading", "string", {"estimated_time": 20.0}),
    "hf_overloaded": (529, "Overloaded", "string", {}),
}


def refusal(name: str, params: Params) -> Refused:
    """The refusal of this name; `params` may replace any part of it."""
    kind, code, param = INVALID, None, None
    shape, more = "openai", {}
    if name in ACCENTED:
        return refusal("status", {**ACCENTED[name], **params})
    if name in ENVELOPES:
        status, message, kind, code, param = ENVELOPES[name]
    else:
        status, message, shape, more = OTHERS[name]
    return Refused(
        params.get("status", status),
        params.get("message", message),
        params.get("type", kind),
        params.get("code", code),
        params.get("param", param),
        shape=params.get("shape", shape),
        headers=hints(params),
        more={**more, **params.get("more", {})},
    )
