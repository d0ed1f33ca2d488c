"""The service's errors, and the shapes in which each of its doors tells them."""

from __future__ import annotations

import json
from typing import Any

Params = dict[str, Any]

# A3: code, message
CODES: dict[int, str] = {
    1: "Unknown error",
    2: "Service temporarily unavailable",
    3: "Unsupported openapi method",
    4: "Open api request limit reached",
    6: "No permission to access data",
    13: "Get service token failed",
    14: "IAM Certification failed",
    15: "app not exsits or create failed",
    17: "Open api daily request limit reached",
    18: "Open api qps request limit reached",
    19: "Open api total request limit reached",
    100: "Invalid parameter",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
    336000: "Internal error, please retry",
    336001: "Invalid argument",
    336002: "Invalid JSON",
    336003: "Invalid param",
    336004: "Permission error",
    336005: "API name not exist",
    336006: "the length of messages must be an odd number",
    336007: "the max input characters is 20000",
    336100: "The server is currently experiencing high load, please try again later",
    336101: "method not allowed",
    336102: "Invalid user_id",
    336103: "the max length of current question is 4800",
    336104: "the system is not within the limits",
    336105: "the user setting is not within the limits",
    336200: "Internal error",
    336201: "Too many in the queue",
    336501: "Rate limit reached for RPM",
    336502: "Rate limit reached for TPM",
    336503: "The prepaid volume is used up",
    336504: "The prepaid volume has ended",
}

# B3: name: status, code, type, message
NAMED: dict[str, tuple[int, str, str, str]] = {
    **{
        code: (400, code, "invalid_request_error", f"{code} is what is wrong")
        for code in (
            "malformed_json",
            "invalid_messages",
            "invalid_argument",
            "invalid_plugin_argument",
            "invalid_image_url",
            "characters_too_long",
            "tokens_too_long",
        )
    },
    "empty_model": (400, "invalid_model", "invalid_request_error", "model is empty"),
    "image_url_unsafe": (400, "image_url_unsafe", "unsafe_request", "the image is unsafe"),
    "invalid_model": (401, "invalid_model", "access_denied", "No permission to use the model"),
    "no_parameter_permission": (401, "no_parameter_permission", "access_denied", "No permission to use the parameter"),
    "invalid_appid": (401, "invalid_appid", "access_denied", "No permission to use the appId"),
    "invalid_iam_token": (401, "invalid_iam_token", "invalid_request_error", "IAM Certification failed"),
    "system_unsafe": (403, "system_unsafe", "unsafe_request", "the system setting is unsafe"),
    "user_setting_unsafe": (403, "user_setting_unsafe", "unsafe_request", "the user setting is unsafe"),
    "functions_unsafe": (403, "functions_unsafe", "unsafe_request", "the functions are unsafe"),
    "account_overdue": (403, "account_overdue", "access_denied", "Your account is overdue"),
    "model_offline": (403, "model_offline", "access_denied", "The model is offline"),
    "method_not_supported": (405, "method_not_supported", "invalid_request_error", "Only POST requests are accepted"),
    **{
        code: (429, code, "rate_limit_exceeded", "Rate limit reached")
        for code in (
            "rpm_rate_limit_exceeded",
            "tpm_rate_limit_exceeded",
            "input_tpm_rate_limit_exceeded",
            "output_tpm_rate_limit_exceeded",
            "user_rate_limit_exceeded",
            "preemptible_rate_limit_exceeded",
            "cluster_rpm_rate_limit_exceeded",
            "cluster_tpm_rate_limit_exceeded",
            "Offline_batch_reasoning_refused",
        )
    },
    "internal_error": (500, "internal_error", "Internal_error", "Internal error"),
    "dispatch_internal_error": (500, "dispatch_internal_error", "Internal_error", "Internal error"),
}

OTHERS = frozenset({"invalid_client", "unknown_client", "iam_refused", "http_error", "code_in_200"})
NAMES = frozenset({*(f"code_{code}" for code in CODES), *NAMED, *OTHERS})


class Refused(Exception):
    """The answer to this request is an error."""

    def __init__(self, status: int, said: Any, params: Params | None = None, content_type: str = "application/json"):
        super().__init__(status)
        self.status = status
        self.body = said.encode() if isinstance(said, str) else json.dumps(said, ensure_ascii=False).encode()
        self.headers = {"Content-Type": content_type}
        if params and "retry_after" in params:
            self.headers["Retry-After"] = str(params["retry_after"])


def coded(code: int, params: Params | None = None, *, says: str | None = None) -> Refused:
    """The legacy API's way: status 200."""
    params = params or {}
    said = {"error_code": code, "error_msg": params.get("message", says or CODES[code]), "id": "as-refused1"}
    return Refused(params.get("status", 200), said, params)


def named(name: str, params: Params | None = None, *, says: str | None = None) -> Refused:
    """v2's way."""
    params = params or {}
    status, code, kind, message = NAMED[name]
    error = {"code": code, "message": params.get("message", says or message), "type": params.get("type", kind)}
    return Refused(params.get("status", status), {"error": error, "id": "as-refused2"}, params)


def refusal(name: str, params: Params) -> Refused:
    """The refusal of this name."""
    match name:
        case "invalid_client" | "unknown_client":
            description = "Client authentication failed" if name == "invalid_client" else "unknown client id"
            said = {"error": "invalid_client", "error_description": description}
            return Refused(params.get("status", 401), said, params)
        case "iam_refused":
            said = {"code": "SignatureDoesNotMatch", "message": "Signature does not match", "requestId": "r"}
            return Refused(params.get("status", 403), said, params)
        case "http_error":
            return Refused(
                params.get("status", 500), params.get("text", ""), params, params.get("content_type", "text/plain")
            )
        case "code_in_200":
            code = params.get("code", "rpm_rate_limit_exceeded")
            return Refused(200, {"code": code, "msg": params.get("message", "Rate limit reached")}, params)
    if name.startswith("code_"):
        return coded(int(name.removeprefix("code_")), params)
    return named(name, params)
