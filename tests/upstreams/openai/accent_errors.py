"""How look-alikes of OpenAI refuse: `NAME_SITUATION`, for the situations that `lookalikes.py` knows."""

from __future__ import annotations

from typing import Any

INVALID = "invalid_request_error"


def _envelope(status: int, message: str, type: Any, code: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002
    return {"status": status, "message": message, "type": type, "code": code, **more}


def _flat(status: int, message: str, **more: Any) -> dict[str, Any]:
    """The error's members are the body itself."""
    return {"status": status, "message": message, "shape": "message", "more": more}


def _numbered(status: int, message: str, **more: Any) -> dict[str, Any]:
    """OpenRouter's: the code is the status, and there is no type."""
    return {"status": status, "message": message, "shape": "numbered", "more": more}


def _vllm(status: int, message: str, kind: str) -> dict[str, Any]:
    return _flat(status, message, object="error", type=kind, param=None, code=status)


ACCENTED: dict[str, dict[str, Any]] = {
    "deepseek_no_key": _envelope(401, "Authentication Fails (no such user)", "authentication_error", INVALID),
    "deepseek_wrong_key": _envelope(401, "Authentication Fails, Your api key: ****.", "authentication_error", INVALID),
    "deepseek_quota": _envelope(402, "Insufficient Balance", "unknown_error", INVALID),
    "deepseek_rate": _envelope(429, "Rate limit reached", "rate_limit_error", "rate_limit_reached"),
    "deepseek_model": _envelope(400, "Model Not Exist", INVALID, INVALID),
    "deepseek_path": {"status": 404, "message": "", "shape": "empty"},
    "deepseek_request": _envelope(422, "Failed to deserialize the JSON body", INVALID, INVALID),
    "moonshot_no_key": _envelope(401, "Incorrect API key provided", "incorrect_api_key_error"),
    "moonshot_wrong_key": _envelope(401, "Invalid Authentication", "invalid_authentication_error"),
    "moonshot_quota": _envelope(429, "Your account is suspended, check your plan", "exceeded_current_quota_error"),
    "moonshot_rate": _envelope(429, "Your account reached max request RPM: 3", "rate_limit_reached_error"),
    "moonshot_model": _envelope(404, "Not found the model or Permission denied", "resource_not_found_error"),
    "moonshot_path": _flat(404, "没找到对象", code=5, scode="0x5"),
    "moonshot_request": _envelope(400, "Invalid request", INVALID),
    "moonshot_filtered": _envelope(
        400, "The request was rejected because it was considered high risk", "content_filter"
    ),
    "moonshot_overloaded": _envelope(429, "The engine is currently overloaded", "engine_overloaded_error"),
    "openrouter_no_key": _numbered(401, "No auth credentials found"),
    "openrouter_wrong_key": _numbered(401, "User not found."),
    "openrouter_quota": _numbered(402, "Insufficient credits. Add more and retry the request."),
    "openrouter_rate": _numbered(429, "Rate limit exceeded", metadata={"headers": {}}),
    "openrouter_model": _numbered(400, "x is not a valid model ID"),
    "openrouter_path": {"status": 404, "message": "Not Found", "shape": "html"},
    "openrouter_request": _numbered(400, 'Input required: specify "prompt" or "messages"'),
    "openrouter_flagged": _numbered(403, "The input was flagged", metadata={"reasons": ["violence"]}),
    "siliconflow_no_key": {"status": 401, "message": "Invalid token", "shape": "bare"},
    "siliconflow_wrong_key": {"status": 401, "message": "Invalid token", "shape": "bare"},
    "siliconflow_quota": _flat(403, "Sorry, your account balance is insufficient", code=30001, data=None),
    "siliconflow_rate": _flat(429, "Request was rejected due to rate limiting. TPM limit reached.", data=None),
    "siliconflow_model": _flat(400, "Model does not exist. Please check it carefully.", code=20012, data=None),
    "siliconflow_path": {"status": 404, "message": "404 page not found", "shape": "text"},
    "siliconflow_request": _flat(400, "The parameter is invalid. Please check again.", code=20015, data=None),
    "siliconflow_overloaded": _flat(503, "Model service overloaded. Please try again later.", code=50505, data=None),
    "qwen_no_key": _envelope(401, "You didn't provide an API key.", INVALID),
    "qwen_wrong_key": _envelope(
        401, "Incorrect API key provided.", INVALID, "invalid_api_key", more={"request_id": "q"}
    ),
    "qwen_quota": _envelope(
        400, "Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage"
    ),
    "qwen_rate": _envelope(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "qwen_model": _envelope(
        404, "The model `x` does not exist or you do not have access to it.", INVALID, "model_not_found"
    ),
    "qwen_path": {"status": 404, "message": "", "shape": "empty"},
    "qwen_request": _envelope(400, "Range of the parameter is wrong", INVALID, "invalid_parameter_error"),
    "qwen_filtered": _envelope(
        400, "Input data may contain inappropriate content.", "data_inspection_failed", "data_inspection_failed"
    ),
    "ark_no_key": _envelope(
        401, "The API key in the request is missing or invalid.", "Unauthorized", "AuthenticationError"
    ),
    "ark_wrong_key": _envelope(401, "The API key format is incorrect.", "Unauthorized", "AuthenticationError"),
    "ark_quota": _envelope(403, "Your account has an overdue balance.", "Forbidden", "AccountOverdueError"),
    "ark_rate": _envelope(
        429,
        "The Tokens Per Minute (TPM) limit has been exceeded.",
        "TooManyRequests",
        "RateLimitExceeded.EndpointTPMExceeded",
    ),
    "ark_model": _envelope(
        404, "The model or endpoint x does not exist.", "NotFound", "InvalidEndpointOrModel.NotFound"
    ),
    "ark_path": {"status": 404, "message": "", "shape": "empty"},
    "ark_request": _envelope(
        400, "A parameter specified in the request is not valid.", "BadRequest", "InvalidParameter"
    ),
    "ark_filtered": _envelope(
        400, "The input text may contain sensitive information.", "BadRequest", "SensitiveContentDetected.Violence"
    ),
    "ark_overloaded": _envelope(429, "The service is overloaded.", "TooManyRequests", "ServerOverloaded"),
    # No key is asked for; a proxy in front of it may.
    "ollama_no_key": {"status": 401, "message": "unauthorized", "shape": "string"},
    "ollama_wrong_key": {"status": 401, "message": "unauthorized", "shape": "string"},
    "ollama_quota": {"status": 402, "message": "payment required", "shape": "string"},
    "ollama_rate": _envelope(429, "too many requests", "rate_limit_error"),
    "ollama_model": _envelope(404, 'model "x" not found, try pulling it first', "not_found_error"),
    "ollama_path": {"status": 404, "message": "404 page not found", "shape": "text"},
    "ollama_request": _envelope(400, "invalid request", INVALID),
    "vllm_no_key": {"status": 401, "message": "Unauthorized", "shape": "string"},
    "vllm_wrong_key": {"status": 401, "message": "Unauthorized", "shape": "string"},
    "vllm_quota": _vllm(402, "payment required", "PaymentRequired"),
    "vllm_rate": _vllm(429, "too many requests", "TooManyRequests"),
    "vllm_model": _vllm(404, "The model `x` does not exist.", "NotFoundError"),
    "vllm_path": {"status": 404, "message": "Not Found", "shape": "detail"},
    "vllm_request": _vllm(400, "1 validation error", "BadRequestError"),
    "vllm_too_long": _vllm(400, "This model's maximum context length is 5 tokens.", "BadRequestError"),
    "llamacpp_no_key": _envelope(401, "Invalid API Key", "authentication_error", 401),
    "llamacpp_wrong_key": _envelope(401, "Invalid API Key", "authentication_error", 401),
    "llamacpp_quota": _envelope(402, "payment required", "payment_error", 402),
    "llamacpp_rate": _envelope(429, "too many requests", "rate_limit_error", 429),
    "llamacpp_model": _envelope(404, "model not found", "not_found_error", 404),
    "llamacpp_path": _envelope(404, "File Not Found", "not_found_error", 404),
    "llamacpp_request": _envelope(400, "invalid parameter", INVALID, 400),
    "llamacpp_too_long": _envelope(
        400, "the request exceeds the available context size", "exceed_context_size_error", 400
    ),
    "llamacpp_loading": _envelope(503, "Loading model", "unavailable_error", 503),
    "relay_no_key": _envelope(401, "未提供令牌 (request id: 2026)", "one_api_error"),
    "relay_wrong_key": _envelope(401, "无效的令牌 (request id: 2026)", "one_api_error"),
    "relay_quota": _envelope(403, "用户额度不足 (request id: 2026)", "one_api_error", "insufficient_user_quota"),
    "relay_rate": _envelope(429, "当前分组上游负载已饱和，请稍后再试 (request id: 2026)", "upstream_error"),
    "relay_model": _envelope(
        503, "当前分组下对于模型 x 无可用渠道 (request id: 2026)", "one_api_error", "model_not_found"
    ),
    "relay_path": _envelope(404, "Invalid URL (POST /v1/x)", INVALID),
    "relay_request": _envelope(400, "bad request", "one_api_error"),
}
